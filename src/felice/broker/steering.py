"""What a test may do to the broker's nodes, leaders and replicas; every method may be called from any thread."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from felice.broker.access import Access
from felice.broker.coordination import Kind
from felice.broker.node import Node
from felice.broker.partition import Partition
from felice.errors import UsageError

__all__ = ["Replication", "Steering"]

T = TypeVar("T")


class Replication(NamedTuple):
    """How a partition's replicas stand."""

    leader: int
    """The node that leads, or -1."""
    leader_epoch: int
    replicas: tuple[int, ...]
    """The nodes that have a replica, the preferred leader first."""
    in_sync: tuple[int, ...]
    ends: dict[int, int]
    """For each replica the offset behind its last record."""
    high_watermark: int
    """The offset up to which consumers read."""


class Steering(Access):
    """The part of `Broker` that moves nodes, leaders and replicas. Nodes are given by their IDs."""

    @abstractmethod
    def _stop_node(self, node: Node, *, killed: bool = False) -> None:
        """Take a node out, on the loop."""

    @abstractmethod
    def _add_node(self, rack: str | None) -> Node:
        """Make a node that takes part, on the loop."""

    @abstractmethod
    def _remove_node(self, node: Node) -> None:
        """Forget a node, on the loop."""

    # --- nodes ---

    def stop(self, node: int) -> None:
        """Stop one node: its connections are closed, new ones refused, and other replicas take over its partitions.

        Partitions without another replica have no leader until the node is started again, with `start(node)`. As in
        Kafka it then follows: it leads again after `elect_leader`, or where nobody else does.
        """
        self._run(lambda: self._stop_node(self._node(node)))

    def kill(self, node: int) -> None:
        """End one node at once, as if its machine went: its connections are reset, answers under way are lost.

        The cluster notices at once. When the node starts again it has its records, but its replicas are not trusted to
        have all that was acknowledged (KIP-966).
        """
        self._run(lambda: self._stop_node(self._node(node), killed=True))

    def add_node(self, rack: str | None = None) -> int:
        """Start one more node with an ID and a port of its own, and return the ID. Partitions stay where they are."""
        return self._run(lambda: self._add_node(rack)).id

    def remove_node(self, node: int) -> None:
        """Take a node away for good. Its replicas move to other nodes; where all have one already there is one less."""

        def remove() -> None:
            if len(self._cluster.nodes) == 1:
                raise UsageError(f"node {node} is the last one", hint="use close() to end the broker")
            self._remove_node(self._node(node))

        self._run(remove)

    @property
    def controller(self) -> int:
        """The node that clients take for the controller, or -1."""
        return self._run(lambda: self._cluster.controller_id)

    def move_controller(self, node: int) -> None:
        """Make a node the controller, for as long as it is up."""
        self._run(lambda: self._cluster.move_controller(node))

    def _node(self, node_id: int) -> Node:
        """Return a node."""
        node = self._cluster.nodes.get(node_id)
        if node is None:
            there = ", ".join(map(str, self._cluster.nodes))
            raise UsageError(f"there is no node {node_id}; there are {there}")
        return node

    # --- leaders ---

    def leader(self, topic: str, partition: int) -> int:
        """Return the node that leads a partition, or -1."""
        return self._run(lambda: self._partition(topic, partition).leader)

    def leader_epoch(self, topic: str, partition: int) -> int:
        """Return a partition's leader epoch."""
        return self._run(lambda: self._partition(topic, partition).leader_epoch)

    def move_leader(self, topic: str, partition: int, node: int) -> None:
        """Make a node lead a partition, with a new leader epoch; where it has no replica, it takes the leader's.

        No record gets lost by it, unless there is no leader: then this replica leads with what it has.
        """
        self._run(lambda: self._cluster.move_leader(self._partition(topic, partition), node))

    def elect_leader(self, topic: str, partition: int, *, unclean: bool = False) -> None:
        """Make the first of a partition's replicas its leader; or, where there is no leader, any that is up (unclean).

        After an unclean election the partition goes on with what that replica has: records that others had more are
        gone, also acknowledged ones. Raise `BrokerError` with ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE or
        ELIGIBLE_LEADERS_NOT_AVAILABLE as Kafka does.
        """
        self._run(lambda: self._cluster.elect(self._partition(topic, partition), unclean=unclean))

    def coordinator(self, *, group: str | None = None, transactional_id: str | None = None) -> int:
        """Return the node that coordinates a group or a transactional ID, or -1."""
        return self._run(lambda: self._home(group, transactional_id).leader)

    def move_coordinator(self, node: int, *, group: str | None = None, transactional_id: str | None = None) -> None:
        """Make a node coordinate a group or a transactional ID, and all others that are kept in the same partition."""
        self._run(lambda: self._cluster.move_leader(self._home(group, transactional_id), node))

    def _home(self, group: str | None, transactional_id: str | None) -> Partition:
        """Return the partition whose leader coordinates."""
        partition = self._cluster.coordination.partition
        if group is not None and transactional_id is None:
            return partition(Kind.GROUP, group)
        if transactional_id is not None and group is None:
            return partition(Kind.TRANSACTION, transactional_id)
        raise UsageError("give either group or transactional_id")

    # --- replicas ---

    def replication(self, topic: str, partition: int) -> Replication:
        """Return how a partition's replicas stand now."""

        def look() -> Replication:
            found = self._partition(topic, partition)
            return Replication(
                found.leader,
                found.leader_epoch,
                tuple(found.replicas),
                tuple(found.in_sync),
                {node: found.end_of(node) for node in found.replicas},
                found.high_watermark,
            )

        return self._run(look)

    def reassign(self, topic: str, partition: int, replicas: Sequence[int]) -> None:
        """Move a partition to these nodes: at once, or when those that are down are up again."""
        self._run(lambda: self._cluster.reassign(self._partition(topic, partition), replicas))

    def pause_replica(self, topic: str, partition: int, node: int) -> None:
        """Let a replica that follows lag from its present end on, and count as in sync.

        So acks=all waits, and consumers do not see what is written, until `grow_isr`, until the node is started anew,
        or until it has lagged for `replica.lag.time.max.ms` of the broker's time, and is not in sync any more.
        """
        self._run(lambda: self._cluster.pause_replica(self._partition(topic, partition), node))

    def shrink_isr(self, topic: str, partition: int, node: int) -> None:
        """Let a replica that follows lag from its present end on, and not be in sync.

        While fewer than `min.insync.replicas` are in sync, acks=all is refused with NOT_ENOUGH_REPLICAS, and what is
        written with fewer acks is not seen by consumers.
        """
        self._run(lambda: self._cluster.shrink_isr(self._partition(topic, partition), node))

    def grow_isr(self, topic: str, partition: int, node: int) -> None:
        """Let a replica that lags catch up, and be in sync again."""
        self._run(lambda: self._cluster.grow_isr(self._partition(topic, partition), node))
