"""For which partitions a share group's progress is kept, as far as the group's coordinator knows (KIP-932). Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from felice.broker.topics import Topic

__all__ = ["Partitions", "SharePartitions", "Some"]

Partitions: TypeAlias = Mapping[bytes, Collection[int]]
"""Partitions by topic ID."""


class Some(NamedTuple):
    """Some partitions of a topic."""

    name: str
    """The topic's."""
    indexes: frozenset[int]
    since: int = 0
    """When that began, in milliseconds since 1970, as far as it matters."""


class SharePartitions:
    """Partitions on their way: the share coordinator is asked to keep their state, keeps it, is asked to drop it."""

    def __init__(self) -> None:
        self.initializing: dict[bytes, Some] = {}
        self.initialized: dict[bytes, Some] = {}
        self.deleting: set[bytes] = set()
        """Topics of which everything is to be dropped."""

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.initializing or self.initialized or self.deleting)

    def missing(self, topics: Iterable[Topic], late: int) -> dict[bytes, frozenset[int]]:
        """Return the partitions that were not asked for, or no later than `late`, in ms since 1970."""
        found = {}
        for topic in topics:
            asked = self.initializing.get(topic.id)
            begun = frozenset[int]() if asked is None or asked.since <= late else asked.indexes
            missing = frozenset(range(len(topic.partitions))) - begun - self._indexes(topic.id)
            if missing:
                found[topic.id] = missing
        return found

    def begin(self, partitions: Partitions, name_of: Callable[[bytes], str], now: int) -> None:
        """Note that the state of partitions is being initialized."""
        _add(self.initializing, partitions, name_of, now)
        self.deleting.difference_update(partitions)

    def finish(self, partitions: Partitions, name_of: Callable[[bytes], str]) -> None:
        """Note that the state of partitions is initialized."""
        _add(self.initialized, partitions, name_of, 0)
        self.abandon(partitions)

    def abandon(self, partitions: Partitions) -> None:
        """Note that the state of partitions could not be initialized."""
        for topic, indexes in partitions.items():
            asked = self.initializing.pop(topic, None)
            if asked is not None and asked.indexes.difference(indexes):
                self.initializing[topic] = asked._replace(indexes=asked.indexes.difference(indexes))

    def delete(self, topics: Collection[bytes]) -> None:
        """Note that the state of topics is being deleted."""
        for topic in topics:
            self.initialized.pop(topic, None)
        self.deleting.update(topics)

    def deleted(self, topics: Collection[bytes]) -> None:
        """Note that the state of topics is deleted."""
        self.deleting.difference_update(topics)

    def forget(self, topic: bytes) -> bool:
        """Forget all about a topic; return whether anything was known."""
        found = self.initializing.pop(topic, None), self.initialized.pop(topic, None)
        known = topic in self.deleting or any(some is not None for some in found)
        self.deleting.discard(topic)
        return known

    def everything(self, indexes_of: Callable[[bytes], frozenset[int]]) -> dict[bytes, frozenset[int]]:
        """Return all partitions whose state is kept or may be; `indexes_of` gives all that a topic has."""
        known = {topic: indexes_of(topic) for topic in sorted(self.deleting)}
        for some in (self.initialized, self.initializing):
            for topic, partitions in some.items():
                known[topic] = known.get(topic, frozenset()) | partitions.indexes
        return known

    def assignable(self) -> dict[bytes, frozenset[int]]:
        """Return the partitions that members may have."""
        return {topic: some.indexes for topic, some in self.initialized.items()}

    def are_assigned(self, names: Collection[str], assigned: Mapping[bytes, frozenset[int]]) -> bool:
        """Tell whether of topics with these names all that is initialized is assigned, and nothing else."""
        return all(
            assigned.get(topic) == some.indexes for topic, some in self.initialized.items() if some.name in names
        )

    def _indexes(self, topic: bytes) -> frozenset[int]:
        """Return the partitions of a topic that are initialized."""
        return self.initialized[topic].indexes if topic in self.initialized else frozenset()


def _add(known: dict[bytes, Some], partitions: Partitions, name_of: Callable[[bytes], str], since: int) -> None:
    """Add partitions to those that are known."""
    for topic, indexes in partitions.items():
        before = known[topic].indexes if topic in known else frozenset()
        known[topic] = Some(name_of(topic), before.union(indexes), since)
