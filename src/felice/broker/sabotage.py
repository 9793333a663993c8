"""What faults do to requests and answers: before a request is answered, to the response, and to its bytes."""

import asyncio
import functools
import random
import struct
from collections.abc import Awaitable, Callable, Sequence
from logging import getLogger
from typing import TYPE_CHECKING, Any

from felice.broker.authorization import Operation, Resource
from felice.broker.connection import Answer, Connection, Last, Muted, Pieces, Then
from felice.broker.faults import Action, Fault, removal
from felice.errors import ErrorCode
from felice.wire.records import BatchBuilder
from felice.wire.schema import ZERO_UUID

if TYPE_CHECKING:
    from felice.broker.call import Call

__all__ = ["Picture", "endure", "spoil", "spoil_frame"]

SIZE = struct.Struct(">i")
HEAD = struct.Struct(">ii")
BEHIND_HEAD = 8
"""Where an answer goes on behind its size and its correlation ID."""
OFFSET = struct.Struct(">q")
FIRST = struct.Struct(">qi")
"""With what a batch begins: its offset, and how many bytes there are behind this."""

_log = getLogger("felice.broker")


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
            response.topics = [
                topic for name, topic in self._names.items() if call.may(Operation.DESCRIBE, Resource.TOPIC, name)
            ]
            return
        by_id = any(topic.topic_id != ZERO_UUID for topic in asked.topics)
        for topic in response.topics:
            if topic.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
                continue
            known = self._ids.get(topic.topic_id) if by_id else self._names.get(topic.name)
            if known is not None:
                topic.name, topic.topic_id, topic.is_internal = known.name, known.topic_id, known.is_internal
                topic.error_code, topic.partitions = known.error_code, known.partitions
            elif by_id:
                topic.name, topic.error_code, topic.partitions = None, ErrorCode.UNKNOWN_TOPIC_ID, []
            else:
                topic.topic_id, topic.partitions = ZERO_UUID, []
                topic.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def endure(
    faults: Sequence[Fault], chance: random.Random, connection: Connection, ask: Callable[[], Awaitable[Pieces | None]]
) -> Answer:
    """Return what a client hears whose request faults have hit: `ask` gives the answer that it would be without them.

    What they do to the response is done there already, by `spoil`.
    """
    for fault in faults:
        match fault.action:
            case Action.DELAY:
                await _pause(fault, chance)
            case Action.HOLD:
                await removal(fault)
            case Action.DROP:
                return _ended(fault, connection)
            case Action.SILENCE:
                return Last([], Then.SILENCE)
    pieces = await ask()
    muted = 0.0
    for fault in faults:
        match fault.action:
            case Action.DELAY_ANSWER:
                await _pause(fault, chance)
            case Action.DROP_ANSWER:
                return _ended(fault, connection)
            case Action.SILENCE_ANSWER:
                return Last([], Then.SILENCE)
            case Action.THROTTLE:
                muted = max(muted, fault.details["seconds"])
            case Action.CUT if pieces is not None:
                return Last(spoil_frame(fault, pieces, chance), Then.CLOSE)
            case Action.GARBLE | Action.OVERSIZE | Action.CROSS if pieces is not None:
                pieces = spoil_frame(fault, pieces, chance)
    return Muted(pieces or [], muted) if muted else pieces


async def _pause(fault: Fault, chance: random.Random) -> None:
    """Wait as long as a fault says."""
    await asyncio.sleep(fault.details["seconds"] + chance.random() * fault.details["jitter"])


def _ended(fault: Fault, connection: Connection) -> Last:
    """End a connection, as a fault has it."""
    _log.debug("connection from %s closed: %r", connection.peer, fault)
    return Last([], Then.RESET if fault.details["reset"] else Then.CLOSE)


def spoil(fault: Fault, response: Any, call: "Call | None" = None) -> None:
    """Do to a response what a fault asks for; without the `call` that it answers, as far as that goes."""
    match fault.action:
        case Action.THROTTLE:
            if hasattr(response, "throttle_time_ms"):
                response.throttle_time_ms = round(fault.details["seconds"] * 1000)
        case Action.STALE if call is not None:
            for picture in fault.details["picture"]:  # It is gone when the fault was removed meanwhile.
                picture.show(call, response)
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
