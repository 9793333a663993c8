"""AlterShareGroupOffsets: a share group without members goes on at other offsets (KIP-932)."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from felice.broker.authorization import REFUSALS, Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.coordination import Kind
from felice.broker.features import SHARE_GROUPS
from felice.broker.groups.share_offsets import alter
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.alter_share_group_offsets import AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse

__all__ = ["HANDLER"]

Asked: TypeAlias = AlterShareGroupOffsetsRequest.Topic
Topic: TypeAlias = AlterShareGroupOffsetsResponse.Topic
Partition: TypeAlias = AlterShareGroupOffsetsResponse.Partition

NO_ID = bytes(16)


def _handle(
    call: Call, request: AlterShareGroupOffsetsRequest
) -> "AlterShareGroupOffsetsResponse | asyncio.Future[Any]":
    """Alter what can be altered; topics that cannot be come first in the answer."""
    try:
        call.check_faults(None)
        call.cluster.features.check(SHARE_GROUPS)
        call.authorize(Operation.READ, Resource.GROUP, request.group_id)
        if not request.group_id:
            raise Refused(ErrorCode.INVALID_GROUP_ID)
        call.check_coordinator(Kind.GROUP, request.group_id)
        left = {topic.topic_name: code for topic in request.topics if (code := _check_topic(call, topic.topic_name))}
        codes = _alter(call, request.group_id, [topic for topic in request.topics if topic.topic_name not in left])
    except Refused as refused:
        return _refused(refused.code, refused.shown)
    first = sorted(request.topics, key=lambda topic: topic.topic_name not in left)
    response = AlterShareGroupOffsetsResponse(responses=[_topic(call, topic, left, codes) for topic in first])
    return call.when_written(Kind.GROUP, request.group_id, response, _refused)


def _refused(code: ErrorCode, message: str | None = None) -> AlterShareGroupOffsetsResponse:
    """Answer with an error."""
    return AlterShareGroupOffsetsResponse(error_code=code, error_message=message or code.name)


def _check_topic(call: Call, name: str) -> ErrorCode:
    """Tell what keeps a topic from being altered."""
    if not call.may(Operation.READ, Resource.TOPIC, name):
        return REFUSALS[Resource.TOPIC]
    return ErrorCode.NONE if name in call.cluster.topics else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def _topic(
    call: Call, asked: Asked, left: Mapping[str, ErrorCode], codes: Mapping[tuple[str, int], ErrorCode]
) -> Topic:
    """Answer for one topic: with what keeps all of it from being altered, or with what became of its partitions."""
    name, known = asked.topic_name, call.cluster.topics.get(asked.topic_name)
    indexes = [part.partition_index for part in asked.partitions]
    return Topic(
        topic_name=name,
        topic_id=NO_ID if known is None else known.id,
        partitions=[
            _partition(index, _ordered(call, name, index) or left.get(name) or codes[name, index]) for index in indexes
        ],
    )


def _alter(call: Call, group_id: str, topics: Iterable[Asked]) -> dict[tuple[str, int], ErrorCode]:
    """Alter partitions as far as they exist; return what became of each."""
    cluster = call.cluster
    codes: dict[tuple[str, int], ErrorCode] = {}
    starts: dict[bytes, dict[int, int]] = {}
    for asked in topics:
        if any(part.partition_index < 0 for part in asked.partitions):
            # Kafka's coordinators refuse to ask each other that, and nobody expects it.
            raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR, "a partition's number is not negative", shown=True)
        topic = cluster.topics[asked.topic_name]
        starts[topic.id] = {}
        for part in asked.partitions:
            where = topic.name, part.partition_index
            codes[where] = _ordered(call, *where) or _check(call, *where)
            if not codes[where]:
                starts[topic.id][part.partition_index] = part.start_offset
    for (topic_id, index), refused in alter(cluster.groups, group_id, starts).items():
        codes[cluster.topics_by_id[topic_id].name, index] = refused.code
    return codes


def _ordered(call: Call, topic: str, index: int) -> ErrorCode:
    """Return the error that a fault orders for a partition."""
    try:
        call.check_faults(topic, index)
    except Refused as refused:
        return refused.code
    return ErrorCode.NONE


def _check(call: Call, topic: str, index: int) -> ErrorCode:
    """Tell whether a partition is there."""
    exists = index < len(call.cluster.topics[topic].partitions)
    return ErrorCode.NONE if exists else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def _partition(index: int, code: ErrorCode) -> Partition:
    """Answer for one partition."""
    return Partition(partition_index=index, error_code=code, error_message=code.name if code else None)


def _partitions(call: Call, request: AlterShareGroupOffsetsRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return ((topic.topic_name, part.partition_index) for topic in request.topics for part in topic.partitions)


HANDLER = Handler(_handle, _partitions)
