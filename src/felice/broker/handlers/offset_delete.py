"""OffsetDelete: a group forgets what it has committed of some partitions (KIP-496)."""

import asyncio
from collections.abc import Iterable
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.coordination import Kind
from felice.broker.groups.group import Group
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: OffsetDeleteRequest) -> "OffsetDeleteResponse | asyncio.Future[Any]":
    """Delete the offsets of partitions that exist and that no member reads."""
    try:
        call.check_faults(None)
        call.authorize(Operation.DELETE, Resource.GROUP, request.group_id)
        if not request.group_id:
            raise Refused(ErrorCode.INVALID_GROUP_ID)
        call.check_coordinator(Kind.GROUP, request.group_id)
        groups = call.cluster.groups
        group = groups.get(request.group_id)
        group.check_offset_delete()
    except Refused as refused:
        return _refused(refused.code)
    going: list[tuple[str, int]] = []
    response = OffsetDeleteResponse(
        topics=[
            OffsetDeleteResponse.Topic(
                name=topic.name,
                partitions=[
                    OffsetDeleteResponse.Topic.Partition(
                        partition_index=asked.partition_index,
                        error_code=_check(call, group, topic.name, asked.partition_index, going),
                    )
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
    try:
        groups.drop_offsets(group, going)
    except Refused as refused:
        return _refused(refused.code)
    return call.when_written(Kind.GROUP, request.group_id, response, _refused)


def _refused(code: ErrorCode) -> OffsetDeleteResponse:
    """Answer with an error."""
    return OffsetDeleteResponse(error_code=code)


def _check(call: Call, group: Group, topic: str, partition: int, going: list[tuple[str, int]]) -> ErrorCode:
    """Tell whether an offset may be deleted, and note it."""
    try:
        call.check_faults(topic, partition)
        call.authorize(Operation.READ, Resource.TOPIC, topic)
        call.cluster.partition(topic, partition)
    except Refused as refused:
        return refused.code
    if group.subscribes(topic):
        return ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    going.append((topic, partition))
    return ErrorCode.NONE


def _partitions(call: Call, request: OffsetDeleteRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return ((topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)


HANDLER = Handler(_handle, _partitions)
