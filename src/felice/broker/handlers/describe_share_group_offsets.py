"""DescribeShareGroupOffsets: where share groups stand in partitions, and what is left for them (KIP-932, KIP-1226).

Whoever names topics gets an answer of every node; only who wants all that a group reads has to ask its coordinator.
"""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import REFUSALS, Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.coordination import Kind
from felice.broker.features import SHARE_GROUPS
from felice.broker.groups.share import ShareGroup
from felice.broker.partition import NO_LEADER
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse,
)

__all__ = ["HANDLER"]

Asked: TypeAlias = DescribeShareGroupOffsetsRequest.Group
Group: TypeAlias = DescribeShareGroupOffsetsResponse.Group
Topic: TypeAlias = DescribeShareGroupOffsetsResponse.Topic
Partition: TypeAlias = DescribeShareGroupOffsetsResponse.Partition

WORDLESS = frozenset({ErrorCode.GROUP_AUTHORIZATION_FAILED, ErrorCode.UNSUPPORTED_VERSION})
"""The codes for a whole group that come without a message."""
NOWHERE = -1
UNKNOWN = -1


def _handle(call: Call, request: DescribeShareGroupOffsetsRequest) -> DescribeShareGroupOffsetsResponse:
    """Describe groups one by one."""
    return DescribeShareGroupOffsetsResponse(groups=[_group(call, asked) for asked in request.groups])


def _group(call: Call, asked: Asked) -> Group:
    """Describe one group."""
    try:
        call.check_faults(None)
        call.cluster.features.check(SHARE_GROUPS)
        call.authorize(Operation.DESCRIBE, Resource.GROUP, asked.group_id)
        topics = _everything(call, asked.group_id) if asked.topics is None else _wanted(call, asked)
    except Refused as refused:
        message = None if refused.code in WORDLESS else refused.shown or refused.code.name
        return Group(group_id=asked.group_id, error_code=refused.code, error_message=message)
    return Group(group_id=asked.group_id, topics=topics)


def _everything(call: Call, group_id: str) -> list[Topic]:
    """Describe all that a group has begun to read, as far as the client may know of it."""
    call.check_coordinator(Kind.GROUP, group_id)
    group = call.cluster.groups.find(group_id)
    known = group.initialized if isinstance(group, ShareGroup) else {}
    names = ((call.cluster.topics_by_id[topic_id].name, sorted(indexes)) for topic_id, indexes in known.items())
    return [_topic(call, group_id, name, indexes) for name, indexes in names if _may_describe(call, name)]


def _wanted(call: Call, asked: Asked) -> list[Topic]:
    """Describe what is asked for: first topics that are not there, last those that are not for the client."""
    missing, found, kept = [], [], []
    refusal = REFUSALS[Resource.TOPIC]
    for topic in asked.topics or ():
        name, indexes = topic.topic_name, topic.partitions
        if not _may_describe(call, name):
            kept.append(Topic(topic_name=name, partitions=[_no_partition(index, refusal) for index in indexes]))
        elif name not in call.cluster.topics:
            missing.append(Topic(topic_name=name, partitions=[_unknown(call, name, index) for index in indexes]))
        elif asked.group_id and indexes and min(indexes) >= 0:
            found.append(_topic(call, asked.group_id, name, sorted(set(indexes))))
        else:  # Kafka's coordinators refuse to ask each other that, and nobody expects it.
            raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR, "no group, no partitions, or a negative one", shown=True)
    return [*missing, *found, *kept]


def _may_describe(call: Call, topic: str) -> bool:
    """Tell whether the client may know of a topic."""
    return call.may(Operation.DESCRIBE, Resource.TOPIC, topic)


def _topic(call: Call, group_id: str, name: str, indexes: Iterable[int]) -> Topic:
    """Describe where a group stands in a topic."""
    topic_id = call.cluster.topics[name].id
    return Topic(
        topic_name=name,
        topic_id=topic_id,
        partitions=[_partition(call, group_id, name, topic_id, index) for index in indexes],
    )


def _partition(call: Call, group_id: str, name: str, topic_id: bytes, index: int) -> Partition:
    """Describe where a group stands in a partition; the lag is what is there less what is done with."""
    try:
        call.check_faults(name, index)
        progress = call.cluster.share_state.summary(group_id, topic_id, index, UNKNOWN)
    except Refused as refused:
        return _no_partition(index, refused.code)
    lag = UNKNOWN
    if progress.start_offset != NOWHERE and progress.delivery_complete_count != UNKNOWN:
        partition = call.cluster.partition(name, index)
        if partition.leader == NO_LEADER:
            return _no_partition(index, ErrorCode.LEADER_NOT_AVAILABLE, start_offset=0)
        lag = partition.high_watermark - progress.start_offset - progress.delivery_complete_count
    return Partition(
        partition_index=index, start_offset=progress.start_offset, leader_epoch=progress.leader_epoch, lag=lag
    )


def _unknown(call: Call, name: str, index: int) -> Partition:
    """Answer for a partition of a topic that is not there: nothing is read there."""
    try:
        call.check_faults(name, index)
    except Refused as refused:
        return _no_partition(index, refused.code)
    return Partition(partition_index=index, start_offset=NOWHERE)


def _no_partition(index: int, code: ErrorCode, start_offset: int = NOWHERE) -> Partition:
    """Return an error in place of a description."""
    return Partition(partition_index=index, start_offset=start_offset, error_code=code, error_message=code.name)


def _partitions(call: Call, request: DescribeShareGroupOffsetsRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return (
        (topic.topic_name, index)
        for group in request.groups
        for topic in group.topics or ()
        for index in topic.partitions
    )


HANDLER = Handler(_handle, _partitions)
