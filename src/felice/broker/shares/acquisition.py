"""Which records a member gets: those that are available, as they were batched, and then new ones (KIP-932).

Records that have failed often are handed out in ever smaller numbers, so that a bad one is found: from half of the
deliveries on, half of a batch, then a quarter, and at last each record alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

from felice.broker.shares.deliveries import Acquired, Delivery, InFlight, RecordState, runs
from felice.broker.shares.window import Window

__all__ = ["Acquisition", "Span", "Wish"]

FEWEST = 2
"""Deliveries before records are handed out in smaller numbers; who may have no more gets them all at once."""

Span = tuple[int, int]
"""The first and the last offset of a batch in the log."""


class Wish(NamedTuple):
    """What a member asks for."""

    member_id: str
    max_records: int
    batch_size: int
    """New records are put into batches of about as many."""
    strict: bool
    """Whether `max_records` is kept to exactly (KIP-1206), and not rounded up to whole batches."""


class Acquisition:
    """One member's turn, for whom records of a partition were read from the log."""

    __slots__ = ("_due", "_found", "_most", "_spans", "_window", "_wish")

    def __init__(self, window: Window, wish: Wish, spans: Sequence[Span], most: int, due: float) -> None:
        """Take the batches that were read, how often a record is delivered at most, and when locks are over."""
        self._window = window
        self._wish = wish
        self._spans = spans
        self._most = most
        self._due = due
        self._found: list[Acquired] = []

    def run(self, offset: int, locks: int) -> list[Acquired]:
        """Acquire what was read from `offset` on, where at most `locks` offsets may be in flight."""
        window, (base, _) = self._window, self._spans[0]
        last = self._spans[-1][1]
        if self._wish.max_records <= 0 or last < window.start:
            return []
        room = min(self._wish.max_records, locks - window.size)
        if room <= 0:
            if offset > window.end:
                return []
            # There is no room for more, but something between may be delivered again.
            room, last = min(self._wish.max_records, window.end - offset + 1), min(last, window.end)
        window.skip(offset, base)
        first, floor = base, window.floor(base)
        if floor is None:
            first = max(base, window.start)
        elif floor.last >= base:
            first = floor.first
        known = window.beginning_in(min(base, first), last)
        if not known:
            self._acquire_new(first, last, room)
            return self._found
        room = self._acquire_known(known, last, room)
        if room > 0 and known[-1].last < last:
            self._acquire_new(known[-1].last + 1, last, room)
        return self._found

    # --- what was in flight before ---

    def _acquire_known(self, known: Sequence[InFlight], last: int, room: int) -> int:
        """Acquire what is available of some batches, and return for how much there is room then."""
        base = self._spans[0][0]
        for batch in known:
            if room <= 0:
                break
            if batch.is_hole:
                room -= self._acquire_hole(batch, last, room)
                continue
            tired = self._is_tired(batch, base, last)
            if tired and self._found:
                return 0
            partly = batch.first < base or batch.last > last or (self._wish.strict and len(batch) > room)
            delivery = batch.whole
            if delivery is not None and delivery.state is not RecordState.AVAILABLE:
                continue
            if delivery is None or partly or tired:
                count = self._acquire_some(batch, base, last, room)
                room -= count
                if tired and count:
                    return 0
            else:
                self._deliver(delivery)
                self._found.append(Acquired(batch.first, batch.last, delivery.count))
                room -= len(batch)
        return room

    def _acquire_some(self, batch: InFlight, base: int, last: int, room: int) -> int:
        """Acquire single offsets of a batch, and return how many."""
        offsets = batch.offsets()
        found: list[tuple[int, int]] = []
        most: int | None = None
        for offset, delivery in batch.between(base, last):
            if delivery.state is not RecordState.AVAILABLE:
                continue
            before = delivery.count
            last_try = self._most > FEWEST and before == self._most - 1
            if last_try and found:
                break  # It is to be alone.
            if most is None and before >= self._tired_from:
                most = max(1, len(offsets) >> (before - self._tired_from + 1))
            self._deliver(delivery)
            found.append((offset, delivery.count))
            if last_try or len(found) == most or (self._wish.strict and len(found) == room):
                break
        self._found += runs(found)
        return len(found)

    @property
    def _tired_from(self) -> int:
        """From how many deliveries on records are handed out in smaller numbers."""
        return max(FEWEST, -(-self._most // 2))

    def _is_tired(self, batch: InFlight, base: int, last: int) -> bool:
        """Tell whether a batch is to be handed out in parts."""
        if batch.whole is not None:
            return batch.whole.state is RecordState.AVAILABLE and batch.whole.count >= self._tired_from
        return any(
            delivery.state is RecordState.AVAILABLE and delivery.count >= self._tired_from
            for _, delivery in batch.between(base, last)
        )

    # --- what was not ---

    def _acquire_hole(self, hole: InFlight, last: int, room: int) -> int:
        """Acquire what lies between batches that were remembered, and return how much."""
        first, last = max(hole.first, self._spans[0][0]), min(hole.last, last)
        self._window.batches.remove(hole)
        return self._acquire_new(first, last, room, upto=hole.last)

    def _acquire_new(self, first: int, last: int, room: int, upto: int | None = None) -> int:
        """Acquire records that were never delivered, about as many as there is room for, and return how many.

        Where they fill a hole, `upto` is its end: what is not acquired of it stays one.
        """
        window = self._window
        # A batch in the log may lie across its start. Kafka does this only where nothing is in flight, and hands out
        # deleted records else; in the strict mode it looks for the rest of them for ever.
        first = max(first, window.start)
        if room < last - first + 1:
            last = min(last, self._end_of(first + room - 1))
        if self._wish.strict:
            taken = min(room, last - first + 1)
            batch = self._add(first, last)
            if taken < len(batch):
                for offset in range(first + taken, last + 1):
                    batch.offsets()[offset] = Delivery(RecordState.AVAILABLE, 0)
            self._found.append(Acquired(first, first + taken - 1, 1))
            count = taken
        else:
            for start, end in self._cuts(first, last):
                self._add(start, end)
                self._found.append(Acquired(start, end, 1))
            count = last - first + 1
        window.grown(first, last)
        if upto is not None and upto > last:
            window.add_hole(last + 1, upto)
        return count

    def _add(self, first: int, last: int) -> InFlight:
        """Note a batch that is the member's."""
        delivery = Delivery(RecordState.ACQUIRED, 1, self._wish.member_id, self._due)
        batch = InFlight(first, last, delivery)
        self._window.add(batch)
        return batch

    def _end_of(self, offset: int) -> int:
        """Return the last offset of the batch in the log that holds `offset`."""
        return next((last for first, last in self._spans if first <= offset <= last), offset)

    def _cuts(self, first: int, last: int) -> list[Span]:
        """Cut new records into batches of about the size that is wished for, where the log has batches end."""
        found: list[Span] = []
        if last - first + 1 > self._wish.batch_size:
            for base, _ in self._spans:
                if base <= last and base - first >= max(1, self._wish.batch_size):
                    found.append((first, base - 1))
                    first = base
        return [*found, (first, last)]

    def _deliver(self, delivery: Delivery) -> None:
        """Give something to the member."""
        delivery.acquire(self._wish.member_id, self._due)
