"""What became of the records of a partition in a share group (KIP-932), batch by batch, or offset by offset.

A batch is looked at as a whole for as long as the same became of all its offsets. It is split when that is not so any
more, and stays split.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

__all__ = ["NOBODY", "Acquired", "Delivery", "InFlight", "RecordState", "runs"]

NOBODY: Final = ""


class RecordState(IntEnum):
    """What may become of a record, by its number in the coordinator's records."""

    AVAILABLE = 0
    ACQUIRED = 1
    ACKNOWLEDGED = 2
    ARCHIVED = 4

    @property
    def is_final(self) -> bool:
        """Whether it stays so."""
        return self in (RecordState.ACKNOWLEDGED, RecordState.ARCHIVED)


class Acquired(NamedTuple):
    """Offsets from the first to the last, that included, which a member has got, and the number of this delivery."""

    first: int
    last: int
    deliveries: int


class Delivery:
    """What became of something: its state, how often it was delivered, and whose it is until when."""

    __slots__ = ("count", "due", "owner", "state")

    def __init__(self, state: RecordState, count: int, owner: str = NOBODY, due: float = 0.0) -> None:
        self.state = state
        self.count = count
        self.owner = owner
        self.due = due
        """When the lock is over, in seconds of the broker's clock."""

    def copy(self) -> "Delivery":
        """Return another one of the same."""
        return Delivery(self.state, self.count, self.owner, self.due)

    def acquire(self, owner: str, due: float) -> None:
        """Deliver it once more."""
        self.state, self.owner, self.due = RecordState.ACQUIRED, owner, due
        self.count += 1

    def settle(self, state: RecordState, most: int) -> None:
        """Take it from its owner; what was delivered `most` times already is not delivered again."""
        if state is RecordState.AVAILABLE and self.count >= most:
            state = RecordState.ARCHIVED
        self.state, self.owner = state, NOBODY

    def restore(self, before: "Delivery") -> None:
        """Be again what it was."""
        self.state, self.owner = before.state, before.owner


class InFlight:
    """Offsets from the first to the last, that included. Either `whole` is there, or `split`, by offset."""

    __slots__ = ("first", "last", "split", "whole")

    def __init__(self, first: int, last: int, delivery: Delivery) -> None:
        self.first = first
        self.last = last
        self.whole: Delivery | None = delivery
        self.split: dict[int, Delivery] = {}

    def __len__(self) -> int:
        """Return how many offsets there are."""
        return self.last - self.first + 1

    @property
    def is_hole(self) -> bool:
        """Whether nothing is known of it: it lies between what was remembered when the leader changed."""
        return self.whole is not None and self.whole.state is RecordState.AVAILABLE and self.whole.count == 0

    def offsets(self) -> dict[int, Delivery]:
        """Return what became of each offset, from now on apart."""
        if self.whole is not None:
            self.split = {offset: self.whole.copy() for offset in range(self.first, self.last + 1)}
            self.whole = None
        return self.split

    def between(self, first: int, last: int) -> Iterator[tuple[int, Delivery]]:
        """Give some offsets of a split one."""
        return ((offset, self.split[offset]) for offset in range(max(first, self.first), min(last, self.last) + 1))

    def at(self, offset: int) -> Delivery:
        """Return what became of an offset that lies in it."""
        return self.split[offset] if self.whole is None else self.whole

    def final_between(self, first: int, last: int) -> int:
        """Return of how many of these offsets nothing else will become."""
        if self.whole is None:
            return sum(delivery.state.is_final for _, delivery in self.between(first, last))
        return max(0, min(last, self.last) - max(first, self.first) + 1) if self.whole.state.is_final else 0


def runs(single: Iterable[tuple[int, int]]) -> list[Acquired]:
    """Put offsets together that follow each other and were delivered as often."""
    found: list[Acquired] = []
    for offset, deliveries in single:
        if found and found[-1].last + 1 == offset and found[-1].deliveries == deliveries:
            found[-1] = found[-1]._replace(last=offset)
        else:
            found.append(Acquired(offset, offset, deliveries))
    return found
