"""Which topics members of the classic protocol read, by what they tell each other through the coordinator."""

from collections.abc import Iterable

from felice.errors import WireError
from felice.wire.messages.consumer_protocol import ConsumerProtocolSubscription

__all__ = ["CONSUMER", "subscribed_topics"]

CONSUMER = "consumer"
"""The protocol type of consumers; groups of other types (Connect, for one) talk about other things."""


def subscribed_topics(subscriptions: Iterable[bytes]) -> frozenset[str] | None:
    """Return the topics of all subscriptions, or None where one cannot be read."""
    topics: set[str] = set()
    try:
        for subscription in subscriptions:
            topics.update(ConsumerProtocolSubscription.unpack(subscription).topics)
    except WireError:
        return None
    return frozenset(topics)
