"""The part of a partition that is in flight in a share group (KIP-932): from the first offset that may yet be delivered
to the last one that was.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from felice.broker.shares.deliveries import Acquired, Delivery, InFlight, RecordState
from felice.broker.shares.state_batch import StateBatch

__all__ = ["Window"]

NEVER_DELIVERED: Final = 0


class Window:
    """Batches in the order of their offsets; between `start` and the last one's end there are no gaps worth reading."""

    __slots__ = ("batches", "complete", "end", "start")

    def __init__(self, start: int, remembered: Iterable[StateBatch] = ()) -> None:
        """Begin where the group is to begin, with what was remembered of what lies behind.

        What lies between was delivered to somebody perhaps, but nothing came of it: that is a hole, and is read again.
        """
        self.start = start
        self.end = start
        """The last offset in flight, or, where there is none, the next one to be."""
        self.complete = 0
        """Of how many offsets from `start` on nothing else will become."""
        self.batches: list[InFlight] = []
        behind = start
        for run in remembered:
            if run.first_offset > behind:
                self.add_hole(behind, run.first_offset - 1)
            delivery = Delivery(RecordState(run.delivery_state), run.delivery_count)
            self.batches.append(InFlight(run.first_offset, run.last_offset, delivery))
            behind = run.last_offset + 1
        if self.batches:
            self.end = self.batches[-1].last
            self.complete = sum(batch.final_between(batch.first, batch.last) for batch in self.batches)
            self.advance()

    @property
    def size(self) -> int:
        """How many offsets are in flight."""
        return self.end - self.start + 1 if self.batches else 0

    @property
    def next_offset(self) -> int:
        """The first offset that may be delivered."""
        if not self.batches or self.start > self.batches[-1].last:
            return self.end
        for batch in self.batches:
            if batch.whole is not None:
                if batch.whole.state is RecordState.AVAILABLE:
                    return batch.first
            else:
                for offset, delivery in batch.split.items():
                    if delivery.state is RecordState.AVAILABLE:
                        return offset
        return self.end + 1

    def reach(self, records: int) -> int:
        """Return the offset before which so many records lie that may be delivered, if they are in the log."""
        return self.end + 1 + records

    def has_room(self, most: int) -> bool:
        """Tell whether there is something to deliver, or room for more, where at most `most` offsets are in flight."""
        return self.next_offset != self.end + 1 or self.size < most

    # --- finding ---

    def floor(self, offset: int) -> InFlight | None:
        """Return the last batch that begins at an offset or before."""
        place = bisect_right(self.batches, offset, key=_first)
        return self.batches[place - 1] if place else None

    def beginning_in(self, first: int, last: int) -> list[InFlight]:
        """Return the batches that begin between two offsets, both included."""
        return self.batches[bisect_left(self.batches, first, key=_first) : bisect_right(self.batches, last, key=_first)]

    def touching(self, first: int, last: int) -> list[InFlight]:
        """Return the batches that begin before `last`, from the one that may hold `first` on."""
        floor = self.floor(first)
        return self.beginning_in(first if floor is None else floor.first, last)

    # --- growing and shrinking ---

    def add(self, batch: InFlight) -> None:
        """Put a batch to its place."""
        self.batches.insert(bisect_left(self.batches, batch.first, key=_first), batch)

    def add_hole(self, first: int, last: int) -> None:
        """Note offsets of which nothing is known."""
        self.add(InFlight(first, last, Delivery(RecordState.AVAILABLE, NEVER_DELIVERED)))

    def grown(self, first: int, last: int) -> None:
        """Note that batches were added from one offset to another."""
        if self.batches[0].first == first:
            self.start = first
        self.end = max(self.end, last)

    def fill(self, hole: InFlight, upto: int) -> None:
        """Take out what of a hole lies before `upto`, also the rest where nothing is left."""
        self.batches.remove(hole)
        if upto <= hole.last:
            self.add_hole(upto, hole.last)

    def advance(self) -> None:
        """Move the start behind what is over."""
        floor = self.floor(self.start)
        if floor is None or not floor.first <= self.start <= floor.last or not floor.at(self.start).state.is_final:
            return
        over = self._over()
        if over is None:
            return
        if over == self.batches[-1].last:
            self.start = self.end = over + 1
            self.batches.clear()
            self.complete = 0
            return
        self.complete -= sum(batch.final_between(self.start, over) for batch in self.beginning_in(0, over))
        while self.batches[0].last <= over:
            self.batches.pop(0)
        self.start = max(self.start, over + 1, self.batches[0].first)

    def _over(self) -> int | None:
        """Return the last offset up to which all is over."""
        over = None
        for batch in self.batches:
            for offset, delivery in _parts(batch):
                if not delivery.state.is_final:
                    return over
                over = offset
        return over

    # --- what is not there any more ---

    def log_starts_at(self, offset: int) -> None:
        """Leave out what lies before the log's start; what somebody has at present is his until he is done with it."""
        if offset <= self.start:
            return
        if not self.batches:
            self.start = self.end = offset
            self.complete = 0
            return
        done = sum(batch.final_between(self.start, offset - 1) for batch in self.batches)
        self.archive(self.start, offset, self.batches)
        self.start = offset
        self.complete -= done
        self.end = max(self.end, offset)

    def skip(self, offset: int, found: int) -> None:
        """Archive what was to be read from `offset` on and does not exist: the next batch is the one at `found`."""
        if not self.batches or offset >= found:
            return
        floor = self.floor(offset)
        first = floor.first if floor is not None and floor.last >= offset else offset
        stale = self.beginning_in(first, found - 1)
        for hole in [batch for batch in stale if batch.is_hole]:
            self.fill(hole, found)
        self.complete += self.archive(offset, found, [batch for batch in stale if not batch.is_hole])
        if self.batches and self.batches[0].first > self.start:
            self.start = self.batches[0].first
        elif not self.batches:
            self.start = self.end = found

    def archive(
        self, first: int, end: int, batches: Iterable[InFlight], state: RecordState = RecordState.AVAILABLE
    ) -> int:
        """Archive what is in a state from `first` up to `end`, which is not included; return how many offsets."""
        count = 0
        for batch in tuple(batches):
            if batch.first >= end:
                break
            if batch.whole is not None:
                if batch.whole.state is not state:
                    continue
                if first <= batch.first and batch.last < end:
                    batch.whole.settle(RecordState.ARCHIVED, 0)
                    count += len(batch)
                    continue
                batch.offsets()
            for _, delivery in batch.between(first, end - 1):
                if delivery.state is state:
                    delivery.settle(RecordState.ARCHIVED, 0)
                    count += 1
        return count

    def archive_acquired(self, acquired: Sequence[Acquired], unwanted: Sequence[tuple[int, int]]) -> list[Acquired]:
        """Archive what was just acquired and nobody is to see, and return what is left."""
        for first, last in unwanted:
            batches = self.touching(first, last)
            self.complete += self.archive(first, last + 1, batches, RecordState.ACQUIRED)
        left = list(acquired)
        for first, last in unwanted:
            left = [part for each in left for part in _without(each, first, last)]
        return left


def _first(batch: InFlight) -> int:
    """Return where a batch begins."""
    return batch.first


def _parts(batch: InFlight) -> Iterator[tuple[int, Delivery]]:
    """Give the last offsets of the parts that were treated alike, and what became of them."""
    if batch.whole is not None:
        yield batch.last, batch.whole
    else:
        yield from batch.split.items()


def _without(acquired: Acquired, first: int, last: int) -> Iterator[Acquired]:
    """Give what lies before and behind some offsets."""
    if acquired.last < first or acquired.first > last:
        yield acquired
        return
    if acquired.first < first:
        yield acquired._replace(last=first - 1)
    if acquired.last > last:
        yield acquired._replace(first=last + 1)
