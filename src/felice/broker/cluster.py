"""The state of the virtual cluster: its nodes, its topics, and who leads what. It knows nothing of sockets."""

import base64
import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from logging import getLogger
from typing import TYPE_CHECKING

from felice.broker.authorization import Authorizer
from felice.broker.clock import BrokerClock
from felice.broker.configs.inheritance import topic_settings
from felice.broker.coordination import Coordination
from felice.broker.node import Node
from felice.broker.partition import NO_LEADER, Partition
from felice.broker.placement import assigned, check_replicas, spread
from felice.broker.refusal import Refused
from felice.broker.setting import Settings
from felice.broker.setting_tables import BROKER_SETTINGS
from felice.broker.topics import Topic, check_name, collision_key
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.acls import Acls
    from felice.broker.configs.store import Configs
    from felice.broker.features import Features
    from felice.broker.groups.groups import Groups
    from felice.broker.housekeeping import Housekeeping
    from felice.broker.quotas import Quotas
    from felice.broker.scram_users import ScramUsers
    from felice.broker.shares.leaders import ShareLeaders
    from felice.broker.shares.state import ShareState
    from felice.broker.transactions.coordinator import Transactions

__all__ = ["DEFAULT", "Cluster", "Plan"]

DEFAULT = -1
"""Stands for the broker's default, in numbers of partitions and replicas."""

_log = getLogger("felice.broker")


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
        self.own_settings: dict[int, Settings] = {}
        """The settings of the nodes for which some are set that the others do not have."""
        self.nodes = {node.id: node for node in nodes}
        self.topics: dict[str, Topic] = {}
        self.topics_by_id: dict[bytes, Topic] = {}
        self.coordination = Coordination(self)
        self.id = base64.urlsafe_b64encode(self._new_uuid()).decode().rstrip("=")
        self._collisions: dict[str, str] = {}
        self._when_deleted: list[Callable[[Topic], object]] = []
        self._last_producer_id = -1
        self._controller = NO_LEADER
        self.authorizer = Authorizer(self.acls, self.settings) if self.settings["authorizer.class.name"] else None
        """Says who may do what, where it is set that somebody does."""

    @cached_property
    def acls(self) -> "Acls":
        """The access control entries. They are asked for only where there is an authorizer."""
        from felice.broker.acls import Acls

        return Acls()

    @cached_property
    def features(self) -> "Features":
        """The features on which the cluster has agreed."""
        from felice.broker.features import Features

        return Features()

    @cached_property
    def quotas(self) -> "Quotas":
        """The quotas of users, clients and addresses."""
        from felice.broker.quotas import Quotas

        return Quotas()

    @cached_property
    def scram_users(self) -> "ScramUsers":
        """The users with SCRAM credentials."""
        from felice.broker.scram_users import ScramUsers

        return ScramUsers()

    def succeed(self, other: "Cluster") -> None:
        """Take the place of another cluster: with its ID, and without giving producer IDs that it has given."""
        self.id = other.id
        self._last_producer_id = other._last_producer_id

    def forget_records(self) -> None:
        """Let go of all records at once, when the cluster is used no more, and not when the collector comes by."""
        for topic in self.topics.values():
            topic.partitions.clear()
        if "housekeeping" in self.__dict__:
            self.housekeeping.forget()

    @cached_property
    def configs(self) -> "Configs":
        """What can be configured while the broker runs. It is loaded when it is first asked for."""
        from felice.broker.configs.store import Configs

        return Configs(self)

    @cached_property
    def groups(self) -> "Groups":
        """The groups. What they need is loaded when they are first asked for."""
        from felice.broker.groups.groups import Groups

        return Groups(self)

    @cached_property
    def housekeeping(self) -> "Housekeeping":
        """What compacts logs, and deletes what is too old. It is loaded when the first record has come."""
        from felice.broker.housekeeping import Housekeeping

        return Housekeeping(self)

    @cached_property
    def transactions(self) -> "Transactions":
        """The transactions. What they need is loaded when they are first asked for."""
        from felice.broker.transactions.coordinator import Transactions

        return Transactions(self)

    @cached_property
    def share_leaders(self) -> "ShareLeaders":
        """Which partitions are handed out to share groups. What it needs is loaded when it is first asked for."""
        from felice.broker.shares.leaders import ShareLeaders

        return ShareLeaders(self)

    @cached_property
    def share_state(self) -> "ShareState":
        """How far share groups have come. What it needs is loaded when it is first asked for."""
        from felice.broker.shares.state import ShareState

        return ShareState(self)

    # --- nodes ---

    @property
    def alive(self) -> list[Node]:
        """The nodes that are up."""
        return [node for node in self.nodes.values() if node.up]

    @property
    def alive_ids(self) -> set[int]:
        """The IDs of the nodes that are up."""
        return {node.id for node in self.nodes.values() if node.up}

    @property
    def controller_id(self) -> int:
        """The node that clients are told to send administrative requests to: the one chosen, or the first up."""
        chosen = self.nodes.get(self._controller)
        if chosen is not None and chosen.up:
            return chosen.id
        return min(self.alive_ids, default=NO_LEADER)

    def move_controller(self, node_id: int) -> None:
        """Make a node the controller, for as long as it is up."""
        self._check_up(node_id)
        self._controller = node_id

    def node_started(self, node: Node) -> None:
        """Count a node in."""
        _log.info("node %d is up at %s:%d", node.id, node.host, node.port)
        node.up = True
        killed, node.killed = node.killed, False
        self._for_all_partitions(lambda partition, alive: partition.node_started(node.id, alive, killed=killed))

    def node_stopped(self, node: Node, *, killed: bool = False) -> None:
        """Count a node out: others take over what it led, where they can."""
        _log.info("node %d is %s", node.id, "killed" if killed else "stopped")
        node.up, node.killed = False, killed
        self.forget_sessions(node)
        self._for_all_partitions(lambda partition, alive: partition.node_stopped(node.id, alive))

    def forget_sessions(self, node: Node) -> None:
        """Let a node know nothing of those who fetch from it."""
        node.sessions.clear()
        if "share_leaders" in self.__dict__:
            self.share_leaders.node_stopped(node)

    def node_removed(self, node: Node) -> None:
        """Give a node's replicas to others that are up and have none of their partitions; without such they go."""
        del self.nodes[node.id]
        node.up = False
        heirs = itertools.cycle(sorted(self.alive_ids) or sorted(self.nodes))

        def part(partition: Partition, alive: set[int]) -> None:
            if node.id in partition.replicas:
                turn = (next(heirs) for _ in self.nodes)
                heir = next((other for other in turn if other not in partition.replicas), None)
                partition.replace(node.id, heir, alive)

        self._for_all_partitions(part)

    def _for_all_partitions(self, tell: Callable[[Partition, set[int]], None]) -> None:
        """Tell every partition of a change among the nodes."""
        alive = self.alive_ids
        for topic in tuple(self.topics.values()):
            for partition in topic.partitions:
                tell(partition, alive)

    def _check_up(self, node_id: int) -> None:
        """Refuse a node that is not there or not up with BROKER_NOT_AVAILABLE."""
        node = self.nodes.get(node_id)
        if node is None or not node.up:
            raise Refused(ErrorCode.BROKER_NOT_AVAILABLE, f"node {node_id} is not up")

    # --- leaders and replicas ---

    def move_leader(self, partition: Partition, node_id: int) -> None:
        """Make a node the leader of a partition; if it has no replica, it takes the present leader's place."""
        self._check_up(node_id)
        alive = self.alive_ids
        if node_id not in partition.replicas:
            replaced = partition.leader if partition.leader in partition.replicas else partition.replicas[0]
            partition.replace(replaced, node_id, alive)
        elif partition.leader != node_id:
            partition.resume(node_id, alive)
        if partition.leader != node_id:
            partition.lead(node_id, alive)

    def elect(self, partition: Partition, *, unclean: bool = False) -> None:
        """Make the preferred replica the leader (KIP-183), or with `unclean` any where there is no leader (KIP-460).

        Refuse as Kafka does with ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ELIGIBLE_LEADERS_NOT_AVAILABLE.
        """
        alive, preferred = self.alive_ids, partition.replicas[0]
        if partition.leader != NO_LEADER if unclean else partition.leader == preferred:
            raise Refused(ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.")
        if unclean:
            if not partition.elect(alive, unclean=True):
                raise Refused(
                    ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "Eligible topic partition leaders are not available."
                )
        elif preferred in alive and partition.may_lead(preferred):
            partition.lead(preferred, alive)
        else:
            raise Refused(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "The preferred leader was not available.")

    def reassign(self, partition: Partition, replicas: Sequence[int] | None) -> None:
        """Move a partition to other replicas, or (None) call off what is under way (KIP-455).

        Refuse with INVALID_REPLICA_ASSIGNMENT or NO_REASSIGNMENT_IN_PROGRESS. It is done at once, unless a new
        replica's node is down; until it is up the partition's `adding` and `removing` tell what is under way.
        """
        if replicas is None:
            partition.cancel_reassignment(self.alive_ids)
        else:
            check_replicas(replicas, self.nodes, "the partition", as_many_as=len(replicas))
            partition.reassign(replicas, self.alive_ids)

    def pause_replica(self, partition: Partition, node_id: int) -> None:
        """Let a replica lag; after `replica.lag.time.max.ms` in which it has not all records it is not in sync."""
        seconds = self.settings.number("replica.lag.time.max.ms") / 1000
        partition.pause(node_id, partial(self.clock.call_later, seconds))

    def shrink_isr(self, partition: Partition, node_id: int) -> None:
        """Let a replica lag, and count it as out of sync at once."""
        partition.pause(node_id)
        partition.drop(node_id)

    def grow_isr(self, partition: Partition, node_id: int) -> None:
        """Let a replica catch up that lags."""
        self._check_up(node_id)
        partition.resume(node_id, self.alive_ids)

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

    def settings_of(self, topic: Topic, node_id: int) -> Settings:
        """Return a topic's settings as they count on a node, which may have other defaults than the rest."""
        own = self.own_settings.get(node_id)
        return topic.settings if own is None else topic_settings(topic.settings.texts, own)

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
        settings = topic_settings(configs or {}, self.settings)
        manual = list(assignments)
        if manual:
            if partitions != DEFAULT or replication_factor != DEFAULT:
                raise Refused(
                    ErrorCode.INVALID_REQUEST, "with replicas assigned by hand, the numbers of both must be -1"
                )
            replicas = assigned(manual, self.nodes)
            for index, nodes in enumerate(replicas):
                self.check_some_up(index, nodes)
        else:
            if partitions == DEFAULT:
                partitions = self.settings.number("num.partitions")
            if replication_factor == DEFAULT:
                replication_factor = self.settings.number("default.replication.factor")
            replicas = self.spread(partitions, replication_factor)
        return Plan(name, self._new_uuid(), replicas, settings)

    def create_topic(self, plan: Plan) -> Topic:
        """Create a topic that was planned."""
        topic = Topic(plan.name, plan.topic_id, [], plan.settings)
        self.add_partitions(topic, plan.replicas)
        self.topics[topic.name] = topic
        self.topics_by_id[topic.id] = topic
        self._collisions[collision_key(topic.name)] = topic.name
        _log.info("topic %s is there, partitions: %d", topic.name, len(topic.partitions))
        return topic

    def add_partitions(self, topic: Topic, replicas: Iterable[Sequence[int]]) -> None:
        """Give a topic more partitions, behind those that it has."""
        for nodes in replicas:
            topic.layout += 1
            partition = Partition(len(topic.partitions), list(nodes), topic, self.clock.time_ms)
            partition.when_moved = self._tend
            topic.partitions.append(partition)
            partition.found(self.alive_ids)

    def configure_topic(self, topic: Topic, texts: Mapping[str, str | None]) -> None:
        """Give a topic other settings, over those of the brokers."""
        short = [partition for partition in topic.partitions if partition.is_short]
        topic.settings = topic_settings(texts, self.settings)
        for partition in topic.partitions:
            if partition.log.segments:
                self._tend(partition)
        for partition in short:
            partition.look_again()

    def _tend(self, partition: Partition) -> None:
        """Look after a partition's log from now on."""
        self.housekeeping.moved(partition)

    def delete_topic(self, topic: Topic) -> None:
        """Delete a topic with all its records."""
        for partition in topic.partitions:
            partition.leader = NO_LEADER
            partition.announce_change()
        del self.topics[topic.name], self.topics_by_id[topic.id], self._collisions[collision_key(topic.name)]
        for listener in self._when_deleted:
            listener(topic)
        _log.info("topic %s is deleted", topic.name)

    def when_deleted(self, listener: Callable[[Topic], object]) -> None:
        """Have a function called with every topic that is deleted."""
        self._when_deleted.append(listener)

    def new_producer_id(self) -> int:
        """Return a producer ID that nobody has."""
        self._last_producer_id += 1
        return self._last_producer_id

    def spread(self, partitions: int, replication_factor: int, *, first: int = 0) -> list[list[int]]:
        """Return replicas for new partitions, over nodes and racks; `first` is the number of the first of them."""
        racks = {node.id: node.rack for node in self.nodes.values()}
        return spread(sorted(racks), partitions, replication_factor, first=first, racks=racks, alive=self.alive_ids)

    def check_some_up(self, index: int, replicas: Iterable[int]) -> None:
        """Refuse with INVALID_REPLICA_ASSIGNMENT a new partition that nobody could lead."""
        if self.alive_ids.isdisjoint(replicas):
            raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"all nodes chosen for partition {index} are down")

    def _new_uuid(self) -> bytes:
        """Return 16 random bytes whose text does not look like an option, as Kafka makes topic IDs."""
        while True:
            made = self.chance.randbytes(16)
            if not base64.urlsafe_b64encode(made).startswith(b"-") and any(made[:15]):
                return made
