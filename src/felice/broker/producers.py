"""What one partition remembers of the producers that wrote to it (KIP-98): epochs, the last five batches, transactions.

Nothing here appends: `judge` and `judge_end` say what is to be done with a batch or a marker, and `remember` and `end`
are told what was.
"""

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from felice.broker.open_transactions import OpenTransactions
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.records import ControlType, Record, read_control, read_header, read_records
from felice.wire.schema.message import Buffer

__all__ = ["NO_PRODUCER", "Appended", "Known", "LastBatch", "Producers", "last_sequence"]

NO_PRODUCER = -1
NO_SEQUENCE = -1
NO_COORDINATOR = -1
NOT_OPEN = -1
WINDOW = 5
MOST_JOINING = 1024
"""Of how many producers whose first batch was refused it is known."""
LARGEST = 0x7FFFFFFF
_marker = struct.Struct(">hi")
LAST_EPOCH = 0x7FFF
BUMPED_FROM = 2
"""The version of transactions whose every end raises the epoch (KIP-890)."""


class Appended(NamedTuple):
    """A batch that was appended."""

    first_sequence: int
    last_sequence: int
    offset: int
    """The offset of its first record."""
    timestamp: int
    """Its largest timestamp."""


class Known(NamedTuple):
    """What is known of one producer."""

    producer_id: int
    epoch: int
    last_sequence: int
    last_timestamp: int
    coordinator_epoch: int
    """That of the coordinator that wrote its last marker, or -1."""
    transaction_start: int
    """Where its open transaction begins, or -1."""


class LastBatch(NamedTuple):
    """What must stay of a producer in a log, so that it is still known when the log is read anew."""

    epoch: int
    last_offset: int | None
    """The offset of its last record in this epoch; None where there is only a marker."""


class Producer:
    """One producer's epoch and window."""

    __slots__ = ("coordinator_epoch", "epoch", "heard_ms", "timestamp", "window")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.window: deque[Appended] = deque(maxlen=WINDOW)
        self.coordinator_epoch = NO_COORDINATOR
        self.timestamp = -1
        """The largest timestamp of its latest batch, or its latest marker's."""
        self.heard_ms = 0
        """When that was appended, by the broker's clock."""

    def raise_epoch(self, epoch: int) -> None:
        """Begin another epoch, with sequences from 0."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.window.clear()


def last_sequence(first: int, count: int) -> int:
    """Return the sequence of the last of `count` records; sequences wrap to 0 behind 2**31 - 1."""
    return (first + count - 1) & LARGEST


def _coordinator_epoch(marker: Record) -> int:
    """Return the epoch of the coordinator that wrote a marker."""
    epoch: int = _marker.unpack_from(marker.value or b"")[1]
    return epoch


class Producers:
    """The idempotent and transactional producers that wrote to one partition."""

    __slots__ = ("_joining", "_known", "transactions")

    def __init__(self) -> None:
        self._known: dict[int, Producer] = {}
        self._joining: dict[int, tuple[int, int]] = {}
        self.transactions = OpenTransactions()

    # --- batches ---

    def in_transaction(self, producer_id: int, epoch: int) -> bool:
        """Tell whether a producer's transaction is open here, begun with this epoch."""
        known = self._known.get(producer_id)
        return known is not None and known.epoch == epoch and self.transactions.first_offset(producer_id) is not None

    def joins(self, producer_id: int, epoch: int, first: int) -> None:
        """Note the sequence with which a producer wants to begin here in its transaction.

        Should that batch be refused, none behind it may come before it.
        """
        before, lowest = self._joining.pop(producer_id, (epoch, first))
        if epoch > before:
            before, lowest = epoch, first
        self._joining[producer_id] = before, min(lowest, first) if epoch == before else lowest
        if len(self._joining) > MOST_JOINING:
            del self._joining[next(iter(self._joining))]

    def judge(
        self,
        producer_id: int,
        epoch: int,
        first: int,
        last: int,
        *,
        transactional: bool = False,
        bumped: bool = False,
        heard_since: int = 0,
    ) -> Appended | None:
        """Return the earlier batch that this one repeats, or None if it is to be appended.

        Raise `Refused` where it is of an older epoch, leaves a gap, or stands outside the producer's transaction. A
        producer that is not known here, or was not heard of since `heard_since`, may begin anywhere: its earlier
        records may have been deleted. But with `bumped`, in a transaction whose end raises the epoch, it begins at 0.
        """
        known = self._known.get(producer_id)
        if known is not None and self._is_expired(producer_id, known, heard_since):
            del self._known[producer_id]
            known = None
        if known is None:
            self._forget(heard_since)
        if known is not None and epoch < known.epoch:
            raise self._fenced(producer_id, epoch, known.epoch)
        again = self._repeated(known, epoch, first, last)
        if again is not None:
            return again
        if producer_id in self._joining and first > self._joining[producer_id][1]:
            raise self._gap(producer_id, first, "it wanted to begin with an earlier one")
        if bumped and first != 0 and (known is None or not known.window):
            raise self._gap(producer_id, first, "nothing of it is known here, so 0 is expected")
        if known is None:
            return None
        if epoch > known.epoch:
            if first != 0:
                raise self._gap(producer_id, first, f"epoch {epoch} is new, so 0 is expected")
        else:
            expected = (known.window[-1].last_sequence + 1) & LARGEST if known.window else 0
            if first != expected:
                raise self._gap(producer_id, first, f"{expected} is expected")
        if not transactional and self.transactions.first_offset(producer_id) is not None:
            raise Refused(
                ErrorCode.INVALID_TXN_STATE,
                f"producer {producer_id} is in a transaction, and this batch is not",
                position_known=True,
            )
        return None

    def remember(
        self, producer_id: int, epoch: int, batch: Appended, *, transactional: bool = False, heard_ms: int = 0
    ) -> None:
        """Note a batch that was appended at the time `heard_ms`."""
        known = self._heard(producer_id, epoch)
        known.window.append(batch)
        known.timestamp, known.heard_ms = batch.timestamp, heard_ms
        if transactional:
            self._joining.pop(producer_id, None)
            if self.transactions.first_offset(producer_id) is None:
                self.transactions.begin(producer_id, batch.offset)

    # --- markers ---

    def judge_end(self, producer_id: int, epoch: int, coordinator_epoch: int, version: int) -> None:
        """Refuse a marker of an older epoch, or of a coordinator that has been replaced.

        In transactions of `version` 2 a marker has a new epoch (KIP-890); one that comes again, when nothing is open
        any more, is taken.
        """
        known = self._known.get(producer_id)
        if known is None:
            return
        again = epoch == known.epoch and (self.transactions.first_offset(producer_id) is None or epoch == LAST_EPOCH)
        if epoch < known.epoch or (version >= BUMPED_FROM and epoch == known.epoch and not again):
            raise self._fenced(producer_id, epoch, known.epoch)
        if coordinator_epoch < known.coordinator_epoch:
            raise Refused(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"the marker is from coordinator epoch {coordinator_epoch}; {known.coordinator_epoch} has been seen",
            )

    def end(
        self,
        producer_id: int,
        epoch: int,
        coordinator_epoch: int,
        *,
        offset: int,
        committed: bool,
        high_watermark: int,
        timestamp: int,
        heard_ms: int,
    ) -> None:
        """Note a marker that was appended at `offset`."""
        known = self._heard(producer_id, epoch)
        self._joining.pop(producer_id, None)
        known.coordinator_epoch = coordinator_epoch
        known.timestamp, known.heard_ms = timestamp, heard_ms
        self.transactions.end(producer_id, offset, committed=committed, high_watermark=high_watermark)

    # --- all of them ---

    def active(self, heard_since: int = 0) -> Iterator[Known]:
        """Give the producers that were heard of since then, or have a transaction open, in the order of their IDs."""
        for producer_id, known in sorted(self._known.items()):
            if not self._is_expired(producer_id, known, heard_since):
                first = self.transactions.first_offset(producer_id)
                yield Known(
                    producer_id,
                    known.epoch,
                    known.window[-1].last_sequence if known.window else NO_SEQUENCE,
                    known.timestamp,
                    known.coordinator_epoch,
                    NOT_OPEN if first is None else first,
                )

    def last_batches(self, heard_since: int = 0) -> dict[int, LastBatch]:
        """Return the last batches of the producers that were heard of since then, by ID."""
        found = {}
        for producer_id, known in self._known.items():
            if not self._is_expired(producer_id, known, heard_since):
                last = known.window[-1] if known.window else None
                end = None if last is None else last.offset + (last.last_sequence - last.first_sequence & LARGEST)
                found[producer_id] = LastBatch(known.epoch, end)
        return found

    @classmethod
    def read(cls, batches: Iterable[Buffer], heard_ms: int) -> "Producers":
        """Return what a log's batches tell of producers, as when it was cut off and must be read anew."""
        made = cls()
        for batch in batches:
            header = read_header(batch)
            if header.producer_id == NO_PRODUCER:
                continue
            if header.is_control:
                record = next(iter(read_records(batch)), None)
                kind = None if record is None else read_control(record)
                if record is None or kind is None:  # None is left where compaction took all of the transaction away.
                    continue
                made.end(
                    header.producer_id,
                    header.producer_epoch,
                    _coordinator_epoch(record),
                    offset=record.offset,
                    committed=kind is ControlType.COMMIT,
                    high_watermark=record.offset + 1,
                    timestamp=record.timestamp_ms,
                    heard_ms=heard_ms,
                )
            else:
                # Compaction may have taken records away, and leaves the last offset as it was.
                sequences = header.base_sequence, last_sequence(header.base_sequence, header.last_offset_delta + 1)
                made.remember(
                    header.producer_id,
                    header.producer_epoch,
                    Appended(*sequences, header.base_offset, header.max_timestamp),
                    transactional=header.is_transactional,
                    heard_ms=heard_ms,
                )
        return made

    @staticmethod
    def _repeated(known: Producer | None, epoch: int, first: int, last: int) -> Appended | None:
        """Return the batch that has the same sequences, if it is one of the last."""
        if known is None or known.epoch != epoch:
            return None
        return next(
            (batch for batch in known.window if (batch.first_sequence, batch.last_sequence) == (first, last)), None
        )

    def _heard(self, producer_id: int, epoch: int) -> Producer:
        """Return a producer that writes with this epoch now; those that were heard of latest stand last."""
        known = self._known.pop(producer_id, None) or Producer(epoch)
        self._known[producer_id] = known
        known.raise_epoch(epoch)
        return known

    def _forget(self, heard_since: int) -> None:
        """Forget producers whose time is over."""
        expired = []
        for producer_id, known in self._known.items():
            if known.heard_ms >= heard_since:
                break
            if self._is_expired(producer_id, known, heard_since):
                expired.append(producer_id)
        for producer_id in expired:
            del self._known[producer_id]

    def _is_expired(self, producer_id: int, known: Producer, heard_since: int) -> bool:
        """Tell whether a producer is to be forgotten: never while its transaction is open."""
        return known.heard_ms < heard_since and self.transactions.first_offset(producer_id) is None

    @staticmethod
    def _fenced(producer_id: int, epoch: int, seen: int) -> Refused:
        """Return the refusal of an epoch that is over."""
        return Refused(
            ErrorCode.INVALID_PRODUCER_EPOCH,
            f"producer {producer_id} came with epoch {epoch}, and {seen} has been seen",
            position_known=True,
        )

    @staticmethod
    def _gap(producer_id: int, first: int, why: str) -> Refused:
        """Return the refusal of a sequence that does not follow."""
        return Refused(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer {producer_id} came with sequence {first}; {why}",
            position_known=True,
        )
