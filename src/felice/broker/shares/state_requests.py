"""What the five requests for share groups' state have in common: one answer for each partition, by topics."""

from collections.abc import Callable, Iterable
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.broker.shares.share_partition import SharePartition

__all__ = ["Act", "named_partitions", "results"]

Act = Callable[[SharePartition, Any], dict[str, Any]]
"""Does what is asked of a partition; returns what the answer tells besides its number."""


def results(call: Call, request: Any, result: type[Any], act: Act, *, lenient: bool = False) -> list[Any]:
    """Return the answers, of the type `result`, for each topic.

    A request without a group is answered with nothing, and unless the API is `lenient` also one with a topic without
    partitions. Who names a partition twice gets one answer, the last one; as in Kafka they come in order.
    """
    complete = request.group_id and (lenient or all(topic.partitions for topic in request.topics))
    if not complete and not call.error():
        return []
    answers: dict[bytes, dict[int, Any]] = {}
    for topic in request.topics:
        for asked in topic.partitions:
            key = SharePartition(request.group_id, topic.topic_id, asked.partition)
            answers.setdefault(topic.topic_id, {})[asked.partition] = result.PartitionResult(
                partition=asked.partition, **_done(call, key, asked, act)
            )
    return [
        result(topic_id=topic_id, partitions=[partitions[index] for index in sorted(partitions)])
        for topic_id, partitions in answers.items()
    ]


def _done(call: Call, key: SharePartition, asked: Any, act: Act) -> dict[str, Any]:
    """Do what is asked of one partition, if this node coordinates it."""
    try:
        call.check_faults(None)
        for topic, partition in _names(call, key.topic_id, key.partition):
            call.check_faults(topic, partition)
        call.authorize(Operation.CLUSTER_ACTION, Resource.CLUSTER)
        call.check_coordinator(Kind.SHARE, key.coordinator_key)
        return act(key, asked)
    except Refused as refused:
        return {"error_code": refused.code, "error_message": refused.message or refused.code.name}


def named_partitions(call: Call, request: Any) -> Iterable[tuple[str, int]]:
    """Give the partitions that a request names, as far as their topics exist."""
    for topic in request.topics:
        for asked in topic.partitions:
            yield from _names(call, topic.topic_id, asked.partition)


def _names(call: Call, topic_id: bytes, partition: int) -> Iterable[tuple[str, int]]:
    """Give the partition by its topic's name, if that exists."""
    topic = call.cluster.topics_by_id.get(topic_id)
    if topic is not None:
        yield topic.name, partition
