"""One `send_many` under way: its columns, and how far it has come."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from felice import native
from felice.errors import BufferFull, UsageError
from felice.producer.delivery import BulkDelivery
from felice.producer.record import Record

if TYPE_CHECKING:
    from felice.producer._accumulator import Delivery, Span
else:
    Span = native.pick("felice.producer._accumulator").Span

__all__ = ["Many"]


class Many:
    """What one `send_many` was given, and what of it is taken."""

    __slots__ = ("headers", "keys", "partition", "records", "spans", "taken", "timestamp_ms", "topic", "values")

    def __init__(
        self,
        topic: str,
        values: Iterable[Any],
        keys: Iterable[Any] | None,
        headers: Iterable[Any] | None,
        partition: int | None,
        timestamp_ms: int | None,
    ) -> None:
        """Take the columns, copies of them: nobody can shorten these while they are being taken."""
        self.topic = topic
        self.values = list(values)
        self.keys = None if keys is None else list(keys)
        self.headers = None if headers is None else list(headers)
        self.partition = partition
        self.timestamp_ms = timestamp_ms
        self.taken = 0
        self.spans: list[Span] = []
        self.records: list[Record] | None = None
        """Every record checked by itself, where the columns could not be checked as they are."""
        for name, column in (("keys", self.keys), ("headers", self.headers)):
            if column is not None and len(column) != len(self.values):
                raise UsageError(f"{len(column)} {name} for {len(self.values)} values", hint="give as many of each")

    def row(self, at: int) -> tuple[str, Any, Any, Any, int | None, int | None]:
        """Return the arguments of `send` for one record."""
        return (
            self.topic,
            self.values[at],
            None if self.keys is None else self.keys[at],
            None if self.headers is None else self.headers[at],
            self.partition,
            self.timestamp_ms,
        )

    def add(self, delivery: "Delivery") -> None:
        """Count a record that was taken by itself."""
        self.spans.append(Span(self.spans, *delivery._place(), 1))
        self.taken += 1

    def delivery(self) -> BulkDelivery:
        """Return the handle of all that is taken."""
        return BulkDelivery(self.spans, self.taken)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Let a BufferFull say what was accepted before it."""
        try:
            yield
        except BufferFull as full:
            full.accepted = self.taken
            full.delivery = self.delivery()
            raise
