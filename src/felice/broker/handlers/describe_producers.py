"""DescribeProducers: the producers that a partition remembers, and their open transactions (KIP-664)."""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.call import Call, Handler
from felice.broker.refusal import Refused
from felice.broker.topics import check_name
from felice.wire.messages.describe_producers import DescribeProducersRequest, DescribeProducersResponse

__all__ = ["HANDLER"]

PartitionAnswer: TypeAlias = DescribeProducersResponse.PartitionResponse


def _handle(call: Call, request: DescribeProducersRequest) -> DescribeProducersResponse:
    """Describe the partitions that this node leads."""
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
        check_name(topic)
        partition = call.led_partition(topic, index)
    except Refused as refused:
        answer.error_code = refused.code
        answer.error_message = refused.message or refused.code.name
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


def _partitions(call: Call, request: DescribeProducersRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return ((topic.name, index) for topic in request.topics for index in topic.partition_indexes)


HANDLER = Handler(_handle, _partitions)
