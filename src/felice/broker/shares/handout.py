"""A partition as its leader hands it out to one share group: who has which records until when (KIP-932)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from felice.broker.clock import Timer
from felice.broker.refusal import Refused
from felice.broker.shares.acquisition import Acquisition, Span, Wish
from felice.broker.shares.deliveries import NOBODY, Acquired, Delivery, InFlight, RecordState
from felice.broker.shares.state_batch import StateBatch
from felice.broker.shares.window import Window
from felice.errors import ErrorCode

__all__ = ["RENEW", "Acknowledged", "Handout", "Limits", "Locks"]

RENEW: Final = 4
OUTCOMES: Final = {
    0: RecordState.ARCHIVED,  # A gap: there is no record that could be delivered.
    1: RecordState.ACKNOWLEDGED,
    2: RecordState.AVAILABLE,
    3: RecordState.ARCHIVED,
}
"""What becomes of records by the type of their acknowledgement."""


class Limits(NamedTuple):
    """What a group's settings say at present."""

    deliveries: int
    """How often a record is delivered at most."""
    locks: int
    """How many records of a partition are in flight at most."""
    lock_seconds: float
    may_renew: bool


class Acknowledged(NamedTuple):
    """What a member says of offsets from the first to the last, that included: one type for all, or one for each."""

    first: int
    last: int
    types: Sequence[int]


class Locks(Protocol):
    """The time by which locks end."""

    def monotonic(self) -> float:
        """Return seconds."""
        ...

    def call_later(self, seconds: float, function: Callable[..., object]) -> Timer:
        """Have a function called."""
        ...


Keep = Callable[[int, int, list[StateBatch]], object]
"""Writes down where the window starts, how much behind that is done with, and what has changed; it may refuse."""


class Handout:
    """The state of one group in one partition. Whoever waits for records is in `watchers`, and hears of them."""

    def __init__(self, window: Window, limits: Callable[[], Limits], clock: Locks, keep: Keep) -> None:
        self.window = window
        self.watchers: set[Callable[[], object]] = set()
        self.is_open = False
        """Whether records are handed out: that begins a little later, and ends where another leads the partition."""
        self._limits = limits
        self._clock = clock
        self._keep = keep
        self._alarm: Timer | None = None

    def open(self) -> None:
        """Begin to hand out."""
        self.is_open = True
        self._tell()

    def close(self) -> None:
        """Hand nothing out any more: somebody else does, or nobody."""
        self.is_open = False
        if self._alarm is not None:
            self._alarm.cancel()
        self._tell()

    # --- handing out ---

    @property
    def has_room(self) -> bool:
        """Whether a member may get something."""
        return self.is_open and self.window.has_room(self._limits().locks)

    def acquire(self, wish: Wish, offset: int, spans: Sequence[Span]) -> list[Acquired]:
        """Give a member records out of the batches that were read from `offset` on."""
        if not self.is_open or not spans:
            return []
        limits = self._limits()
        due = self._clock.monotonic() + limits.lock_seconds
        found = Acquisition(self.window, wish, spans, limits.deliveries, due).run(offset, limits.locks)
        if found:
            self._ring_at(due)
        return found

    # --- getting back ---

    def acknowledge(self, member_id: str, batches: Iterable[Acknowledged]) -> None:
        """Do what a member says, all of it or (INVALID_RECORD_STATE, INVALID_REQUEST) none; but locks stay renewed."""
        changes = _Changes(self.window, self._limits().deliveries)
        try:
            for batch in batches:
                if batch.last >= self.window.start:
                    self._acknowledge(member_id, batch, changes)
            self._note(changes)
        except Refused:
            changes.undo()
            raise
        finally:
            self._tell()

    def release(self, member_id: str) -> None:
        """Take back all that a member has."""
        changes = _Changes(self.window, self._limits().deliveries)
        self._take_back(changes, lambda delivery: delivery.owner == member_id)
        try:
            self._note(changes)
        except Refused:
            changes.undo()
            raise
        finally:
            self._tell()

    def _acknowledge(self, member_id: str, asked: Acknowledged, changes: "_Changes") -> None:
        """Do what a member says of some offsets."""
        window = self.window
        batches = window.touching(asked.first, asked.last)
        floor = window.floor(asked.first)
        if floor is None and not asked.first < window.start <= asked.last:
            raise Refused(ErrorCode.INVALID_RECORD_STATE, "these records are not in flight", shown=True)
        if not batches or batches[-1].last < asked.last:
            raise Refused(ErrorCode.INVALID_REQUEST, "these records were not acquired", shown=True)
        for batch in batches:
            if batch.last < window.start:
                continue
            split = len(asked.types) > 1 or not asked.first <= batch.first <= batch.last <= asked.last
            if batch.whole is not None:
                _check_owner(batch.whole, member_id)
                if not split and batch.first >= window.start:
                    self._settle(batch.first, batch.last, batch.whole, asked.types[0], changes)
                    continue
                batch.offsets()
            for offset, delivery in batch.between(max(asked.first, window.start), asked.last):
                _check_owner(delivery, member_id)
                kind = asked.types[offset - asked.first] if len(asked.types) > 1 else asked.types[0]
                self._settle(offset, offset, delivery, kind, changes)

    def _settle(self, first: int, last: int, delivery: Delivery, kind: int, changes: "_Changes") -> None:
        """Do what one type of acknowledgement means."""
        if kind == RENEW:
            limits = self._limits()
            if not limits.may_renew:
                raise Refused(ErrorCode.INVALID_RECORD_STATE, "this group's locks are not renewed", shown=True)
            delivery.due = self._clock.monotonic() + limits.lock_seconds
            self._ring_at(delivery.due)
        else:
            changes.make(first, last, delivery, OUTCOMES[kind])

    def _take_back(self, changes: "_Changes", wanted: Callable[[Delivery], bool]) -> None:
        """Take back what is acquired and wanted; what lies before the window's start is not delivered again."""
        start = self.window.start
        for batch in self.window.batches:
            for first, last, delivery in _acquired(batch, start, wanted):
                before = last < start
                changes.make(first, last, delivery, RecordState.ARCHIVED if before else RecordState.AVAILABLE)

    def _note(self, changes: "_Changes") -> None:
        """Write down what has changed, and go on."""
        if changes.batches:
            self._keep(self.window.start, self.window.complete, changes.batches)
            self.window.advance()

    # --- time ---

    def _ring_at(self, due: float) -> None:
        """Look at the locks when one is over, at the latest."""
        if self._alarm is None or self._alarm.due > due:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self._clock.call_later(due - self._clock.monotonic(), self._ring)

    def _ring(self) -> None:
        """Take back what somebody had for too long."""
        self._alarm = None
        now = self._clock.monotonic()
        changes = _Changes(self.window, self._limits().deliveries)
        self._take_back(changes, lambda delivery: delivery.due <= now)
        with suppress(Refused):  # Locks end whether or not that can be written down.
            self._note(changes)
        left = [delivery.due for batch in self.window.batches for delivery in _deliveries(batch)]
        if left:
            self._ring_at(min(left))
        if changes.batches:
            self._tell()

    def _tell(self) -> None:
        """Wake those who wait for records."""
        for watcher in tuple(self.watchers):
            watcher()


class _Changes:
    """What changes together, and can be undone."""

    __slots__ = ("_complete", "_deliveries", "_made", "_window", "batches")

    def __init__(self, window: Window, deliveries: int) -> None:
        self._window = window
        self._complete = window.complete
        self._deliveries = deliveries
        self._made: list[tuple[Delivery, Delivery]] = []
        self.batches: list[StateBatch] = []

    def make(self, first: int, last: int, delivery: Delivery, state: RecordState) -> None:
        """Settle some offsets."""
        self._made.append((delivery, delivery.copy()))
        delivery.settle(state, self._deliveries)
        self.batches.append(StateBatch(first, last, delivery.count, int(delivery.state)))
        if delivery.state.is_final:
            self._window.complete += max(0, last - max(first, self._window.start) + 1)

    def undo(self) -> None:
        """Let it all not have happened."""
        for delivery, before in reversed(self._made):
            delivery.restore(before)
        self._window.complete = self._complete


def _check_owner(delivery: Delivery, member_id: str) -> None:
    """Refuse what is not the member's to say."""
    if delivery.state is not RecordState.ACQUIRED or delivery.owner == NOBODY:
        raise Refused(ErrorCode.INVALID_RECORD_STATE, "nobody has this record", shown=True)
    if delivery.owner != member_id:
        raise Refused(ErrorCode.INVALID_RECORD_STATE, "another member has this record", shown=True)


def _acquired(batch: InFlight, start: int, wanted: Callable[[Delivery], bool]) -> Iterator[tuple[int, int, Delivery]]:
    """Give what somebody has of a batch; one that lies across the window's start is split."""
    whole = batch.whole
    if whole is not None:
        if whole.state is not RecordState.ACQUIRED or not wanted(whole):
            return
        if not batch.first < start <= batch.last:
            yield batch.first, batch.last, whole
            return
    for offset, delivery in batch.offsets().items():
        if delivery.state is RecordState.ACQUIRED and wanted(delivery):
            yield offset, offset, delivery


def _deliveries(batch: InFlight) -> Iterator[Delivery]:
    """Give what somebody has of a batch."""
    each = batch.split.values() if batch.whole is None else (batch.whole,)
    return (delivery for delivery in each if delivery.state is RecordState.ACQUIRED)
