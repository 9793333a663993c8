"""What the requests of consumer groups and of share groups have in common (KIP-848, KIP-932)."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from felice.broker.authorization import REFUSALS, Operation, Resource
from felice.broker.call import Call
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_describe import ConsumerGroupDescribeResponse
from felice.wire.messages.share_group_describe import ShareGroupDescribeResponse

__all__ = ["check_topics", "describe_all", "heartbeat_words"]

WORDLESS = frozenset({*REFUSALS.values(), ErrorCode.UNKNOWN_SERVER_ERROR})
"""Codes that heartbeats are refused with without a message."""

D = TypeVar("D", ConsumerGroupDescribeResponse.DescribedGroup, ShareGroupDescribeResponse.DescribedGroup)


def heartbeat_words(refused: Refused) -> str | None:
    """Return the message with which a heartbeat is refused."""
    return None if refused.code in WORDLESS else refused.message or refused.code.name


def describe_all(
    call: Call, group_ids: Iterable[str], operations: bool, answer: type[D], describe: Callable[[str], D]
) -> list[D]:
    """Describe groups one by one, with what the client may do with them if it asks for that."""
    groups = [_described(call, group_id, answer, describe) for group_id in group_ids]
    if operations:
        for group in groups:
            if not group.error_code:
                group.authorized_operations = call.permitted(Resource.GROUP, group.group_id)
    return groups


def _described(call: Call, group_id: str, answer: type[D], describe: Callable[[str], D]) -> D:
    """Describe one group."""
    try:
        call.check_faults(None)
        call.authorize(Operation.DESCRIBE, Resource.GROUP, group_id)
        if not group_id:
            raise Refused(ErrorCode.INVALID_GROUP_ID)
        call.check_coordinator(Kind.GROUP, group_id)
        return describe(group_id)
    except Refused as refused:
        message = None if refused.code == REFUSALS[Resource.GROUP] else refused.message
        return answer(group_id=group_id, error_code=refused.code, error_message=message)


def check_topics(call: Call, topics: Iterable[str]) -> None:
    """Refuse to describe a group whose members have topics that the client may not describe."""
    if call.guard is not None and not all(call.may(Operation.DESCRIBE, Resource.TOPIC, topic) for topic in topics):
        raise Refused(
            ErrorCode.TOPIC_AUTHORIZATION_FAILED, "members have topics that are not for this client to describe"
        )
