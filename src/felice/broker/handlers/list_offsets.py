"""ListOffsets: the ends of a log, and its records by time."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse

__all__ = ["HANDLER"]


class Special(IntEnum):
    """What a timestamp below zero asks for."""

    LATEST = -1
    EARLIEST = -2
    MAX_TIMESTAMP = -3
    EARLIEST_LOCAL = -4
    LATEST_TIERED = -5
    EARLIEST_PENDING_UPLOAD = -6


SINCE: Mapping[int, int] = {
    Special.LATEST: 1,
    Special.EARLIEST: 1,
    Special.MAX_TIMESTAMP: 7,
    Special.EARLIEST_LOCAL: 8,
    Special.LATEST_TIERED: 9,
    Special.EARLIEST_PENDING_UPLOAD: 11,
}
"""The versions that brought what is no time (KIP-734, KIP-405, KIP-1005, KIP-1023)."""
NOT_AVAILABLE_FROM = 5
NOWHERE = -1
NO_TIME = -1
READ_COMMITTED = 1

Asked: TypeAlias = ListOffsetsRequest.ListOffsetsPartition
Found: TypeAlias = ListOffsetsResponse.ListOffsetsPartitionResponse


def _handle(call: Call, request: ListOffsetsRequest) -> ListOffsetsResponse:
    """Look the offsets up; a partition that is named twice is refused, once."""
    named = Counter(_partitions(call, request))
    isolation = request.isolation_level
    return ListOffsetsResponse(
        topics=[
            ListOffsetsResponse.ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[
                    _look_up(call, topic.name, asked, isolation, named[topic.name, index] > 1)
                    for index, asked in {asked.partition_index: asked for asked in topic.partitions}.items()
                ],
            )
            for topic in request.topics
        ]
    )


def _look_up(call: Call, topic: str, asked: Asked, isolation: int, twice: bool) -> Found:
    """Look up one partition's offset."""
    try:
        if call.guard is not None:
            call.check_faults(topic, asked.partition_index)
            call.authorize(Operation.DESCRIBE, Resource.TOPIC, topic)
        if twice:
            raise Refused(ErrorCode.INVALID_REQUEST)
        if asked.timestamp < 0 and call.version < SINCE.get(asked.timestamp, call.version + 1):
            raise Refused(ErrorCode.UNSUPPORTED_VERSION)
        partition = call.led_partition(topic, asked.partition_index, leader_epoch=asked.current_leader_epoch)
        offset, time, epoch = _find(partition, asked.timestamp, isolation)
    except Refused as refused:
        code = refused.code
        if code == ErrorCode.OFFSET_NOT_AVAILABLE and call.version < NOT_AVAILABLE_FROM:
            code = ErrorCode.LEADER_NOT_AVAILABLE
        return Found(partition_index=asked.partition_index, error_code=code)
    return Found(
        partition_index=asked.partition_index,
        offset=offset,
        timestamp=time,
        leader_epoch=epoch if call.version >= 4 else NOWHERE,
    )


def _find(partition: Partition, timestamp: int, isolation: int) -> tuple[int, int, int]:
    """Return an offset, its record's timestamp and its leader epoch; -1 for what there is not.

    Refuse with OFFSET_NOT_AVAILABLE what the leader cannot know yet.
    """
    log = partition.log
    end = partition.last_stable_offset if isolation == READ_COMMITTED else partition.high_watermark
    # A new leader does not know how far readers came before its own first record is in sync (KIP-207).
    unsure = partition.high_watermark < partition.epochs.latest_start
    match timestamp:
        case Special.LATEST:
            if unsure:
                raise Refused(ErrorCode.OFFSET_NOT_AVAILABLE)
            return end, NO_TIME, partition.leader_epoch
        case Special.EARLIEST | Special.EARLIEST_LOCAL:  # nothing is tiered, so all that there is is local
            return log.start_offset, NO_TIME, partition.epochs.of(log.start_offset)
        case Special.LATEST_TIERED | Special.EARLIEST_PENDING_UPLOAD:
            return NOWHERE, NO_TIME, NOWHERE
        case Special.MAX_TIMESTAMP:
            found = log.latest_stamped()
        case _:
            found = log.first_since(timestamp)
    if unsure and found is not None and found[0] >= end:
        raise Refused(ErrorCode.OFFSET_NOT_AVAILABLE)
    if found is None or found[0] >= end:
        return NOWHERE, NO_TIME, NOWHERE
    return *found, partition.epochs.of(found[0])


def _partitions(call: Call, request: ListOffsetsRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return ((topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)


HANDLER = Handler(_handle, _partitions)
