"""Batches and messages in plain Python: the twin of `_batch`, whose head tells how it all works.

Where the compiled one makes objects as they are asked for, this one makes its rows when it decodes; the rest is the
same, and the same tests run on both.
"""

import struct
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from types import GenericAlias
from typing import Any, Final, NamedTuple

from felice.errors import CorruptBatch, DeserializeError, WireError
from felice.types import Header, TimestampType
from felice.wire._records_plain import _parse as parse_records
from felice.wire._records_plain import crc32c, varint
from felice.wire.compression import Codec, decompress

__all__ = ["AsyncMessages", "Batch", "Message", "Messages", "Reader", "scan"]

Deserializers = tuple[Callable[[bytes], Any] | None, Callable[[bytes], Any] | None]

HEADER: Final = 61
UNPACKED: Final = 4 * 1024 * 1024
_CODEC, _LOG_APPEND, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20

_header = struct.Struct(">qiibIhiqqqhii")
_head = struct.Struct(">qi")


def _length(value: object) -> int:
    return len(value) if isinstance(value, (bytes, bytearray, memoryview, str)) else 0


def _short(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 60 else said[:57] + "..."


class Message:
    """One record of a topic; read-only.

    `topic`, `partition`, `offset`; `value` and `key`, bytes or what the deserializer made of them, None where the
    record has none; `timestamp_ms` in milliseconds since 1970; `leader_epoch`, -1 where unknown; `size` in bytes, of
    key, value and headers.
    """

    __slots__ = (
        "headers",
        "key",
        "leader_epoch",
        "offset",
        "partition",
        "size",
        "timestamp_ms",
        "timestamp_type",
        "topic",
        "value",
    )

    topic: str
    partition: int
    offset: int
    value: Any
    key: Any
    headers: tuple[Header, ...]
    timestamp_ms: int
    timestamp_type: TimestampType
    leader_epoch: int
    size: int

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        value: Any,
        key: Any = None,
        *,
        headers: Sequence[Header] = (),
        timestamp_ms: int = -1,
        timestamp_type: TimestampType = TimestampType.CREATE,
        leader_epoch: int = -1,
        size: int = -1,
    ) -> None:
        if hasattr(self, "topic"):
            raise TypeError("a message never changes")
        if not isinstance(topic, str):
            raise TypeError(f"a topic of type {type(topic).__name__}")
        decoded = tuple(headers)
        if size < 0:
            size = _length(value) + _length(key)
            for name, content in decoded:
                size += len(name.encode("utf-8", "surrogateescape")) + _length(content)
        for field, held in zip(
            _FIELDS,
            (topic, partition, offset, value, key, decoded, timestamp_ms, timestamp_type, leader_epoch, size),
            strict=True,
        ):
            object.__setattr__(self, field, held)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a message never changes: {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a message never changes: {name!r} cannot be deleted")

    def __repr__(self) -> str:
        return (
            f"Message(topic={self.topic!r}, partition={self.partition}, offset={self.offset}, "
            f"key={_short(self.key)}, value={_short(self.value)}, timestamp_ms={self.timestamp_ms})"
        )

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field) for field in _FIELDS)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Message):
            return self._fields() == other._fields()
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.topic, self.partition, self.offset))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self._fields()

    __class_getitem__ = classmethod(GenericAlias)  # type: ignore[var-annotated]  # as the standard library's own


_FIELDS = (
    "topic",
    "partition",
    "offset",
    "value",
    "key",
    "headers",
    "timestamp_ms",
    "timestamp_type",
    "leader_epoch",
    "size",
)


def _rebuild(
    topic: str,
    partition: int,
    offset: int,
    value: Any,
    key: Any,
    headers: tuple[Header, ...],
    timestamp_ms: int,
    timestamp_type: TimestampType,
    leader_epoch: int,
    size: int,
) -> Message:
    """Make a message from what `Message.__reduce__` says of it."""
    return Message(
        topic,
        partition,
        offset,
        value,
        key,
        headers=headers,
        timestamp_ms=timestamp_ms,
        timestamp_type=timestamp_type,
        leader_epoch=leader_epoch,
        size=size,
    )


class Row(NamedTuple):
    """A record, before anybody has asked for it."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    names: "list[tuple[bytes, bytes | None]]"
    """The headers, with their keys as they are on the wire."""
    timestamp_type: TimestampType
    leader_epoch: int

    @property
    def headers(self) -> tuple[Header, ...]:
        return tuple((name.decode("utf-8", "surrogateescape"), value) for name, value in self.names)

    @property
    def size(self) -> int:
        size = len(self.key or b"") + len(self.value or b"")
        if self.names:
            size += len(varint(len(self.names)))
            for name, value in self.names:
                size += len(varint(len(name))) + len(name)
                size += 1 if value is None else len(varint(len(value))) + len(value)
        return size


class Batch:
    """Records of one partition, in order of offset, still in the bytes that came from the broker.

    `topic`, `partition`, `generation` (which assignment it belongs to); `offset`, the position it begins at, and
    `next_offset`, the position after it: both may lie further out than its records, where compaction or a transaction
    left gaps. `size` is in bytes, of keys, values and headers.
    """

    __slots__ = (
        "_decode_key",
        "_decode_value",
        "_rows",
        "generation",
        "next_offset",
        "offset",
        "partition",
        "topic",
    )

    topic: str
    partition: int
    generation: int
    offset: int
    next_offset: int
    _rows: list[Row]
    _decode_key: Callable[[bytes], Any] | None
    _decode_value: Callable[[bytes], Any] | None

    def __init__(self) -> None:
        raise TypeError("batches come from a consumer")

    @classmethod
    def empty(cls, topic: str = "", partition: int = -1, generation: int = -1, offset: int = -1) -> "Batch":
        """Make a batch without records, as a poll returns it whose time is up."""
        return _batch([], topic, partition, generation, offset, offset, None, None)

    @property
    def leader_epoch(self) -> int:
        """The leader epoch of the last record; -1 where unknown."""
        return self._rows[-1].leader_epoch if self._rows else -1

    @property
    def size(self) -> int:
        return sum(row.size for row in self._rows)

    def values(self) -> list[Any]:
        """Return the records' values: bytes, None where there is none, or what the deserializer makes of them."""
        return [self._decoded(row, row.value, self._decode_value, "value") for row in self._rows]

    def keys(self) -> list[Any]:
        """Return the records' keys: bytes, None where there is none, or what the deserializer makes of them."""
        return [self._decoded(row, row.key, self._decode_key, "key") for row in self._rows]

    def offsets(self) -> list[int]:
        """Return the records' offsets."""
        return [row.offset for row in self._rows]

    def timestamps_ms(self) -> list[int]:
        """Return the records' timestamps in milliseconds since 1970, the broker's where the topic has it stamp them."""
        return [row.timestamp_ms for row in self._rows]

    def headers(self) -> list[tuple[Header, ...]]:
        """Return the records' headers: for each a tuple of (key, value) pairs."""
        return [row.headers for row in self._rows]

    def messages(self) -> list[Message]:
        """Return the records as messages."""
        return list(self)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Message]:
        return map(self._message, self._rows)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self._rows))
            if step != 1:
                raise ValueError("a slice of a batch has no step: take it of values() or messages()")
            return self._part(start, max(start, stop))
        if not -len(self._rows) <= index < len(self._rows):
            raise IndexError(f"record {index} of a batch of {len(self)}")
        return self._message(self._rows[index])

    def __repr__(self) -> str:
        return (
            f"<Batch of {self.topic}-{self.partition}: {len(self)} records, offsets {self.offset} to "
            f"{self.next_offset - 1}>"
        )

    __class_getitem__ = classmethod(GenericAlias)  # type: ignore[var-annotated]  # as the standard library's own

    def _part(self, start: int, stop: int) -> "Batch":
        """Cut out records `start` to `stop`; the first part begins, and the last part ends, where the whole does."""
        offset, next_offset = self.offset, self.next_offset
        if start > 0:
            offset = self._rows[start - 1].offset + 1
        if stop < len(self._rows):
            next_offset = self._rows[stop - 1].offset + 1 if stop > start else offset
        return _batch(
            self._rows[start:stop],
            self.topic,
            self.partition,
            self.generation,
            offset,
            next_offset,
            self._decode_key,
            self._decode_value,
        )

    def _decoded(self, row: Row, raw: bytes | None, decode: Callable[[bytes], Any] | None, which: str) -> Any:
        """Return a record's key or value as its deserializer makes it; DeserializeError where that raises."""
        if raw is None or decode is None:
            return raw
        try:
            return decode(raw)
        except Exception as error:
            raise DeserializeError(
                f"the {which} of {self.topic}-{self.partition} at offset {row.offset} "
                f"({len(raw)} bytes) cannot be deserialized: {error!r}",
                topic=self.topic,
                partition=self.partition,
                offset=row.offset,
                next_offset=row.offset + 1,
                hint=f"seek to {row.offset + 1} to skip it",
            ) from error

    def _message(self, row: Row) -> Message:
        key = self._decoded(row, row.key, self._decode_key, "key")
        return Message(
            self.topic,
            self.partition,
            row.offset,
            self._decoded(row, row.value, self._decode_value, "value"),
            key,
            headers=row.headers,
            timestamp_ms=row.timestamp_ms,
            timestamp_type=row.timestamp_type,
            leader_epoch=row.leader_epoch,
            size=row.size,
        )


def _batch(
    rows: list[Row],
    topic: str,
    partition: int,
    generation: int,
    offset: int,
    next_offset: int,
    decode_key: Callable[[bytes], Any] | None,
    decode_value: Callable[[bytes], Any] | None,
) -> Batch:
    made = Batch.__new__(Batch)
    made._rows = rows
    made.topic = topic
    made.partition = partition
    made.generation = generation
    made.offset = offset
    made.next_offset = next_offset
    made._decode_key = decode_key
    made._decode_value = decode_value
    return made


class _Following:
    """What the two iterators over all of a consumer's messages share."""

    __slots__ = ("__weakref__", "_at", "_batch", "_refill")

    def __init__(self, refill: Callable[[], Any]) -> None:
        self._refill = refill
        self._batch: Batch | None = None
        self._at = 0

    @property
    def batch(self) -> Batch | None:
        """The batch the iteration is in, or None."""
        return self._batch

    @property
    def position(self) -> int:
        """The last yielded message's offset plus one, or where the batch begins; -1 outside of one."""
        if self._batch is None:
            return -1
        return self._batch._rows[self._at - 1].offset + 1 if self._at else self._batch.offset

    def rest(self) -> Batch | None:
        """Take away what has not been yielded of the batch, as a batch that may be empty; None outside of one."""
        batch, at = self._batch, self._at
        self._batch, self._at = None, 0
        return None if batch is None else batch._part(at, len(batch))

    def _load(self, batch: object) -> None:
        if not isinstance(batch, Batch):
            raise TypeError(f"a batch of type {type(batch).__name__}")
        self._batch, self._at = batch, 0

    def _following(self) -> Message | None:
        batch = self._batch
        if batch is None or self._at >= len(batch):
            return None
        message = batch._message(batch._rows[self._at])
        self._at += 1
        return message


class Messages(_Following):
    """Iterates over message after message, batch after batch, and knows how far it is.

    `refill` is called for each next batch; None ends the iteration.
    """

    __slots__ = ()

    def __iter__(self) -> "Messages":
        return self

    def __next__(self) -> Message:
        while (message := self._following()) is None:
            batch = self._refill()
            if batch is None:
                raise StopIteration
            self._load(batch)
        return message


class _Ready:
    """An awaitable whose result is there."""

    __slots__ = ("_result",)

    def __init__(self, result: Message) -> None:
        self._result = result

    def __await__(self) -> Generator[Any, None, Message]:
        return self._result
        yield  # makes it a generator


class AsyncMessages(_Following):
    """`Messages` for `async for`; `refill` is a coroutine function.

    A message that is there already costs no coroutine and no turn of the event loop.
    """

    __slots__ = ()

    def __aiter__(self) -> "AsyncMessages":
        return self

    def __anext__(self) -> Awaitable[Message]:
        message = self._following()
        return self._refilled() if message is None else _Ready(message)

    async def _refilled(self) -> Message:
        refill: Callable[[], Coroutine[Any, Any, Any]] = self._refill
        while (message := self._following()) is None:
            batch = await refill()
            if batch is None:
                raise StopAsyncIteration
            self._load(batch)
        return message


class _Head(NamedTuple):
    """A batch's header."""

    whole: int
    base_offset: int
    last_offset: int
    leader_epoch: int
    crc: int
    attributes: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    records: int


_BAD_LENGTH = "its length is less than a header's"
_BAD_MAGIC = "it is of another format than record batches version 2"
_BAD_COUNT = "its count of records does not fit its length or its offsets"
_BAD_CRC = "its checksum does not match its content"
_BAD_RECORD = "its records do not fit its length or its offsets"


def _read_header(view: memoryview, at: int) -> _Head | str | None:
    """Read the batch header at `at`: None where the batch is not all there, a reason where it makes no sense."""
    left = len(view) - at
    if left < 12:
        return None
    base_offset, length = _head.unpack_from(view, at)
    if length < HEADER - 12:
        return _BAD_LENGTH
    if left > 16 and view[at + 16] != 2:
        return _BAD_MAGIC
    whole = length + 12
    if whole > left:
        return None
    _, _, epoch, _, crc, attributes, delta, first, latest, producer, _, _, count = _header.unpack_from(view, at)
    if delta < 0 or base_offset < 0 or base_offset + delta > 2**63 - 2 or not 0 <= count <= delta + 1:
        return _BAD_COUNT
    return _Head(
        whole, base_offset, base_offset + delta, epoch, crc, attributes & 0xFFFF, first, latest, producer, count
    )


class Reader:
    """Turns the bytes of one partition into batches, in one thread.

    `add` gives it what a broker answered; `decode` makes records available, `take` hands them out. Left out are records
    below the position, control batches and, where `aborted` is given, aborted transactions; the position moves past
    them. When a batch makes no sense, all records before it are handed out first; then `decode` raises CorruptBatch or
    DecompressionLimit each time it is called, the position stays at the batch, and `failed_next` is the offset after
    it.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        generation: int,
        position: int,
        *,
        check_crc: bool = True,
        max_batch_bytes: int = 67108864,
        deserializers: Deserializers | None = None,
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._generation = generation
        self._check_crc = check_crc
        self._limit = max_batch_bytes
        self._decode_key, self._decode_value = deserializers or (None, None)
        self._waiting: list[tuple[Any, Sequence[tuple[int, int]] | None]] = []
        self._view: memoryview | None = None
        self._at = 0
        self._checked = -1
        self._settled = False
        self._committed = False
        self._aborting: list[tuple[int, int]] = []
        self._aborted: set[int] = set()
        self._rows: list[Row] = []
        self._taken = 0
        self._unpacked = 0
        self._decoded = position
        self.position = position
        """The offset of the next record that `take` hands out, or where to go on."""
        self.failed_next = -1
        """The offset after the batch that made no sense; -1 where there is none."""
        self.leader_epoch = -1
        """The leader epoch of the last batch decoded; -1 where unknown."""

    @property
    def pending(self) -> int:
        """How many decoded records `take` has not handed out."""
        return len(self._rows) - self._taken

    @property
    def dry(self) -> bool:
        """Whether all that was added is read and handed out."""
        return not self.pending and self._view is None and not self._waiting

    def add(self, data: Any, aborted: Sequence[tuple[int, int]] | None = None) -> None:
        """Read on in `data`, a buffer, when what was added before is read.

        `aborted` is the answer's list of aborted transactions as (producer ID, first offset); None reads everything,
        as read_uncommitted does.
        """
        self._waiting.append((data, aborted))

    def decode(self, want: int) -> int:
        """Make up to `want` records available, or the next batch whatever it holds; return how many there are.

        0 means that all that was added is read. Does nothing while records are pending.
        """
        if self.pending:
            return self.pending
        self._rows, self._taken, self._unpacked = [], 0, 0
        while True:
            if self._view is None:
                if not self._waiting:
                    break
                self._begin(*self._waiting.pop(0))
            assert self._view is not None
            header = _read_header(self._view, self._at)
            if header is None:
                self._view = None
                continue
            try:
                if not self._pass_over(header, want):
                    break
            except WireError:
                if self._rows:
                    break
                self.position = self._decoded
                self.failed_next = -1 if isinstance(header, str) else header.last_offset + 1
                raise
        if not self._rows:
            self.position = self._decoded
        return len(self._rows)

    def take(self, most: int) -> Batch:
        """Hand out up to `most` of the pending records; `decode` first. The batch may be empty."""
        start = self._taken
        stop = min(len(self._rows), start + max(most, 0))
        next_offset = self._decoded
        if stop < len(self._rows):
            next_offset = self._rows[stop - 1].offset + 1 if stop > start else self.position
        made = _batch(
            self._rows[start:stop],
            self._topic,
            self._partition,
            self._generation,
            self.position,
            next_offset,
            self._decode_key,
            self._decode_value,
        )
        self._taken = stop
        self.position = next_offset
        return made

    def _begin(self, data: Any, aborted: Sequence[tuple[int, int]] | None) -> None:
        """Begin to read in other bytes."""
        self._view = memoryview(data).cast("B")
        self._at = 0
        self._checked = -1
        self._aborted = set()
        # The nearest last.
        self._aborting = sorted(((first, producer) for producer, first in aborted or ()), reverse=True)
        self._committed = bool(self._aborting)

    def _pass_over(self, header: _Head | str, want: int) -> bool:
        """Pass the next batch, with or without its records; False where it has to wait. Raises WireError."""
        if isinstance(header, str):
            raise self._refusal(header)
        if header.last_offset < self._decoded:
            self._at += header.whole  # Brokers answer with whole batches: some begin below what was asked for.
            return True
        if self._rows and len(self._rows) + header.records > want:
            return False
        assert self._view is not None
        if self._checked != self._at:
            body = self._view[self._at + 21 : self._at + header.whole]
            if self._check_crc and crc32c(body) != header.crc:
                raise self._refusal(_BAD_CRC)
            self._checked = self._at
        if header.attributes & _CONTROL:
            if self._committed:
                self._end_transaction(header)
        elif header.records and not self._was_aborted(header):
            payload: Any = self._view[self._at + HEADER : self._at + header.whole]
            if number := header.attributes & _CODEC:
                if self._rows and self._unpacked >= UNPACKED:
                    return False
                if number > Codec.ZSTD:
                    raise CorruptBatch(f"a batch in codec {number}, which does not exist")
                payload = decompress(Codec(number), payload, self._limit)
                self._index(header, payload)
                self._unpacked += len(payload)
            else:
                self._index(header, payload)
        self._at += header.whole
        self._decoded = header.last_offset + 1
        self.leader_epoch = header.leader_epoch
        return True

    def _was_aborted(self, header: _Head) -> bool:
        """Look up whether a batch is part of an aborted transaction."""
        if not (self._committed and header.attributes & _TRANSACTIONAL):
            return False
        while self._aborting and self._aborting[-1][0] <= header.last_offset:
            self._aborted.add(self._aborting.pop()[1])
        return header.producer_id in self._aborted

    def _end_transaction(self, header: _Head) -> None:
        """Read a control batch: an abort marker ends the aborted transaction of its producer."""
        assert self._view is not None
        payload = self._view[self._at + HEADER : self._at + header.whole]
        try:
            if header.records != 1 or header.attributes & _CODEC:
                raise CorruptBatch("no marker")
            ((_, _, key, _, _),) = parse_records(payload, 1)
            if key is None or len(key) < 4:
                raise CorruptBatch("no marker")
        except CorruptBatch:
            raise self._refusal(_BAD_RECORD) from None
        if key[2:4] == b"\0\0":
            self._aborted.discard(header.producer_id)

    def _index(self, header: _Head, payload: Any) -> None:
        """Add a batch's records, but for those below the position."""
        if len(payload) // 7 < header.records:
            raise self._refusal(_BAD_COUNT)
        try:
            parsed = parse_records(payload, header.records)
        except CorruptBatch:
            raise self._refusal(_BAD_RECORD) from None
        stamped = header.attributes & _LOG_APPEND
        kind = TimestampType.LOG_APPEND if stamped else TimestampType.CREATE
        rows = []
        previous = -1
        for delta, later, key, value, names in parsed:
            if not previous < delta <= header.last_offset - header.base_offset:
                raise self._refusal(_BAD_RECORD)
            previous = delta
            if header.base_offset + delta >= self._decoded:
                # As in C, a sum beyond 64 bits comes round.
                timestamp = (header.base_timestamp + later + 2**63) % 2**64 - 2**63
                rows.append(
                    Row(
                        header.base_offset + delta,
                        header.max_timestamp if stamped else timestamp,
                        key,
                        value,
                        names,
                        kind,
                        header.leader_epoch,
                    )
                )
        self._rows += rows

    def _refusal(self, reason: str) -> CorruptBatch:
        return CorruptBatch(
            f"a record batch of {self._topic}-{self._partition} at offset {self._decoded} is damaged: {reason}",
            position=self._at,
        )


def scan(data: Any, offset: int) -> tuple[int, int, int, int]:
    """Look over record batches without reading them: what is there, for one who asked for them from `offset`.

    Returns how many bytes are whole batches, the offset to ask for next, the size of the incomplete batch that follows
    them (0 where there is none), and the leader epoch of the last whole one (-1 where unknown). Where something makes
    no sense it is left to `Reader` to say what: all bytes count as whole then, and the size is -1.
    """
    view = memoryview(data).cast("B")
    at, epoch = 0, -1
    while isinstance(header := _read_header(view, at), _Head):
        at += header.whole
        epoch = header.leader_epoch
        offset = max(offset, header.last_offset + 1)
    if header is not None:
        return len(view), offset, -1, epoch
    return at, offset, 12 + int(_head.unpack_from(view, at)[1]) if len(view) - at >= 12 else 0, epoch
