"""The transactions of one partition: those that are open, and those that were aborted (KIP-98).

Offsets only grow, so what is open lies in the order of its first offsets, and what was aborted in that of its markers.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Aborted", "OpenTransactions"]


class Aborted(NamedTuple):
    """A transaction whose records a reader of committed ones leaves out."""

    producer_id: int
    first_offset: int
    last_offset: int
    """The offset of its marker."""
    stable_offset: int
    """What was decided behind its marker: nothing that was open then begins before this offset."""


class OpenTransactions:
    """Where transactions begin and end in a partition's log."""

    __slots__ = ("_ended", "_first", "aborted")

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._ended: list[tuple[int, int]] = []
        self.aborted: list[Aborted] = []

    def copy(self) -> "OpenTransactions":
        """Return another one that is the same now."""
        made = OpenTransactions()
        made._first, made._ended, made.aborted = dict(self._first), list(self._ended), list(self.aborted)
        return made

    def begin(self, producer_id: int, offset: int) -> None:
        """Note that a producer's transaction begins with the record at `offset`."""
        self._first[producer_id] = offset

    def end(self, producer_id: int, marker: int, *, committed: bool, high_watermark: int) -> None:
        """Note the marker that ends a producer's transaction, if it has one here."""
        first = self._first.pop(producer_id, None)
        if first is None:
            return
        if marker >= high_watermark:
            self._ended.append((first, marker))
        if not committed:
            self.aborted.append(Aborted(producer_id, first, marker, next(iter(self._first.values()), marker + 1)))

    def compacted(self, end: int, left: Iterable[Aborted]) -> None:
        """Note which transactions are left of those whose markers are, or were, before `end`."""
        self.aborted = [*left, *(aborted for aborted in self.aborted if aborted.last_offset >= end)]

    def delete_before(self, start: int) -> None:
        """Forget what was aborted in the part of the log before its new start: nobody can read there."""
        del self.aborted[: bisect_left(self.aborted, start, key=lambda aborted: aborted.last_offset)]

    def first_offset(self, producer_id: int) -> int | None:
        """Return where the open transaction of a producer begins, if it has one."""
        return self._first.get(producer_id)

    def stable_offset(self, start: int, high_watermark: int) -> int:
        """Return the offset up to which everything is decided, in a log from `start` to `high_watermark`.

        A transaction is undecided for readers until its marker is below the high watermark.
        """
        first = next(iter(self._first.values()), high_watermark)
        if self._ended:
            self._ended = [ended for ended in self._ended if ended[1] >= high_watermark]
            first = min((first, *(begun for begun, _ in self._ended)))
        return min(max(first, start), high_watermark)

    def aborted_between(self, start: int, end: int) -> list[Aborted]:
        """Return the aborted transactions with offsets from `start` up to `end`, which is not included."""
        found = []
        for number in range(
            bisect_left(self.aborted, start, key=lambda aborted: aborted.last_offset), len(self.aborted)
        ):
            aborted = self.aborted[number]
            if aborted.first_offset < end:
                found.append(aborted)
            if aborted.stable_offset >= end:
                break
        return found
