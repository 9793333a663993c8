"""What one partition remembers of idempotent producers (KIP-98): their epochs and their last five batches.

Nothing here appends: `judge` says what is to be done with a batch, and `remember` is told what was.
"""

from collections import deque
from typing import NamedTuple

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["NO_PRODUCER", "Appended", "Producers", "last_sequence"]

NO_PRODUCER = -1
WINDOW = 5
LARGEST = 0x7FFFFFFF


class Appended(NamedTuple):
    """A batch that was appended."""

    first_sequence: int
    last_sequence: int
    offset: int
    """The offset of its first record."""
    timestamp: int
    """Its largest timestamp."""


class Producer:
    """One producer's epoch and window."""

    __slots__ = ("epoch", "window")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.window: deque[Appended] = deque(maxlen=WINDOW)


def last_sequence(first: int, count: int) -> int:
    """Return the sequence of the last of `count` records; sequences wrap to 0 behind 2**31 - 1."""
    return (first + count - 1) & LARGEST


class Producers:
    """The idempotent producers that wrote to one partition."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, Producer] = {}

    def judge(self, producer_id: int, epoch: int, first: int, last: int) -> Appended | None:
        """Return the earlier batch that this one repeats, or None if it is to be appended.

        Raise `Refused` where it is of an older epoch, or leaves a gap. A producer that is not known here may begin
        anywhere: its earlier records may have been deleted.
        """
        known = self._known.get(producer_id)
        if known is None:
            return None
        if epoch < known.epoch:
            raise Refused(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {producer_id} came with epoch {epoch}, and {known.epoch} has been seen",
                position_known=True,
            )
        if epoch > known.epoch:
            if first != 0:
                raise self._gap(producer_id, first, f"epoch {epoch} is new, so 0 is expected")
            return None
        for batch in known.window:
            if batch.first_sequence == first and batch.last_sequence == last:
                return batch
        expected = (known.window[-1].last_sequence + 1) & LARGEST
        if first != expected:
            raise self._gap(producer_id, first, f"{expected} is expected")
        return None

    def remember(self, producer_id: int, epoch: int, batch: Appended) -> None:
        """Note a batch that was appended."""
        known = self._known.get(producer_id)
        if known is None or known.epoch != epoch:
            known = self._known[producer_id] = Producer(epoch)
        known.window.append(batch)

    @staticmethod
    def _gap(producer_id: int, first: int, why: str) -> Refused:
        """Return the refusal of a sequence that does not follow."""
        return Refused(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer {producer_id} came with sequence {first}; {why}",
            position_known=True,
        )
