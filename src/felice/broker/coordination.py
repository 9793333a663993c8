"""Which node coordinates what: the leader of that partition of an internal topic to which a name falls.

As in Kafka the topics are made when they are first needed; unlike there, the first question already finds them.
"""

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from felice.broker.java import string_hash
from felice.broker.log import PartitionLog
from felice.broker.partition import NO_LEADER, Partition
from felice.broker.refusal import Refused
from felice.broker.watcher import Watcher
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster
    from felice.broker.topics import Topic

__all__ = ["OFFSETS_TOPIC", "SHARE_STATE_TOPIC", "TRANSACTIONS_TOPIC", "Coordination", "Kind", "KnownLogs", "java_hash"]

OFFSETS_TOPIC = "__consumer_offsets"
TRANSACTIONS_TOPIC = "__transaction_state"
SHARE_STATE_TOPIC = "__share_group_state"

Moved = Callable[[int], object]
"""Is told the index of a partition whose coordinator is another node now, or none."""


class Kind(IntEnum):
    """What a coordinator looks after, by FindCoordinator's numbers."""

    GROUP = 0
    TRANSACTION = 1
    SHARE = 2


class _Home(NamedTuple):
    """The topic in which coordinators of a kind keep what they know, and the settings that it is made by."""

    topic: str
    partitions: str
    replicas: str
    segment: str
    least_in_sync: str | None
    """None where the topic has the `min.insync.replicas` of all topics."""
    configs: dict[str, str]


HOMES = {
    Kind.GROUP: _Home(
        OFFSETS_TOPIC,
        "offsets.topic.num.partitions",
        "offsets.topic.replication.factor",
        "offsets.topic.segment.bytes",
        None,
        {"cleanup.policy": "compact", "compression.type": "producer"},
    ),
    Kind.TRANSACTION: _Home(
        TRANSACTIONS_TOPIC,
        "transaction.state.log.num.partitions",
        "transaction.state.log.replication.factor",
        "transaction.state.log.segment.bytes",
        "transaction.state.log.min.isr",
        {"cleanup.policy": "compact", "compression.type": "uncompressed", "unclean.leader.election.enable": "false"},
    ),
    Kind.SHARE: _Home(
        SHARE_STATE_TOPIC,
        "share.coordinator.state.topic.num.partitions",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.segment.bytes",
        "share.coordinator.state.topic.min.isr",
        {"cleanup.policy": "delete", "compression.type": "producer", "retention.ms": "-1"},
    ),
}


class Coordination:
    """Finds coordinators, and tells when they move."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._listeners: dict[Kind, list[Moved]] = {kind: [] for kind in Kind}

    def when_moved(self, kind: Kind, listener: Moved) -> None:
        """Have a function called for every partition whose coordinator changes."""
        self._listeners[kind].append(listener)

    def partition(self, kind: Kind, key: str) -> Partition:
        """Return the partition that keeps what is known of `key`; its leader is the coordinator."""
        partitions = self.partitions(kind)
        return partitions[java_hash(key) % len(partitions)]

    def partitions(self, kind: Kind) -> "list[Partition]":
        """Return all partitions whose leaders are coordinators of a kind."""
        topic = self._cluster.topics.get(HOMES[kind].topic) or self._make(kind)
        return topic.partitions

    def make(self, name: str) -> bool:
        """Create the topic of this name if it is missing, and tell whether it is one that belongs to coordinators."""
        kind = next((kind for kind, home in HOMES.items() if home.topic == name), None)
        if kind is not None and name not in self._cluster.topics:
            self._make(kind)
        return kind is not None

    def node_id(self, kind: Kind, key: str) -> int:
        """Return the ID of the coordinator, or `NO_LEADER`."""
        return self.partition(kind, key).leader

    def check(self, kind: Kind, key: str, node_id: int) -> None:
        """Refuse a request that should have gone to another node."""
        leader = self.node_id(kind, key)
        if leader == NO_LEADER:
            raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"nobody coordinates {key!r}")
        if leader != node_id:
            raise Refused(ErrorCode.NOT_COORDINATOR, f"node {leader} coordinates {key!r}")

    def _make(self, kind: Kind) -> "Topic":
        """Create the topic of a kind."""
        cluster, home = self._cluster, HOMES[kind]
        number = cluster.settings.number
        replicas = min(number(home.replicas), len(cluster.nodes))
        configs = home.configs | {"segment.bytes": str(number(home.segment))}
        if home.least_in_sync is not None:
            # Where there are not as many nodes as there should be replicas, it is fewer by as many.
            missing = number(home.replicas) - replicas
            configs["min.insync.replicas"] = str(max(number(home.least_in_sync) - missing, 1))
        topic = cluster.create_topic(
            cluster.plan_topic(
                home.topic,
                number(home.partitions),
                replicas,
                configs=configs,
            )
        )
        for partition in topic.partitions:
            partition.watchers.add(_Moves(self._listeners[kind], partition.index))
        return topic


class _Moves(Watcher):
    """Passes on that a partition has another leader."""

    def __init__(self, listeners: list[Moved], index: int) -> None:
        self._listeners = listeners
        self._index = index

    def grew(self, size: int) -> None:
        """Leave it: more records change no coordinator."""

    def advanced(self) -> None:
        """Leave it, for the same reason."""

    def changed(self) -> None:
        """Tell all."""
        for listener in self._listeners:
            listener(self._index)


class KnownLogs:
    """The logs of coordinators' partitions as they were last seen: where one was replaced, it has lost records."""

    __slots__ = ("_logs",)

    def __init__(self) -> None:
        self._logs: dict[int, PartitionLog] = {}

    @property
    def indexes(self) -> Iterable[int]:
        """The partitions that were seen."""
        return self._logs.keys()

    def note(self, home: Partition) -> None:
        """Note a partition's log before it is written to, unless one is known: that is yet to be compared."""
        self._logs.setdefault(home.index, home.log)

    def replaced(self, home: Partition) -> bool:
        """Tell whether a partition has another log than was known; from now on it is the known one."""
        known = self._logs.get(home.index, home.log)
        self._logs[home.index] = home.log
        return known is not home.log

    def clear(self) -> None:
        """Forget all: the topic is gone."""
        self._logs.clear()


def java_hash(text: str) -> int:
    """Return what Java's `String.hashCode` gives, made positive as Kafka does it."""
    value = string_hash(text)
    if value >= 1 << 31:
        value -= 1 << 32
    return 0 if value == -(1 << 31) else abs(value)
