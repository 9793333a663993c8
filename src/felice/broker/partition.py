"""A partition as the cluster sees it: its log, who leads it, and who waits for it to grow.

The replicas of a partition share one log: what is appended has reached all that are in sync, so the high watermark is
the log's end.
"""

from typing import Protocol

from felice.broker.epochs import LeaderEpochs
from felice.broker.log import PartitionLog
from felice.broker.producers import Producers
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["NO_LEADER", "Partition", "Watcher"]

NO_LEADER = -1
NO_EPOCH = -1


class Watcher(Protocol):
    """Somebody who waits for a partition."""

    def grew(self, size: int) -> None:
        """Hear that `size` bytes were appended."""
        ...

    def changed(self) -> None:
        """Hear that the partition has another leader, or is gone."""
        ...


class Partition:
    """One partition of a topic."""

    __slots__ = ("epochs", "in_sync", "index", "leader", "leader_epoch", "log", "producers", "replicas", "watchers")

    def __init__(self, index: int, replicas: list[int]) -> None:
        self.index = index
        self.replicas = replicas
        self.in_sync = list(replicas)
        self.leader = NO_LEADER
        self.leader_epoch = NO_EPOCH
        self.log = PartitionLog()
        self.epochs = LeaderEpochs()
        self.producers = Producers()
        self.watchers: set[Watcher] = set()

    @property
    def high_watermark(self) -> int:
        """The offset behind the last record that all replicas in sync have."""
        return self.log.end_offset

    @property
    def last_stable_offset(self) -> int:
        """The offset behind the last record whose transaction, if any, is decided."""
        return self.log.end_offset

    def lead(self, node_id: int) -> None:
        """Give the partition a leader, or `NO_LEADER`: a new leader epoch begins."""
        self.leader = node_id
        self.leader_epoch += 1
        if node_id != NO_LEADER:
            self.epochs.assign(self.leader_epoch, self.log.end_offset)
        self.announce_change()

    def elect(self, alive: set[int]) -> None:
        """Choose the first replica that is alive and in sync as leader, if the present one is not."""
        if self.leader in alive:
            return
        chosen = next((node for node in self.replicas if node in alive and node in self.in_sync), NO_LEADER)
        if chosen != self.leader:
            self.lead(chosen)

    def node_stopped(self, node_id: int, alive: set[int]) -> None:
        """Take a node out of the replicas in sync, the last one excepted, and find another leader."""
        if node_id in self.in_sync and len(self.in_sync) > 1:
            self.in_sync.remove(node_id)
        self.elect(alive)

    def node_started(self, node_id: int, alive: set[int]) -> None:
        """Let a node catch up, and lead where nobody does."""
        if node_id in self.replicas:
            self.elect(alive)
            if node_id not in self.in_sync and self.leader != NO_LEADER:
                self.in_sync.append(node_id)

    def check_epoch(self, epoch: int) -> None:
        """Refuse a request made for another leader epoch than the present one (KIP-320)."""
        if epoch in (NO_EPOCH, self.leader_epoch):
            return
        raise Refused(
            ErrorCode.FENCED_LEADER_EPOCH if epoch < self.leader_epoch else ErrorCode.UNKNOWN_LEADER_EPOCH,
            f"the request names leader epoch {epoch}; it is {self.leader_epoch}",
        )

    def check_leader(self, node_id: int, epoch: int = NO_EPOCH) -> None:
        """Refuse a request that should have gone to another node, or names another leader epoch."""
        if node_id in self.replicas:
            self.check_epoch(epoch)
        if self.leader != node_id:
            raise Refused(ErrorCode.NOT_LEADER_OR_FOLLOWER, f"node {self.leader} leads")

    def announce_growth(self, size: int) -> None:
        """Tell those who wait that `size` bytes were appended."""
        for watcher in tuple(self.watchers):
            watcher.grew(size)

    def announce_change(self) -> None:
        """Tell those who wait that the leader is another one, or the partition is gone."""
        for watcher in tuple(self.watchers):
            watcher.changed()
