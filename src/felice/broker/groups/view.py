"""Groups as a test sees them: values, which do not change when the group does."""

from typing import NamedTuple, TypeAlias

from felice.broker.groups.offsets import Committed
from felice.errors import WireError
from felice.wire.messages.consumer_protocol import ConsumerProtocolAssignment

__all__ = ["GroupView", "MemberView", "read_assignment"]

TopicPartition: TypeAlias = tuple[str, int]


class MemberView(NamedTuple):
    """A member of a group."""

    id: str
    instance_id: str | None
    """The name of a static member (KIP-345)."""
    client_id: str
    client_host: str
    partitions: frozenset[TopicPartition]
    """The topics and partitions that it has; none where it is assigned something else, as in Kafka Connect."""


class GroupView(NamedTuple):
    """A group as it was when it was looked at."""

    id: str
    kind: str
    """Its protocol: "classic", "consumer", "share" or "streams"."""
    state: str
    """By Kafka's name, such as Stable."""
    epoch: int
    """The generation of a classic group, the epoch of others."""
    members: tuple[MemberView, ...]
    offsets: dict[TopicPartition, Committed]
    """What is committed, by topic and partition; what open transactions hold is not."""

    def owners(self) -> dict[TopicPartition, str]:
        """Return the members' IDs by what they have."""
        return {partition: member.id for member in self.members for partition in member.partitions}


def read_assignment(assignment: bytes) -> frozenset[TopicPartition]:
    """Return the partitions in a classic consumer's assignment."""
    if not assignment:
        return frozenset()
    try:
        topics = ConsumerProtocolAssignment.unpack(assignment).assigned_partitions
    except WireError:
        return frozenset()
    return frozenset((topic.topic, index) for topic in topics for index in topic.partitions)
