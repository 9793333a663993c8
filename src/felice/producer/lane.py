"""A lane: one partition's batches between the accumulator and the broker. On the engine only, and without effects."""

from bisect import insort
from typing import TYPE_CHECKING

from felice.producer.sequence import Identity, Sequence

if TYPE_CHECKING:
    from felice.producer._accumulator import Batch, PartitionQueue


class Lane:
    """What of a partition is under way, what waits to go again, and in which order.

    A batch is in one of three places: in the queue's `sealed` (never sent), in `in_flight` (a request carries it), or
    in `waiting` (sent before, to be sent again). Whatever has been stamped and has no outcome is in the last two.
    """

    __slots__ = (
        "begin_again",
        "in_flight",
        "last_error",
        "node",
        "preparing",
        "queue",
        "retry_at",
        "sequence",
        "setbacks",
        "topic_id",
        "waiting",
    )

    def __init__(self, queue: "PartitionQueue") -> None:
        self.queue = queue
        self.sequence = Sequence()
        self.waiting: list[Batch] = []
        self.in_flight: list[Batch] = []
        self.preparing = False
        """Whether a batch is being compressed on another thread."""
        self.retry_at = 0.0
        self.setbacks = 0
        """How often in a row a batch came back."""
        self.node = -1
        """Where the batches in flight are; a new leader is not used before they have come back."""
        self.topic_id = b""
        self.begin_again = False
        """Whether all that waits is to be stamped anew, once nothing is in flight."""
        self.last_error: Exception | None = None

    @property
    def name(self) -> str:
        """The partition, as people write it."""
        return f"{self.queue.topic}-{self.queue.partition}"

    @property
    def busy(self) -> bool:
        """Whether any stamped batch has no outcome yet."""
        return bool(self.in_flight or self.waiting)

    @property
    def idle(self) -> bool:
        """Whether there is nothing at all to send."""
        return not (self.waiting or self.queue.sealed or self.queue.open)

    def unsettled(self) -> "list[Batch]":
        """Return all that was stamped and has no outcome, oldest first."""
        return sorted([*self.in_flight, *self.waiting], key=_serial)

    def oldest(self, batch: "Batch") -> bool:
        """Tell whether nothing stamped before this batch is without an outcome."""
        return all(batch.serial <= other.serial for other in (*self.in_flight, *self.waiting))

    def next_batch(self, now: float, window: int, identity: Identity | None, idempotent: bool) -> "Batch | None":
        """Return the batch that may be sent now, without taking it."""
        if idempotent and not self.sequence.established:
            window = 1
        if self.retry_at > now or len(self.in_flight) >= window:
            return None
        if self.begin_again and self.in_flight:
            return None
        if self.waiting:
            return self.waiting[0]
        sealed = self.queue.sealed
        if not sealed or (idempotent and not self.sequence.may_stamp(self.busy, identity)):
            return None
        first: Batch = sealed[0]
        return first

    def take(self, batch: "Batch", node: int) -> None:
        """Take the batch that `next_batch` has named into flight."""
        if self.waiting and self.waiting[0] is batch:
            del self.waiting[0]
        else:
            self.queue.sealed.popleft()
        self.in_flight.append(batch)
        self.node = node

    def come_back(self, batch: "Batch") -> bool:
        """Take a batch out of flight; False where it had been given up meanwhile."""
        try:
            self.in_flight.remove(batch)
        except ValueError:
            return False
        return True

    def put_back(self, batch: "Batch") -> None:
        """Let a batch wait for its next try, in its place by serial number."""
        insort(self.waiting, batch, key=_serial)

    def expired(self, now: float, patience: float) -> "list[Batch]":
        """Take out every batch that was begun more than `patience` seconds ago, oldest first."""
        limit = now - patience
        late = [batch for batch in self.unsettled() if batch.begun <= limit]
        for batch in late:
            (self.in_flight if batch in self.in_flight else self.waiting).remove(batch)
        sealed = self.queue.sealed
        while sealed and sealed[0].begun <= limit and not self.preparing:
            late.append(sealed.popleft())
        return late


def _serial(batch: "Batch") -> int:
    return batch.serial
