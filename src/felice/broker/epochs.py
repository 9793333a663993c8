"""The leader epochs of one partition: which leader wrote from which offset on (KIP-101, KIP-279)."""

from bisect import bisect_left, bisect_right

__all__ = ["UNDEFINED", "LeaderEpochs"]

UNDEFINED = -1
"""No epoch, or no offset."""


class LeaderEpochs:
    """Epochs with their first offsets, both ascending; an epoch in which nothing was written is forgotten."""

    __slots__ = ("_epochs", "_starts")

    def __init__(self) -> None:
        self._epochs: list[int] = []
        self._starts: list[int] = []

    @property
    def latest(self) -> int:
        """The newest epoch, or `UNDEFINED`."""
        return self._epochs[-1] if self._epochs else UNDEFINED

    @property
    def latest_start(self) -> int:
        """Where the newest epoch begins, or `UNDEFINED`."""
        return self._starts[-1] if self._starts else UNDEFINED

    def assign(self, epoch: int, start: int) -> None:
        """Let `epoch` begin at offset `start`; earlier epochs that begin there or behind it wrote nothing."""
        while self._epochs and (self._epochs[-1] >= epoch or self._starts[-1] >= start):
            self._epochs.pop()
            self._starts.pop()
        self._epochs.append(epoch)
        self._starts.append(start)

    def advance(self, log_start: int) -> None:
        """Forget what lies before `log_start`; the epoch that reaches across it begins there."""
        keep = bisect_right(self._starts, log_start) - 1
        if keep >= 0:
            del self._epochs[:keep], self._starts[:keep]
            self._starts[0] = log_start

    def prefix(self, end: int) -> "LeaderEpochs":
        """Return what a log knows of them that ends at `end` (KIP-101)."""
        made = LeaderEpochs()
        keep = bisect_left(self._starts, end)
        made._epochs, made._starts = self._epochs[:keep], self._starts[:keep]
        return made

    def of(self, offset: int) -> int:
        """Return the epoch in which the record at `offset` was written, or `UNDEFINED`."""
        place = bisect_right(self._starts, offset) - 1
        return self._epochs[place] if place >= 0 else UNDEFINED

    def end_of(self, epoch: int, log_end: int) -> tuple[int, int]:
        """Return the largest epoch not above `epoch`, and the offset behind its last record.

        Both are `UNDEFINED` where the epoch is newer than any that is known. Where it is older than all of them, it
        comes back itself, with the offset at which the oldest one begins.
        """
        if epoch == UNDEFINED:
            return UNDEFINED, UNDEFINED
        if epoch == self.latest:
            return epoch, log_end
        above = bisect_right(self._epochs, epoch)
        if above == len(self._epochs):
            return UNDEFINED, UNDEFINED
        return (self._epochs[above - 1] if above else epoch), self._starts[above]

    def shared_end(self, log_end: int, other: "LeaderEpochs", other_end: int) -> int:
        """Return the offset up to which this log and another one, with their ends, have the same records.

        What one leader wrote is the same everywhere, so the logs part in the newest epoch that both know, or behind it.
        """
        both = set(self._epochs).intersection(other._epochs)
        if not both:
            return 0
        newest = max(both)
        return min(self.end_of(newest, log_end)[1], other.end_of(newest, other_end)[1])
