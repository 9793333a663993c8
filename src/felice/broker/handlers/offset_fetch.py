"""OffsetFetch: how far groups have committed."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.coordination import Kind
from felice.broker.groups.group import Group
from felice.broker.groups.offsets import Committed
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse

__all__ = ["HANDLER"]

GROUP_ERROR_FROM = 2
BATCHED_FROM = 8
IDS_FROM = 10

NONE_COMMITTED = Committed(-1)

Answer: TypeAlias = OffsetFetchResponse.Group
Topic: TypeAlias = OffsetFetchResponse.Group.Topics
Partition: TypeAlias = OffsetFetchResponse.Group.Topics.Partitions


def _handle(call: Call, request: OffsetFetchRequest) -> OffsetFetchResponse:
    """Look up what is committed; before version 8 there is one group, whose fields are the request's own."""
    if call.version >= BATCHED_FROM:
        return OffsetFetchResponse(groups=[_fetch(call, asked, request.require_stable) for asked in request.groups])
    topics = None
    if request.topics is not None:
        topics = [
            OffsetFetchRequest.Group.Topics(name=topic.name, partition_indexes=topic.partition_indexes)
            for topic in request.topics
        ]
    asked = OffsetFetchRequest.Group(group_id=request.group_id, topics=topics)
    answer = _fetch(call, asked, request.require_stable)
    if call.version < GROUP_ERROR_FROM and answer.error_code:
        _blame_partitions(asked, answer)
    return OffsetFetchResponse(
        error_code=answer.error_code,
        topics=[
            OffsetFetchResponse.Topic(
                name=topic.name,
                partitions=[
                    OffsetFetchResponse.Topic.Partition(
                        partition_index=found.partition_index,
                        committed_offset=found.committed_offset,
                        committed_leader_epoch=found.committed_leader_epoch,
                        metadata=found.metadata,
                        error_code=found.error_code,
                    )
                    for found in topic.partitions
                ],
            )
            for topic in answer.topics
        ],
    )


def _fetch(call: Call, asked: OffsetFetchRequest.Group, stable: bool) -> Answer:
    """Look up one group's offsets; a group that does not exist has committed nothing."""
    try:
        call.check_coordinator(Kind.GROUP, asked.group_id, Operation.DESCRIBE)
        group = call.cluster.groups.replicated(asked.group_id)
        if group is not None:
            group.check_fetch(asked.member_id, asked.member_epoch)
    except Refused as refused:
        return Answer(group_id=asked.group_id, error_code=refused.code)
    if asked.topics is None:
        topics = _all(call, group, stable)
    else:
        topics = _some(call, group, stable, asked.topics)
    return Answer(group_id=asked.group_id, topics=topics)


def _all(call: Call, group: Group | None, stable: bool) -> list[Topic]:
    """Return all that is committed of topics that exist."""
    by_topic: Mapping[str, Mapping[int, Committed]] = {} if group is None else group.offsets.by_topic
    answer = []
    for name, partitions in by_topic.items():
        if not call.may(Operation.DESCRIBE, Resource.TOPIC, name):
            continue
        topic = call.cluster.topics.get(name)
        if topic is not None or call.version < IDS_FROM:
            found = [_partition(call, group, name, partition, stable) for partition in partitions]
            answer.append(Topic(name=name, topic_id=bytes(16) if topic is None else topic.id, partitions=found))
    return answer


def _some(
    call: Call, group: Group | None, stable: bool, asked: Iterable[OffsetFetchRequest.Group.Topics]
) -> list[Topic]:
    """Return what is committed of some partitions, and -1 where nothing is."""
    found: list[Topic] = []
    unknown: list[Topic] = []
    for topic in asked:
        name: str | None = topic.name
        if call.version >= IDS_FROM:
            known = call.cluster.topics_by_id.get(topic.topic_id)
            name = None if known is None else known.name
        partitions = [
            _nothing(index, ErrorCode.UNKNOWN_TOPIC_ID)
            if name is None
            else _partition(call, group, name, index, stable)
            for index in topic.partition_indexes
        ]
        (unknown if name is None else found).append(
            Topic(name=name or "", topic_id=topic.topic_id, partitions=partitions)
        )
    return found + unknown


def _partition(call: Call, group: Group | None, topic: str, partition: int, stable: bool) -> Partition:
    """Return what is committed of one partition."""
    try:
        call.check_faults(topic, partition)
        call.authorize(Operation.DESCRIBE, Resource.TOPIC, topic)
    except Refused as refused:
        return _nothing(partition, refused.code)
    if group is not None and stable and group.offsets.is_pending(topic, partition):
        return _nothing(partition, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    committed = (None if group is None else group.offsets.get(topic, partition)) or NONE_COMMITTED
    return Partition(
        partition_index=partition,
        committed_offset=committed.offset,
        committed_leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
    )


def _nothing(partition: int, code: ErrorCode) -> Partition:
    """Return an error."""
    return Partition(partition_index=partition, committed_offset=NONE_COMMITTED.offset, metadata="", error_code=code)


def _blame_partitions(asked: OffsetFetchRequest.Group, answer: Answer) -> None:
    """Have each partition bear the group's error, where the version has no place for it."""
    code = ErrorCode(answer.error_code)
    answer.topics = [
        Topic(name=topic.name, partitions=[_nothing(index, code) for index in topic.partition_indexes])
        for topic in asked.topics or ()
    ]


def _partitions(call: Call, request: OffsetFetchRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    for topic in request.topics or ():
        for index in topic.partition_indexes:
            yield topic.name, index
    for group in request.groups:
        for asked in group.topics or ():
            known = call.cluster.topics_by_id.get(asked.topic_id)
            for index in asked.partition_indexes:
                yield asked.name if known is None else known.name, index


HANDLER = Handler(_handle, _partitions)
