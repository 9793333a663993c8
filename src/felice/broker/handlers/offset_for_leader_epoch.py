"""OffsetForLeaderEpoch: where an epoch ended, for readers that look for truncation (KIP-320)."""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.refusal import Refused
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse

__all__ = ["HANDLER"]

Asked: TypeAlias = OffsetForLeaderEpochRequest.OffsetForLeaderPartition
EpochEnd: TypeAlias = OffsetForLeaderEpochResponse.EpochEndOffset


def _handle(call: Call, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse:
    """Look the epochs up."""
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult(
                topic=topic.topic, partitions=[_look_up(call, topic.topic, asked) for asked in topic.partitions]
            )
            for topic in request.topics
        ]
    )


def _look_up(call: Call, topic: str, asked: Asked) -> EpochEnd:
    """Look up where one epoch of one partition ended."""
    try:
        needed = None if call.may(Operation.CLUSTER_ACTION, Resource.CLUSTER) else Operation.DESCRIBE
        partition = call.led_partition(topic, asked.partition, needed, asked.current_leader_epoch)
    except Refused as refused:
        return EpochEnd(error_code=refused.code, partition=asked.partition)
    epoch, end = partition.epochs.end_of(asked.leader_epoch, partition.log.end_offset)
    return EpochEnd(partition=asked.partition, leader_epoch=epoch, end_offset=end)


def _partitions(call: Call, request: OffsetForLeaderEpochRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return ((topic.topic, asked.partition) for topic in request.topics for asked in topic.partitions)


HANDLER = Handler(_handle, _partitions)
