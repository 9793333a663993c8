"""Failures that nobody has looked at: told at once as events, and counted for `flush` and the end."""

from collections import deque
from typing import TYPE_CHECKING

from felice.errors import DeliveryError
from felice.events import DeliveriesFailed, EventBus

if TYPE_CHECKING:
    from felice.producer._accumulator import Batch

__all__ = ["Failures"]

KEPT = 10_000
"""How many failed batches are remembered, beyond which only their records are counted."""


class Failures:
    """The failed batches of one producer, as far as nobody had asked for their outcome. On the engine only."""

    def __init__(self, client_id: str, events: EventBus) -> None:
        self._client_id = client_id
        self._events = events
        self._batches: deque[Batch] = deque(maxlen=KEPT)
        self._forgotten = 0

    def add(self, *failed: "Batch") -> None:
        """Take batches of one partition that failed for the same reason; tell of them in one event."""
        for batch in failed:
            if len(self._batches) == KEPT:
                self._forgotten += len(self._batches[0])
            self._batches.append(batch)
        queue, error = failed[0].queue, failed[0].error
        self._events.emit(
            DeliveriesFailed(
                client_id=self._client_id,
                topic=queue.topic,
                partition=queue.partition,
                records=sum(map(len, failed)),
                error=str(error),
                may_have_happened=bool(getattr(error, "may_have_happened", False)),
            )
        )

    def raise_unseen(self) -> None:
        """Raise a DeliveryError that counts what failed since the last time and was looked at by nobody."""
        failures = [batch for batch in self._batches if not batch.looked]
        forgotten, self._forgotten = self._forgotten, 0
        self._batches.clear()
        failed = sum(len(batch) for batch in failures) + forgotten
        if failed:
            first = failures[0].error if failures else None
            raise DeliveryError(
                f"{failed} records were not delivered; the first: {first}",
                failed=failed,
                first=first,
                may_have_happened=any(getattr(batch.error, "may_have_happened", False) for batch in failures),
                hint="each delivery tells its own error",
            ) from first
