"""Staging: records of topics whose partitions are not known yet, in order, until the metadata comes.

Callers stage, the engine takes out. The one lock is reentrant, since a finalizer or a signal handler may send from
inside a send, and under it nothing waits and no code of a user's runs.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from felice.producer.record import Record

if TYPE_CHECKING:
    from felice.producer._accumulator import Batch

__all__ = ["Staged", "Staging"]

STAND_IN = 256
"""Records for which one batch stands: it is kept as long as any of them has no outcome, and knows of all that had."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A record that waits: its index in the batch that stands for it, and since when."""

    index: int
    record: Record
    since: float


class _Topic:
    __slots__ = ("moving", "records", "stand_in")

    def __init__(self, stand_in: "Batch") -> None:
        self.stand_in = stand_in
        """For records to come."""
        self.records: deque[tuple[Batch, Staged]] = deque()
        self.moving = False


class Staging:
    """The staged records of one producer."""

    def __init__(self, stand_in: "Callable[[str], Batch]") -> None:
        """Take what makes a batch that stands for records of a topic until they have one of their own."""
        self._stand_in = stand_in
        self._topics: dict[str, _Topic] = {}
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        """Return the topics that have staged records."""
        return list(self._topics)

    def count(self) -> int:
        """Return how many records are staged."""
        return sum(len(topic.records) for topic in list(self._topics.values()))

    def add(self, record: Record, now: float, admitted: Callable[[], bool]) -> "tuple[Batch, int] | None":
        """Stage a record, unless `admitted()` says that its topic has become known; then return None."""
        topic = self._topics.get(record.topic) or _Topic(self._stand_in(record.topic))
        with self._lock:
            if admitted():
                return None
            # Perhaps another one by now, or (from inside a finalizer) none any more: never replace one that is there.
            topic = self._topics.setdefault(record.topic, topic)
            stand_in = topic.stand_in
            if len(stand_in) >= STAND_IN:
                stand_in = topic.stand_in = self._stand_in(record.topic)
            index = stand_in.reserve()
            topic.records.append((stand_in, Staged(index, record, now)))
            return stand_in, index

    def move(self, name: str, place: "Callable[[Batch, Staged], None]", admit: Callable[[], None]) -> None:
        """Call `place` for each staged record of a topic in order, then `admit()` when none is left.

        A record that comes meanwhile is staged behind the others, and so goes before any that a caller sends after
        `admit`: its own order is kept. A second mover of the same topic returns at once.
        """
        with self._lock:
            topic = self._topics.get(name)
            if topic is None:
                admit()
                return
            if topic.moving:
                return
            topic.moving = True
        while True:
            with self._lock:
                if not topic.records:
                    admit()
                    if not topic.records:  # As a finalizer may have staged one between the two lines above.
                        del self._topics[name]
                        return
                stand_in, staged = topic.records.popleft()
            place(stand_in, staged)

    def take(self, name: str, before: float) -> "list[tuple[Batch, Staged]]":
        """Take out the records of a topic that were staged before a time."""
        with self._lock:
            topic = self._topics.get(name)
            taken: list[tuple[Batch, Staged]] = []
            while topic is not None and topic.records and topic.records[0][1].since <= before:
                taken.append(topic.records.popleft())
            if topic is not None and not topic.records and not topic.moving:
                del self._topics[name]
            return taken

    def last(self, name: str) -> "tuple[Batch, int] | None":
        """Return where the newest staged record of a topic is, or None."""
        with self._lock:
            topic = self._topics.get(name)
            if topic is None or not topic.records:
                return None
            stand_in, staged = topic.records[-1]
            return stand_in, staged.index
