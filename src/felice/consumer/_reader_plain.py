"""Turning bytes into batches in plain Python: a part of `_batch_plain`."""

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from felice.consumer._view_plain import Batch, Row, make_batch
from felice.errors import CorruptBatch, WireError
from felice.types import TimestampType
from felice.wire._records_plain import crc32c, parse_records
from felice.wire.compression import Codec, decompress
from felice.wire.record import HEADER_BYTES

__all__ = ["Reader", "scan"]

Deserializers = tuple[Callable[[bytes], Any] | None, Callable[[bytes], Any] | None]

UNPACKED: Final = 4 * 1024 * 1024
_CODEC, _LOG_APPEND, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20

_header = struct.Struct(">qiibIhiqqqhii")
_head = struct.Struct(">qi")


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
    if length < HEADER_BYTES - 12:
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
        made = make_batch(
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
            payload: Any = self._view[self._at + HEADER_BYTES : self._at + header.whole]
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
        self._abort_up_to(header.last_offset)
        return header.producer_id in self._aborted

    def _abort_up_to(self, offset: int) -> None:
        """Take it that the aborted transactions that begin up to an offset have begun."""
        while self._aborting and self._aborting[-1][0] <= offset:
            self._aborted.add(self._aborting.pop()[1])

    def _end_transaction(self, header: _Head) -> None:
        """Read a control batch: an abort marker ends the aborted transaction of its producer."""
        assert self._view is not None
        payload = self._view[self._at + HEADER_BYTES : self._at + header.whole]
        try:
            if header.records != 1 or header.attributes & _CODEC:
                raise CorruptBatch("no marker")
            ((_, _, key, _, _),) = parse_records(payload, 1)
            if key is None or len(key) < 4:
                raise CorruptBatch("no marker")
        except CorruptBatch:
            raise self._refusal(_BAD_RECORD) from None
        # Also the transactions of which nothing but the marker is left to read.
        self._abort_up_to(header.last_offset)
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
