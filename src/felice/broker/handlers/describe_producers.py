"""DescribeProducers: the producers that a partition remembers, and their open transactions (KIP-664)."""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.refusal import Refused
from felice.broker.topics import check_name
from felice.errors import ErrorCode
from felice.wire.messages.describe_producers import DescribeProducersRequest, DescribeProducersResponse

__all__ = ["HANDLER"]

PartitionAnswer: TypeAlias = DescribeProducersResponse.PartitionResponse


def _handle(call: Call, request: DescribeProducersRequest) -> DescribeProducersResponse:
    """Describe the partitions of which this node has a replica."""
    return DescribeProducersResponse(
        topics=[
            DescribeProducersResponse.TopicResponse(
                name=topic.name,
                partitions=[_describe(call, topic.name, index) for index in topic.partition_indexes],
            )
            for topic in request.topics
        ]
    )


def _describe(call: Call, topic: str, index: int) -> PartitionAnswer:
    """Describe one partition's producers."""
    answer = DescribeProducersResponse.PartitionResponse(partition_index=index)
    try:
        call.check_faults(topic, index)
        _check_topic(call, topic)
        partition = call.cluster.partition(topic, index)
        if call.node.id not in partition.replicas:
            raise Refused(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    except Refused as refused:
        answer.error_code = refused.code
        answer.error_message = refused.shown
        return answer
    heard_since = call.cluster.clock.time_ms() - call.cluster.settings.number("producer.id.expiration.ms")
    answer.active_producers = [
        DescribeProducersResponse.ProducerState(
            producer_id=known.producer_id,
            producer_epoch=known.epoch,
            last_sequence=known.last_sequence,
            last_timestamp=known.last_timestamp,
            coordinator_epoch=known.coordinator_epoch,
            current_txn_start_offset=known.transaction_start,
        )
        for known in partition.producers.active(heard_since)
    ]
    return answer


def _check_topic(call: Call, topic: str) -> None:
    """Refuse a topic that is not there or not for this client; only then Kafka says more than the code."""
    try:
        call.authorize(Operation.READ, Resource.TOPIC, topic)
        check_name(topic)
    except Refused as refused:
        raise Refused(refused.code, refused.message, shown=True) from None
    if topic not in call.cluster.topics:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {topic!r}", shown=True)


def _partitions(call: Call, request: DescribeProducersRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return ((topic.name, index) for topic in request.topics for index in topic.partition_indexes)


HANDLER = Handler(_handle, _partitions)
