"""DescribeTopicPartitions: topics in the order of their names, page by page (KIP-966)."""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.topics import INTERNAL, check_name
from felice.errors import ErrorCode
from felice.wire.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
)

__all__ = ["HANDLER"]

Described: TypeAlias = DescribeTopicPartitionsResponse.Topic


def _handle(call: Call, request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse:
    """Describe one page."""
    asked = list(dict.fromkeys(topic.name for topic in request.topics))
    cursor = request.cursor
    names = sorted(asked or call.cluster.topics)
    known = {name for name in names if call.error() or call.may(Operation.DESCRIBE, Resource.TOPIC, name)}
    if cursor is not None:
        strange = cursor.partition_index < 0 or (asked and cursor.topic_name not in asked)
        if strange and not call.error():
            return DescribeTopicPartitionsResponse(
                topics=[Described(error_code=ErrorCode.INVALID_REQUEST, name=name) for name in asked]
            )
        names = [name for name in names if name >= cursor.topic_name]
    hidden = [name for name in names if name not in known] if asked else []
    most = call.cluster.settings.number("max.request.partition.size.limit")
    room = max(1, min(request.response_partition_limit, most))
    response = DescribeTopicPartitionsResponse()
    for name in filter(known.__contains__, names):
        start = cursor.partition_index if cursor is not None and cursor.topic_name == name else 0
        if room == 0:
            response.next_cursor = DescribeTopicPartitionsResponse.Cursor(topic_name=name, partition_index=0)
            break
        described, more = _topic(call, name, start, room)
        response.topics.append(described)
        room -= len(described.partitions)
        if more:
            behind = start + len(described.partitions)
            response.next_cursor = DescribeTopicPartitionsResponse.Cursor(topic_name=name, partition_index=behind)
            break
    response.topics += [Described(error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED, name=name) for name in hidden]
    return response


def _topic(call: Call, name: str, start: int, room: int) -> tuple[Described, bool]:
    """Describe a topic's partitions from `start` on, as many as there is room for; tell whether there are more."""
    try:
        call.check_faults(name)
        check_name(name)
        topic = call.cluster.topic(name)
    except Refused as refused:
        failed = Described(
            error_code=refused.code,
            name=name,
            is_internal=name in INTERNAL,
            topic_authorized_operations=call.permitted(Resource.TOPIC, name),
        )
        return failed, False
    alive = call.cluster.alive_ids
    described = Described(
        name=name,
        topic_id=topic.id,
        is_internal=topic.is_internal,
        partitions=[_partition(partition, alive) for partition in topic.partitions[start : start + room]],
        topic_authorized_operations=call.permitted(Resource.TOPIC, name),
    )
    return described, len(topic.partitions) > start + room


def _partition(partition: Partition, alive: set[int]) -> DescribeTopicPartitionsResponse.Partition:
    """Describe a partition. One without a leader is no error here, unlike in Metadata."""
    return DescribeTopicPartitionsResponse.Partition(
        partition_index=partition.index,
        leader_id=partition.leader,
        leader_epoch=partition.leader_epoch,
        replica_nodes=list(partition.replicas),
        isr_nodes=list(partition.in_sync),
        eligible_leader_replicas=list(partition.eligible),
        last_known_elr=list(partition.last_known),
        offline_replicas=[node for node in partition.replicas if node not in alive],
    )


def _partitions(call: Call, request: DescribeTopicPartitionsRequest) -> Iterable[tuple[str, int]]:
    """Give the first partitions of the topics that are asked for."""
    return ((topic.name, 0) for topic in request.topics)


HANDLER = Handler(_handle, _partitions)
