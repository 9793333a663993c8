"""Which leader epochs were read of a partition, and from where: what a leader's log is held against. Pure.

An offset alone does not say which record is meant: a leader that was elected uncleanly may have other records there.
The epoch of the last record read tells the difference (KIP-320). Asked for an epoch, a leader names the newest one that
it has and that is not above it, and the offset after the last record of that one. Where neither is less than what the
reader has, the logs agree; otherwise the log was cut off. How far back, the reader's own epochs tell: gone is what it
read in epochs that the leader does not have, and what it read of an epoch beyond the leader's end of that (KIP-279).
"""

import struct
from typing import Any, NamedTuple

__all__ = ["UNKNOWN", "Mark", "Trail"]

MOST = 32
"""How many epochs are remembered; where a log was cut off further back, it is read again from where they begin."""

SMALLEST = 49  # bytes from a batch's length on, in a batch without records
_head = struct.Struct(">qii")


class Mark(NamedTuple):
    """A place in a log: the leader epoch of a record, and the offset after it."""

    epoch: int
    offset: int


UNKNOWN = Mark(-1, -1)
"""What a leader answers that knows no epoch as old as the one asked for."""


class Trail:
    """The epochs read since the last seek, and that of the place where a leader told to begin."""

    __slots__ = ("_epochs", "_starts")

    def __init__(self) -> None:
        # Both ascend: what was read of epoch n began at start n, and ended where the next begins.
        self._epochs: list[int] = []
        self._starts: list[int] = []

    @property
    def latest(self) -> int:
        """The epoch of the last record read, or else of the beginning; -1 where that is not known."""
        return self._epochs[-1] if self._epochs else -1

    def latest_before(self, offset: int) -> int:
        """The epoch of the last record read, at the offset before this; -1 where that is not known."""
        return self._epochs[-1] if self._epochs and self._starts[-1] < offset else -1

    def clear(self) -> None:
        """Know nothing: there was a seek."""
        self._epochs.clear()
        self._starts.clear()

    def begin(self, mark: Mark) -> None:
        """Begin where a leader told to; its epoch is the one that the leader told with it, or -1."""
        self.clear()
        if mark.epoch >= 0:
            self._begin(*mark)

    def cut(self, offset: int) -> None:
        """Forget what was read from an offset on."""
        while self._starts and self._starts[-1] >= offset:
            self._starts.pop()
            self._epochs.pop()

    def read(self, data: Any, offset: int, latest: int) -> None:
        """Take whole batches, fetched from an offset on; `latest` is the epoch of the last, -1 where unknown."""
        if latest == self.latest:
            return
        if latest < 0:
            self.clear()
            return
        view = memoryview(data).cast("B")
        if _head.unpack_from(view)[2] == latest:
            self._begin(latest, offset)
            return
        at = 0
        while at + _head.size <= len(view):
            base, length, epoch = _head.unpack_from(view, at)
            if length < SMALLEST:
                return  # no batch: the reader will say what is wrong with it
            if epoch >= 0:
                self._begin(epoch, max(base, offset))
            at += 12 + length

    def _begin(self, epoch: int, offset: int) -> None:
        """Let an epoch begin, unless it has."""
        if epoch == self.latest:
            return
        if epoch < self.latest:
            self.clear()  # No log has that; what was read before is nothing to go by.
        self._epochs.append(epoch)
        self._starts.append(offset)
        del self._epochs[:-MOST], self._starts[:-MOST]

    def compare(self, mark: Mark, told: Mark) -> tuple[Mark, bool]:
        """Return up to where, at most, the leader's log is what was read up to `mark`, and whether that is certain.

        `told` is what the leader answered when asked for the epoch of `mark`. Where it is not certain, the leader is to
        be asked again, for what is returned.
        """
        if told.epoch >= mark.epoch:
            return Mark(mark.epoch, min(mark.offset, told.offset)), True
        # The leader has nothing of the epoch asked for, so nothing of our newer ones either.
        own, end = -1, mark.offset
        for epoch, start in zip(reversed(self._epochs), reversed(self._starts), strict=True):
            if epoch <= told.epoch:
                own = epoch
                break
            end = start
        certain = own in (told.epoch, -1)
        return Mark(told.epoch if own < 0 else own, min(mark.offset, told.offset, end)), certain
