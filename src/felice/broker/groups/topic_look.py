"""What the topics look like that a group's members read: where that changes, they are assigned anew."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["TopicLook"]


class TopicLook:
    """The look that was taken note of last. Topics are looked at anew only where their layouts are others."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._seen: tuple[object, ...] = ()
        self._layouts: list[tuple[bytes, int]] | None = None

    def take(self, names: Iterable[str]) -> bool:
        """Take note of what topics of these names look like; return whether that is new."""
        topics = self._cluster.topics
        layouts = [(topics[name].id, topics[name].layout) for name in names if name in topics]
        if layouts == self._layouts:
            return False
        before, self._seen, self._layouts = self._seen, self._at(names), layouts
        return self._seen != before

    def recall(self, names: Iterable[str], seen: int) -> None:
        """Take note of what topics look like, unless they are not as they were `seen`, by the hash of that."""
        self._seen, self._layouts = self._at(names), None
        if self.hash != seen:
            self._seen = ()

    @property
    def hash(self) -> int:
        """A number that differs where the topics do (KIP-1101).

        Kafka writes another one, an XXH3 hash. Nobody but the coordinator that wrote a number compares it with one of
        its own: a coordinator that reads another one's assigns anew, and clients never see it.
        """
        digest = hashlib.blake2b(repr(self._seen).encode(), digest_size=8).digest() if self._seen else b""
        return int.from_bytes(digest, signed=True)

    def _at(self, names: Iterable[str]) -> tuple[object, ...]:
        """Return all that an assignment depends on of topics that exist: their IDs, and their partitions' racks."""
        topics, nodes = self._cluster.topics, self._cluster.nodes
        return tuple(
            (
                name,
                topics[name].id,
                tuple(
                    tuple(nodes[node].rack for node in partition.replicas if node in nodes)
                    for partition in topics[name].partitions
                ),
            )
            for name in sorted(names)
            if name in topics
        )
