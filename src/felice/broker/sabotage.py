"""What faults do to answers: to a response before it becomes bytes, and to the bytes."""

import random
import struct
from typing import Any

from felice.broker.faults import Action, Fault
from felice.errors import ErrorCode
from felice.wire.records import BatchBuilder, read_header

__all__ = ["Picture", "spoil", "spoil_frame"]

SIZE = struct.Struct(">i")
HEAD = struct.Struct(">ii")
BEHIND_HEAD = 8
"""Where an answer goes on behind its size and its correlation ID."""

Pieces = list[bytes | memoryview]


class Picture:
    """The cluster as Metadata showed it at some time: nodes, and topics by name and ID."""

    def __init__(self, response: Any) -> None:
        self._brokers = list(response.brokers)
        self._controller = response.controller_id
        self._names = {topic.name: topic for topic in response.topics}
        self._ids = {topic.topic_id: topic for topic in response.topics}

    def show(self, response: Any) -> None:
        """Put what was known into an answer about the same topics; of those that came later nothing is known."""
        response.brokers = self._brokers
        response.controller_id = self._controller
        for topic in response.topics:
            known = self._names.get(topic.name) or self._ids.get(topic.topic_id)
            if known is not None:
                topic.error_code, topic.partitions = known.error_code, known.partitions
            else:
                topic.error_code, topic.partitions = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, []


def spoil(fault: Fault, response: Any) -> None:
    """Do to a response what a fault asks for."""
    match fault.action:
        case Action.THROTTLE:
            if hasattr(response, "throttle_time_ms"):
                response.throttle_time_ms = round(fault.details["seconds"] * 1000)
        case Action.STALE:
            fault.details["picture"][0].show(response)
        case Action.BAD_CRC | Action.BOMB if _has_records(response) and fault.strike():
            for topic in response.responses:
                for partition in topic.partitions:
                    if partition.records:
                        partition.records = _spoiled(fault, partition.records)


def _has_records(response: Any) -> bool:
    """Tell whether an answer to Fetch brings records."""
    return any(partition.records for topic in response.responses for partition in topic.partitions)


def _spoiled(fault: Fault, records: Any) -> bytes:
    """Return other records in place of these."""
    if fault.action is Action.BOMB:
        return _bomb(read_header(records).base_offset, fault.details["unpacked"], fault.details["codec"])
    wrong = bytearray(records)
    wrong[-1] ^= 1
    return bytes(wrong)


def _bomb(offset: int, unpacked: int, codec: int) -> bytes:
    """Return a batch of one record that unpacks to many zeros."""
    builder = BatchBuilder()
    builder.append(bytes(unpacked), timestamp_ms=0)
    return bytes(builder.seal(codec=codec, base_offset=offset))


def spoil_frame(fault: Fault, pieces: Pieces, chance: random.Random) -> Pieces:
    """Return the bytes of an answer as a fault sends them."""
    frame = bytearray(b"".join(pieces))
    size, correlation_id = HEAD.unpack_from(frame)
    match fault.action:
        case Action.CUT:
            del frame[min(max(1, int(len(frame) * fault.details["keep"])), len(frame) - 1) :]
        case Action.GARBLE:
            for _ in range(fault.details["flips"]):
                frame[chance.randrange(BEHIND_HEAD, len(frame))] ^= chance.randrange(1, 256)
        case Action.OVERSIZE:
            SIZE.pack_into(frame, 0, fault.details["size"])
        case Action.CROSS:
            HEAD.pack_into(frame, 0, size, (correlation_id + 1) & 0x7FFFFFFF)
    return [bytes(frame)]
