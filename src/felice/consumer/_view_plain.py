"""Batches, messages and iteration in plain Python: a part of `_batch_plain`.

Where the compiled twin makes objects as they are asked for, this one has its rows from the start.
"""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import GenericAlias
from typing import Any, NamedTuple

from felice.errors import DeserializeError
from felice.types import Header, TimestampType

__all__ = ["AsyncMessages", "Batch", "Message", "Messages", "Row", "make_batch"]


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
        return size + sum(len(name) + len(value or b"") for name, value in self.names)


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
        return make_batch([], topic, partition, generation, offset, offset, None, None)

    @property
    def leader_epoch(self) -> int:
        """The leader epoch of the last record; -1 where unknown."""
        return self._rows[-1].leader_epoch if self._rows else -1

    @property
    def size(self) -> int:
        """Bytes of all keys, values and headers."""
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
        if not len(self):
            return "<Batch of no records>"
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
        return make_batch(
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


def make_batch(
    rows: list[Row],
    topic: str,
    partition: int,
    generation: int,
    offset: int,
    next_offset: int,
    decode_key: Callable[[bytes], Any] | None,
    decode_value: Callable[[bytes], Any] | None,
) -> Batch:
    """Make a batch, which users cannot."""
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

    __slots__ = ("__weakref__", "_at", "_batch", "_refill", "owner", "shelf")

    def __init__(self, refill: Callable[[], Any]) -> None:
        self._refill = refill
        self._batch: Batch | None = None
        self._at = 0
        self.owner: Any = None
        """What the next batch belongs to, if `refill` says so: the batch is dropped unless `owner.shelf is shelf`."""
        self.shelf: Any = None

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

    def _following(self) -> Message | None:
        """Return the next message; None where there is none."""
        while True:
            batch, at = self._batch, self._at
            if batch is None or at >= len(batch._rows):
                return None
            message = batch._message(batch._rows[at])
            # Race: a pause while a message is made.
            #   1. reader: has record 7 deserialized      2. pauser: takes the rest away, record 7 the first of it
            #   3. reader: has its message, which must not come twice
            # No call stands between the look and the step, so nothing comes between them.
            if self._batch is batch and self._at == at:
                self._at = at + 1
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
            # No call from here to where the batch is kept, or a signal's exception could come between and lose it.
            if batch.__class__ is not Batch:
                raise TypeError(f"a batch of type {type(batch).__name__}")
            if self.owner is None or self.owner.shelf is self.shelf:
                self._batch, self._at = batch, 0
        return message


class _Ready:
    """An awaitable whose result is there."""

    __slots__ = ("_result",)

    def __init__(self, result: Message) -> None:
        self._result = result

    def __await__(self) -> "_Ready":
        return self

    def __iter__(self) -> "_Ready":
        return self

    def __next__(self) -> Any:
        raise StopIteration(self._result)


class AsyncMessages(_Following):
    """`Messages` for `async for`; `refill` is a coroutine function.

    A message that is there already costs no coroutine and no turn of the event loop.
    """

    __slots__ = ()

    def __aiter__(self) -> "AsyncMessages":
        return self

    def __anext__(self) -> "Coroutine[Any, Any, Message] | _Ready":
        message = self._following()
        return self._refilled() if message is None else _Ready(message)

    async def _refilled(self) -> Message:
        refill: Callable[[], Coroutine[Any, Any, Any]] = self._refill
        while (message := self._following()) is None:
            batch = await refill()
            if batch is None:
                raise StopAsyncIteration
            if batch.__class__ is not Batch:
                raise TypeError(f"a batch of type {type(batch).__name__}")
            if self.owner is None or self.owner.shelf is self.shelf:
                self._batch, self._at = batch, 0
        return message
