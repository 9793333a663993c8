"""What faults do to answers: to a response before it becomes bytes, and to the bytes."""

import functools
import random
import struct
from typing import TYPE_CHECKING, Any

from felice.broker.faults import Action, Fault
from felice.errors import ErrorCode
from felice.wire.records import BatchBuilder
from felice.wire.schema import ZERO_UUID

if TYPE_CHECKING:
    from felice.broker.call import Call

__all__ = ["Picture", "spoil", "spoil_frame"]

SIZE = struct.Struct(">i")
HEAD = struct.Struct(">ii")
BEHIND_HEAD = 8
"""Where an answer goes on behind its size and its correlation ID."""
OFFSET = struct.Struct(">q")
FIRST = struct.Struct(">qi")
"""With what a batch begins: its offset, and how many bytes there are behind this."""

Pieces = list[bytes | memoryview]


class Picture:
    """The cluster as Metadata showed it at some time: nodes, and topics by name and ID."""

    def __init__(self, response: Any) -> None:
        self._brokers = list(response.brokers)
        self._controller = response.controller_id
        self._names = {topic.name: topic for topic in response.topics}
        self._ids = {topic.topic_id: topic for topic in response.topics}

    def show(self, call: "Call", response: Any) -> None:
        """Put what was known into the answer to a request; of topics that came later nothing is known."""
        response.brokers = self._brokers
        response.controller_id = self._controller
        asked: Any = call.request
        if asked.topics is None or (call.version == 0 and not asked.topics):
            response.topics = list(self._names.values())
            return
        by_id = any(topic.topic_id != ZERO_UUID for topic in asked.topics)
        for topic in response.topics:
            known = self._ids.get(topic.topic_id) if by_id else self._names.get(topic.name)
            if known is not None:
                topic.name, topic.topic_id, topic.is_internal = known.name, known.topic_id, known.is_internal
                topic.error_code, topic.partitions = known.error_code, known.partitions
            elif by_id:
                topic.name, topic.error_code, topic.partitions = None, ErrorCode.UNKNOWN_TOPIC_ID, []
            else:
                topic.topic_id, topic.partitions = ZERO_UUID, []
                topic.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def spoil(fault: Fault, response: Any, call: "Call | None" = None) -> None:
    """Do to a response what a fault asks for; without the `call` that it answers, as far as that goes."""
    match fault.action:
        case Action.THROTTLE:
            if hasattr(response, "throttle_time_ms"):
                response.throttle_time_ms = round(fault.details["seconds"] * 1000)
        case Action.STALE if call is not None:
            fault.details["picture"][0].show(call, response)
        case Action.BAD_CRC | Action.BOMB:
            targets = [
                partition
                for topic in response.responses
                for partition in topic.partitions
                if partition.records and fault.target.covers(_name(topic, call), partition.partition_index)
            ]
            if targets and fault.strike():
                for partition in targets:
                    partition.records = _spoiled(fault, partition.records)


def _name(topic: Any, call: "Call | None") -> str | None:
    """Return the name of a topic in an answer to Fetch, which may have its ID only."""
    if call is None or topic.topic_id == ZERO_UUID:
        return topic.topic  # type: ignore[no-any-return]
    found = call.cluster.topics_by_id.get(topic.topic_id)
    return None if found is None else found.name


def _spoiled(fault: Fault, records: Any) -> bytes:
    """Return other records in place of these, or their first batch damaged: the last one may be cut off."""
    offset, size = FIRST.unpack_from(records)
    if fault.action is Action.BOMB:
        return OFFSET.pack(offset) + _bomb(fault.details["unpacked"], fault.details["codec"])[OFFSET.size :]
    wrong = bytearray(records)
    wrong[FIRST.size + size - 1] ^= 1
    return bytes(wrong)


@functools.lru_cache(maxsize=1)
def _bomb(unpacked: int, codec: int) -> bytes:
    """Return a batch of one record that unpacks to many zeros. Making one takes a while, and holds up the broker."""
    builder = BatchBuilder()
    builder.append(bytes(unpacked), timestamp_ms=0)
    return bytes(builder.seal(codec=codec))


def spoil_frame(fault: Fault, pieces: Pieces, chance: random.Random) -> Pieces:
    """Return the bytes of an answer as a fault sends them."""
    frame = bytearray(b"".join(pieces))
    size, correlation_id = HEAD.unpack_from(frame)
    match fault.action:
        case Action.CUT:
            del frame[min(max(1, int(len(frame) * fault.details["keep"])), len(frame) - 1) :]
        case Action.GARBLE:
            behind = range(BEHIND_HEAD, len(frame))
            for place in chance.sample(behind, min(fault.details["flips"], len(behind))):
                frame[place] ^= chance.randrange(1, 256)
        case Action.OVERSIZE:
            SIZE.pack_into(frame, 0, fault.details["size"])
        case Action.CROSS:
            HEAD.pack_into(frame, 0, size, (correlation_id + 1) & 0x7FFFFFFF)
    return [bytes(frame)]
