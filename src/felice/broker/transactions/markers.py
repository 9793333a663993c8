"""The markers that end a transaction on its partitions (KIP-98)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from felice.broker.coordination import OFFSETS_TOPIC, Kind
from felice.broker.partition import NO_LEADER, Partition
from felice.broker.refusal import Refused
from felice.broker.transactions.transaction import Identity, State, Transaction
from felice.wire.records import ControlType, control_batch

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["Ending", "mark"]


def mark(
    cluster: "Cluster",
    topic: str,
    partition: Partition,
    identity: Identity,
    *,
    committed: bool,
    coordinator_epoch: int,
    version: int,
) -> None:
    """End a producer's transaction on a partition; refuse what is fenced."""
    partition.producers.judge_end(*identity, coordinator_epoch, version)
    now = cluster.clock.time_ms()
    batch = control_batch(
        ControlType.COMMIT if committed else ControlType.ABORT,
        producer_id=identity.producer_id,
        producer_epoch=identity.epoch,
        coordinator_epoch=coordinator_epoch,
        timestamp_ms=now,
    )
    high_watermark = partition.high_watermark
    offset = partition.append(batch, count=1, max_timestamp=now, now=now)
    partition.producers.end(
        *identity,
        coordinator_epoch,
        offset=offset,
        committed=committed,
        high_watermark=high_watermark,
        timestamp=now,
        heard_ms=now,
    )
    if topic == OFFSETS_TOPIC:
        cluster.groups.settle_transaction(partition.index, identity.producer_id, committed)
    # Whoever reads committed records only may now have all that lay behind the transaction's first one.
    partition.announce_growth(partition.log.size)


class Ending:
    """A transaction that is decided: writes its markers as soon as all replicas in sync have the decision.

    It waits for partitions that have no leader, or too few replicas in sync: markers are written with acks=all.
    """

    def __init__(self, cluster: "Cluster", transaction: Transaction, completed: Callable[[], None]) -> None:
        """Take what is to be called when all markers are written."""
        self._cluster = cluster
        self._transaction = transaction
        self._decided = cluster.coordination.partition(Kind.TRANSACTION, transaction.id).log.end_offset
        self._completed = completed
        self._missing = set(transaction.partitions)
        self._watched: set[Partition] = set()
        self._busy = False
        self._stopped = False

    def grew(self, size: int) -> None:
        """Look: an append may be what moved the high watermark behind the decision."""
        self.advance()

    def advanced(self) -> None:
        """Look whether a partition can be written to now, or all replicas in sync have the decision."""
        self.advance()

    def changed(self) -> None:
        """Look whether a partition has a leader now, or is gone."""
        self.advance()

    def advance(self) -> None:
        """Write what can be written, as long as somebody coordinates the transaction."""
        transaction, cluster = self._transaction, self._cluster
        coordinator = cluster.coordination.partition(Kind.TRANSACTION, transaction.id)
        if self._busy or self._stopped or coordinator.leader == NO_LEADER:
            return
        if coordinator.high_watermark < self._decided or coordinator.is_short:
            self._watch(coordinator)
            return
        self._busy = True
        for topic, index in sorted(self._missing):
            found = cluster.topics.get(topic)
            partition = None if found is None else found.partition(index)
            if partition is not None and (partition.leader == NO_LEADER or partition.is_short):
                self._watch(partition)
                continue
            self._missing.discard((topic, index))
            if partition is not None:
                self._mark(topic, partition, coordinator.leader_epoch)
        self._busy = False
        if not self._missing:
            self.stop()
            self._completed()

    def _watch(self, partition: Partition) -> None:
        """Look again when something happens to a partition."""
        self._watched.add(partition)
        partition.watchers.add(self)

    def stop(self) -> None:
        """Do nothing any more."""
        self._stopped = True
        for partition in self._watched:
            partition.watchers.discard(self)
        self._watched.clear()

    def _mark(self, topic: str, partition: Partition, coordinator_epoch: int) -> None:
        """Write one marker. A partition that has seen a later epoch has had its end from somebody else."""
        transaction = self._transaction
        try:
            mark(
                self._cluster,
                topic,
                partition,
                Identity(transaction.producer_id, transaction.epoch),
                committed=transaction.state is State.PREPARE_COMMIT,
                coordinator_epoch=coordinator_epoch,
                version=transaction.version,
            )
        except Refused:
            return
