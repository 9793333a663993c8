"""The state of the virtual cluster: its nodes, its topics, and who leads what. It knows nothing of sockets."""

import base64
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from felice.broker.clock import BrokerClock
from felice.broker.coordination import Coordination
from felice.broker.node import Node
from felice.broker.partition import NO_LEADER, Partition
from felice.broker.refusal import Refused
from felice.broker.setting import Settings
from felice.broker.setting_tables import BROKER_SETTINGS, TOPIC_SETTINGS
from felice.broker.topics import Topic, check_name, collision_key
from felice.broker.transactional_ids import TransactionalIds
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["DEFAULT", "Cluster", "Plan"]

DEFAULT = -1
"""Stands for the broker's default, in numbers of partitions and replicas."""

MAX_PARTITIONS_AT_ONCE = 10_000


class Plan:
    """A topic that may be created: its ID, its replicas, a list of nodes for each partition, and its settings."""

    __slots__ = ("name", "replicas", "settings", "topic_id")

    def __init__(self, name: str, topic_id: bytes, replicas: list[list[int]], settings: Settings) -> None:
        self.name = name
        self.topic_id = topic_id
        self.replicas = replicas
        self.settings = settings


class Cluster:
    """Nodes 1 to N, and the topics that live on them."""

    def __init__(
        self, nodes: Sequence[Node], *, clock: BrokerClock, chance: random.Random, settings: Mapping[str, str]
    ) -> None:
        self.clock = clock
        self.chance = chance
        self.settings = Settings(BROKER_SETTINGS, settings)
        self.nodes = {node.id: node for node in nodes}
        self.topics: dict[str, Topic] = {}
        self.topics_by_id: dict[bytes, Topic] = {}
        self.coordination = Coordination(self)
        self.transactional_ids = TransactionalIds(self.new_producer_id)
        self.id = base64.urlsafe_b64encode(self._new_uuid()).decode().rstrip("=")
        self._collisions: dict[str, str] = {}
        self._when_deleted: list[Callable[[Topic], object]] = []
        self._last_producer_id = -1

    @cached_property
    def groups(self) -> "Groups":
        """The groups. What they need is loaded when they are first asked for."""
        from felice.broker.groups.groups import Groups

        return Groups(self)

    # --- nodes ---

    @property
    def alive(self) -> list[Node]:
        """The nodes that are up."""
        return [node for node in self.nodes.values() if node.up]

    @property
    def controller_id(self) -> int:
        """The node that clients are told to send administrative requests to."""
        return min((node.id for node in self.alive), default=NO_LEADER)

    def node_started(self, node: Node) -> None:
        """Count a node in."""
        node.up = True
        self._for_all_partitions(lambda partition, alive: partition.node_started(node.id, alive))

    def node_stopped(self, node: Node) -> None:
        """Count a node out: others take over what it led, where they can."""
        node.up = False
        node.sessions.clear()
        self._for_all_partitions(lambda partition, alive: partition.node_stopped(node.id, alive))

    def move_leader(self, topic: str, index: int, node_id: int) -> None:
        """Make a node the leader of a partition; if it has no replica, it takes the present leader's place."""
        partition = self.partition(topic, index)
        node = self.nodes.get(node_id)
        if node is None or not node.up:
            raise Refused(ErrorCode.BROKER_NOT_AVAILABLE, f"node {node_id} is not up")
        if node_id not in partition.replicas:
            place = partition.replicas.index(partition.leader) if partition.leader in partition.replicas else 0
            if partition.replicas[place] in partition.in_sync:
                partition.in_sync.remove(partition.replicas[place])
            partition.replicas[place] = node_id
        if node_id not in partition.in_sync:
            partition.in_sync.append(node_id)
        if partition.leader != node_id:
            partition.lead(node_id)

    def _for_all_partitions(self, tell: Any) -> None:
        """Tell every partition of a change among the nodes."""
        alive = {node.id for node in self.alive}
        for topic in self.topics.values():
            for partition in topic.partitions:
                tell(partition, alive)

    # --- topics ---

    def topic(self, name: str) -> Topic:
        """Return a topic, or refuse with UNKNOWN_TOPIC_OR_PARTITION."""
        found = self.topics.get(name)
        if found is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return found

    def topic_by_id(self, topic_id: bytes) -> Topic:
        """Return a topic, or refuse with UNKNOWN_TOPIC_ID."""
        found = self.topics_by_id.get(topic_id)
        if found is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_ID)
        return found

    def partition(self, topic: str, index: int) -> Partition:
        """Return a partition, or refuse with UNKNOWN_TOPIC_OR_PARTITION."""
        found = self.topic(topic).partition(index)
        if found is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return found

    def plan_topic(
        self,
        name: str,
        partitions: int = DEFAULT,
        replication_factor: int = DEFAULT,
        *,
        assignments: Iterable[tuple[int, Sequence[int]]] = (),
        configs: Mapping[str, str | None] | None = None,
    ) -> Plan:
        """Check a new topic and return what would be created; refuse as Kafka does."""
        check_name(name)
        if name in self.topics:
            raise Refused(ErrorCode.TOPIC_ALREADY_EXISTS, f"the topic {name!r} is there already")
        other = self._collisions.get(collision_key(name))
        if other is not None:
            raise Refused(
                ErrorCode.INVALID_TOPIC_EXCEPTION, f"{name!r} differs from the topic {other!r} in '.' and '_' only"
            )
        settings = Settings(TOPIC_SETTINGS, configs or {}, self._inherited())
        manual = list(assignments)
        if manual:
            if partitions != DEFAULT or replication_factor != DEFAULT:
                raise Refused(
                    ErrorCode.INVALID_REQUEST, "with replicas assigned by hand, the numbers of both must be -1"
                )
            replicas = self._assigned(manual)
        else:
            replicas = self._spread(partitions, replication_factor)
        return Plan(name, self._new_uuid(), replicas, settings)

    def create_topic(self, plan: Plan) -> Topic:
        """Create a topic that was planned."""
        partitions = [Partition(index, list(replicas)) for index, replicas in enumerate(plan.replicas)]
        alive = {node.id for node in self.alive}
        for partition in partitions:
            partition.elect(alive)
            if partition.leader == NO_LEADER:
                partition.lead(NO_LEADER)
        topic = Topic(plan.name, plan.topic_id, partitions, plan.settings)
        self.topics[topic.name] = topic
        self.topics_by_id[topic.id] = topic
        self._collisions[collision_key(topic.name)] = topic.name
        return topic

    def delete_topic(self, topic: Topic) -> None:
        """Delete a topic with all its records."""
        del self.topics[topic.name], self.topics_by_id[topic.id], self._collisions[collision_key(topic.name)]
        for partition in topic.partitions:
            partition.leader = NO_LEADER
            partition.announce_change()
        for listener in self._when_deleted:
            listener(topic)

    def when_deleted(self, listener: Callable[[Topic], object]) -> None:
        """Have a function called with every topic that is deleted."""
        self._when_deleted.append(listener)

    def new_producer_id(self) -> int:
        """Return a producer ID that nobody has."""
        self._last_producer_id += 1
        return self._last_producer_id

    def _inherited(self) -> dict[str, Any]:
        """Return what topics take over from the broker's settings where they set nothing themselves."""
        return {
            setting.name: self.settings[setting.broker_name]
            for setting in TOPIC_SETTINGS.values()
            if setting.broker_name in self.settings.texts
        }

    def _spread(self, partitions: int, replication_factor: int) -> list[list[int]]:
        """Return replicas for partitions in turn on all nodes, partition 0 led by the first."""
        if partitions == DEFAULT:
            partitions = self.settings.number("num.partitions")
        if replication_factor == DEFAULT:
            replication_factor = self.settings.number("default.replication.factor")
        if replication_factor <= 0:
            raise Refused(ErrorCode.INVALID_REPLICATION_FACTOR, f"{replication_factor} replicas; one is the least")
        if partitions <= 0:
            raise Refused(ErrorCode.INVALID_PARTITIONS, f"{partitions} partitions; there must be one or more")
        nodes = sorted(self.nodes)
        if replication_factor > len(nodes):
            raise Refused(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"{replication_factor} replicas, and only {len(nodes)} nodes to put them on",
            )
        if partitions > MAX_PARTITIONS_AT_ONCE:
            raise Refused(
                ErrorCode.POLICY_VIOLATION,
                f"{partitions} partitions; {MAX_PARTITIONS_AT_ONCE} is the most in one request",
            )
        return [
            [nodes[(index + copy) % len(nodes)] for copy in range(replication_factor)] for index in range(partitions)
        ]

    def _assigned(self, manual: list[tuple[int, Sequence[int]]]) -> list[list[int]]:
        """Check replicas that were assigned by hand, and return them in the partitions' order."""
        by_index = dict(manual)
        wrong = ""
        if len(by_index) != len(manual):
            wrong = "a partition has two assignments"
        elif sorted(by_index) != list(range(len(by_index))):
            wrong = "the partitions must be numbered from 0 on, without gaps"
        elif len({len(replicas) for replicas in by_index.values()}) > 1:
            wrong = "the partitions have different numbers of replicas"
        for index, replicas in by_index.items():
            strange = [node for node in replicas if node not in self.nodes]
            if not replicas:
                wrong = wrong or f"partition {index} has no replica"
            elif len(set(replicas)) != len(replicas):
                wrong = wrong or f"partition {index} has a node twice"
            elif strange:
                wrong = wrong or f"partition {index} is on node {strange[0]}, which does not exist"
        if wrong:
            raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, wrong)
        return [list(by_index[index]) for index in range(len(by_index))]

    def _new_uuid(self) -> bytes:
        """Return 16 random bytes whose text does not look like an option, as Kafka makes topic IDs."""
        while True:
            made = self.chance.randbytes(16)
            if not base64.urlsafe_b64encode(made).startswith(b"-") and any(made[:15]):
                return made
