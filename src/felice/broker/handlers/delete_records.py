"""DeleteRecords: moves the start of a partition's log (KIP-107)."""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.delete_records import DeleteRecordsRequest, DeleteRecordsResponse

__all__ = ["HANDLER"]

HIGH_WATERMARK = -1
NO_WATERMARK = -1

Result: TypeAlias = DeleteRecordsResponse.DeleteRecordsPartitionResult


def _handle(call: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse:
    """Delete the records before the offsets that are given."""
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsResponse.DeleteRecordsTopicResult(
                name=topic.name,
                partitions=[
                    _delete(call, topic.name, asked.partition_index, asked.offset) for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _delete(call: Call, topic: str, index: int, offset: int) -> Result:
    """Delete the first records of one partition."""
    try:
        partition = call.led_partition(topic, index, Operation.DELETE)
        if "delete" not in call.cluster.topic(topic).settings.parts("cleanup.policy"):
            raise Refused(ErrorCode.POLICY_VIOLATION, "the topic's cleanup.policy deletes nothing")
        wanted = partition.high_watermark if offset == HIGH_WATERMARK else offset
        if not 0 <= wanted <= partition.high_watermark:
            raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE)
        partition.delete_before(wanted)
    except Refused as refused:
        return Result(partition_index=index, low_watermark=NO_WATERMARK, error_code=refused.code)
    return Result(partition_index=index, low_watermark=partition.log.start_offset)


def _partitions(call: Call, request: DeleteRecordsRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return ((topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)


HANDLER = Handler(_handle, _partitions)
