"""The offsets of one group: committed ones, and those of open transactions (KIP-98). Pure: no clock, no log."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

__all__ = ["Committed", "Offsets"]

NO_ID = bytes(16)

TopicPartition: TypeAlias = tuple[str, int]


class Committed(NamedTuple):
    """A committed offset."""

    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    time: int = -1
    """When it was committed, in milliseconds since 1970."""
    expires: int | None = None
    """When it shall go, where the request said so (versions 2 to 4)."""
    topic_id: bytes = NO_ID
    position: int = -1
    """The offset of its record in `__consumer_offsets`."""


class Offsets:
    """Committed offsets by topic and partition; and, by producer ID, those that wait for a transaction's end."""

    __slots__ = ("_committed", "_pending")

    def __init__(self) -> None:
        self._committed: dict[str, dict[int, Committed]] = {}
        self._pending: dict[int, dict[TopicPartition, Committed]] = {}

    def __iter__(self) -> Iterator[tuple[str, int, Committed]]:
        """Give topic, partition and what is committed of it."""
        for topic, partitions in self._committed.items():
            for partition, committed in partitions.items():
                yield topic, partition, committed

    def __len__(self) -> int:
        """Return how many partitions have a committed offset."""
        return sum(map(len, self._committed.values()))

    @property
    def by_topic(self) -> Mapping[str, Mapping[int, Committed]]:
        """What is committed, by topic and partition."""
        return self._committed

    @property
    def open_transactions(self) -> frozenset[int]:
        """The producer IDs of transactions that have offsets here and are not decided."""
        return frozenset(self._pending)

    def get(self, topic: str, partition: int) -> Committed | None:
        """Return what is committed of a partition."""
        partitions = self._committed.get(topic)
        return None if partitions is None else partitions.get(partition)

    def put(self, topic: str, partition: int, committed: Committed) -> None:
        """Commit."""
        self._committed.setdefault(topic, {})[partition] = committed

    def drop(self, topic: str, partition: int) -> bool:
        """Forget a partition, what transactions have of it too; return whether there was something."""
        partitions = self._committed.get(topic, {})
        found = partitions.pop(partition, None) is not None
        if found and not partitions:
            del self._committed[topic]
        for producer_id, staged in list(self._pending.items()):
            found = staged.pop((topic, partition), None) is not None or found
            if not staged:
                del self._pending[producer_id]
        return found

    def partitions(self) -> set[TopicPartition]:
        """Return all partitions of which something is committed or staged."""
        known = {(topic, partition) for topic, partition, _ in self}
        return known.union(*self._pending.values())

    # --- transactions ---

    def stage(self, producer_id: int, topic: str, partition: int, committed: Committed) -> None:
        """Keep what a transaction commits until it is decided."""
        self._pending.setdefault(producer_id, {})[topic, partition] = committed

    def settle(self, producer_id: int, committed: bool) -> None:
        """Commit what a transaction staged, or forget it.

        What was committed beside the transaction since then stays: the later record of the log wins.
        """
        for (topic, partition), staged in self._pending.pop(producer_id, {}).items():
            present = self.get(topic, partition)
            if committed and (present is None or staged.position > present.position):
                self.put(topic, partition, staged)

    def is_pending(self, topic: str, partition: int) -> bool:
        """Tell whether a transaction that is not decided commits a partition."""
        return any((topic, partition) in staged for staged in self._pending.values())
