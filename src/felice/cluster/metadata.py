"""The picture of a cluster: its brokers, its topics, and who leads which partition. Pure; owned by the engine.

The picture is made of immutable views. `apply` merges a broker's answer into it, by these rules:

- A leader epoch never goes back (KIP-320): a broker that lags behind tells of an older leader, and is not believed,
  partition by partition. Epochs count within one topic ID. A topic of the same name with another ID is another topic
  (KIP-516): all of what the answer says of it is taken, whatever its epochs.
- A topic with an error has no partitions in the picture, so nobody sends to it; but its last good view is remembered,
  so that epochs do not go back across an outage, and a recreated topic is known as such.
- An answer without a single broker comes from one that is just starting, and is ignored.
- A leader told by a Produce or Fetch answer (KIP-951) is taken when its epoch is higher than the one known.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from felice.errors import ErrorCode, WireError
from felice.wire.messages.metadata import MetadataResponse
from felice.wire.schema import ZERO_UUID

__all__ = ["BrokerView", "Changes", "Metadata", "PartitionView", "TopicView"]

_log = logging.getLogger("felice.cluster")

MOST_PARTITIONS = 1_000_000
"""A partition number above this is taken for nonsense rather than for a topic of that size."""


class BrokerView(NamedTuple):
    """A broker, and where it is."""

    node_id: int
    host: str
    port: int
    rack: str | None = None

    def __str__(self) -> str:
        """Return `host:port (node n)`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port} (node {self.node_id})"


class PartitionView(NamedTuple):
    """A partition: `leader` is a broker's ID or -1, `leader_epoch` -1 where it is not known, `error` Kafka's code."""

    partition: int
    leader: int = -1
    leader_epoch: int = -1
    replicas: tuple[int, ...] = ()
    isr: tuple[int, ...] = ()
    offline: tuple[int, ...] = ()
    error: int = 0


class TopicView(NamedTuple):
    """A topic: `partitions[n]` is partition n; `error` is Kafka's code, and with one there are no partitions."""

    name: str
    topic_id: bytes = ZERO_UUID
    partitions: tuple[PartitionView, ...] = ()
    error: int = 0
    internal: bool = False

    @property
    def leaderless(self) -> list[int]:
        """The partitions without a leader."""
        return [view.partition for view in self.partitions if view.leader < 0]


class Endpoint(Protocol):
    """A broker as KIP-951's hints tell of it."""

    node_id: int
    host: str
    port: int
    rack: str | None


class Changes(NamedTuple):
    """What one answer changed that people may want to hear of."""

    recreated: tuple[tuple[str, bytes, bytes], ...] = ()
    """Topic, old ID, new ID."""
    grown: tuple[tuple[str, int, int], ...] = ()
    """Topic, number of partitions before and after."""
    stale: tuple[tuple[str, int, int, int], ...] = ()
    """Topic, partition, the epoch known and the lower one told, which was ignored."""
    cluster: tuple[str, str] | None = None
    """The cluster's ID before and after, where it is another one now."""


class Metadata:
    """What is known of a cluster. Read it on the engine."""

    def __init__(self) -> None:
        self.brokers: dict[int, BrokerView] = {}
        """By node ID."""
        self.controller: int = -1
        self.cluster_id: str | None = None
        self.generation = 0
        """Counts the changes."""
        self._topics: dict[str, TopicView] = {}
        self._good: dict[str, TopicView] = {}  # the last view without an error
        self._names: dict[bytes, str] = {}
        self._watchers: dict[object, Callable[[], object]] = {}

    def topic(self, name: str) -> TopicView | None:
        """Return what is known of a topic; None where it was never answered for."""
        return self._topics.get(name)

    def topics(self) -> Iterable[TopicView]:
        """Return all topics that are known."""
        return self._topics.values()

    def topic_name(self, topic_id: bytes) -> str | None:
        """Return the name of the topic that has this ID now, or None."""
        return self._names.get(topic_id)

    def leader(self, topic: str, partition: int) -> PartitionView | None:
        """Return a partition's view, or None where there is no such partition."""
        view = self._topics.get(topic)
        if view is None or not 0 <= partition < len(view.partitions):
            return None
        return view.partitions[partition]

    def watch(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback()` on the engine after each change; return the function that stops that."""
        token = object()
        self._watchers[token] = callback

        def stop() -> None:
            self._watchers.pop(token, None)

        return stop

    def changed(self) -> None:
        """Count a change and tell the watchers."""
        self.generation += 1
        for callback in tuple(self._watchers.values()):
            try:
                callback()
            except Exception:
                _log.exception("a watcher of metadata failed: %r", callback)

    def forget(self, names: Iterable[str]) -> None:
        """Drop topics that nobody wants any more."""
        for name in names:
            self._topics.pop(name, None)
            view = self._good.pop(name, None)
            if view is not None and self._names.get(view.topic_id) == name:
                del self._names[view.topic_id]

    # -- what brokers tell ----------------------------------------------------------------------------------------

    def apply(self, answer: MetadataResponse) -> Changes:
        """Merge a broker's answer and tell the watchers; raises WireError for one that makes no sense."""
        if not answer.brokers:
            return Changes()
        # All is checked before anything is taken, so that a bad answer leaves the picture as it was.
        merged = [self._merge(topic) for topic in answer.topics if topic.name is not None]
        self.brokers = {
            broker.node_id: BrokerView(broker.node_id, broker.host, broker.port, broker.rack)
            for broker in answer.brokers
        }
        self.controller = answer.controller_id
        before_id = self.cluster_id
        self.cluster_id = after_id = answer.cluster_id or before_id
        recreated: list[tuple[str, bytes, bytes]] = []
        grown: list[tuple[str, int, int]] = []
        stale: list[tuple[str, int, int, int]] = []
        for view, ignored in merged:
            before = self._good.get(view.name)
            if before is not None and not view.error:
                if view.topic_id != before.topic_id and before.topic_id != ZERO_UUID:
                    recreated.append((view.name, before.topic_id, view.topic_id))
                elif len(view.partitions) > len(before.partitions):
                    grown.append((view.name, len(before.partitions), len(view.partitions)))
            stale += ignored
            self._put(view)
        self.changed()
        cluster = (before_id, after_id) if before_id and after_id and before_id != after_id else None
        return Changes(tuple(recreated), tuple(grown), tuple(stale), cluster)

    def _merge(self, told: MetadataResponse.Topic) -> tuple[TopicView, list[tuple[str, int, int, int]]]:
        """Return the new view of one topic, and the partitions of which the answer was older than ours."""
        name = told.name or ""
        before = self._good.get(name)
        if told.error_code:
            return TopicView(name, told.topic_id, (), told.error_code, told.is_internal), []
        topic_id = told.topic_id
        if topic_id == ZERO_UUID and before is not None:
            topic_id = before.topic_id  # an older broker's answer: IDs are not known to it
        same = before is not None and before.topic_id in (topic_id, ZERO_UUID)
        known = before.partitions if before is not None and same else ()
        count = max((partition.partition_index for partition in told.partitions), default=-1) + 1
        if count > MOST_PARTITIONS:
            raise WireError(f"metadata of topic {name} with a partition {count - 1}")
        # A partition that the answer leaves out has no leader that we know of.
        views = [PartitionView(n, error=ErrorCode.LEADER_NOT_AVAILABLE) for n in range(count)]
        ignored = []
        for partition in told.partitions:
            index = partition.partition_index
            if index < 0:
                raise WireError(f"metadata of topic {name} with a partition {index}")
            epoch = partition.leader_epoch
            if index < len(known) and 0 <= epoch < known[index].leader_epoch:
                ignored.append((name, index, known[index].leader_epoch, epoch))
                views[index] = known[index]
                continue
            views[index] = PartitionView(
                index,
                partition.leader_id,
                epoch,
                tuple(partition.replica_nodes),
                tuple(partition.isr_nodes),
                tuple(partition.offline_replicas),
                partition.error_code,
            )
        # A broker that lags behind may also know of fewer partitions; these never get fewer within one topic.
        views += known[len(views) :]
        return TopicView(name, topic_id, tuple(views), 0, told.is_internal), ignored

    def _put(self, view: TopicView) -> None:
        old = self._good.get(view.name)
        if not view.error:
            if old is not None and old.topic_id != view.topic_id and self._names.get(old.topic_id) == view.name:
                del self._names[old.topic_id]
            if view.topic_id != ZERO_UUID:
                self._names[view.topic_id] = view.name
            self._good[view.name] = view
        self._topics[view.name] = view

    def hint(self, topic: str, partition: int, leader: int, epoch: int, endpoints: Iterable[Any] = ()) -> bool:
        """Take a leader that a Produce or Fetch answer named (KIP-951); tell whether it was news."""
        known = self.leader(topic, partition)
        if known is None or leader < 0 or epoch <= known.leader_epoch:
            return False
        brokers = dict(self.brokers)
        for endpoint in endpoints:
            brokers[endpoint.node_id] = BrokerView(endpoint.node_id, endpoint.host, endpoint.port, endpoint.rack)
        if leader not in brokers:
            return False  # a leader that we could not reach: only a refresh tells where it is
        self.brokers = brokers
        view = self._topics[topic]
        partitions = list(view.partitions)
        partitions[partition] = known._replace(leader=leader, leader_epoch=epoch, error=0)
        self._put(view._replace(partitions=tuple(partitions)))
        self.changed()
        return True
