"""The markers that end a transaction on its partitions (KIP-98)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from felice.broker.coordination import OFFSETS_TOPIC, Kind
from felice.broker.log import PartitionLog
from felice.broker.partition import NO_LEADER, Partition
from felice.broker.refusal import Refused
from felice.broker.transactions.transaction import Identity, State, Transaction
from felice.broker.watcher import Watcher
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
) -> int:
    """End a producer's transaction on a partition; return the offset behind the marker, or refuse what is fenced."""
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
    return offset + 1


class Written(NamedTuple):
    """A marker that was written."""

    log: PartitionLog
    end: int
    """The offset behind it."""


class Ending(Watcher):
    """A transaction that is decided: writes its markers as soon as all replicas in sync have the decision.

    Markers are written with acks=all: it waits for partitions that have no leader, or too few replicas in sync, and
    then for all of these to have the marker. One that is lost before that, with its leader, is written again.
    """

    def __init__(self, cluster: "Cluster", transaction: Transaction, completed: Callable[[], None]) -> None:
        """Take what is to be called when all markers are written."""
        self._cluster = cluster
        self._transaction = transaction
        self._decided = cluster.coordination.partition(Kind.TRANSACTION, transaction.id).log.end_offset
        self._completed = completed
        self._missing: dict[tuple[str, int], Written | None] = dict.fromkeys(sorted(transaction.partitions))
        """The partitions that are not done, with the markers that were written."""
        self._watched: set[Partition] = set()
        self._busy = False
        self._stopped = False

    def changed(self) -> None:
        """Write what can be written, as long as somebody coordinates the transaction."""
        transaction, cluster = self._transaction, self._cluster
        coordinator = cluster.coordination.partition(Kind.TRANSACTION, transaction.id)
        if self._busy or self._stopped or coordinator.leader == NO_LEADER:
            return
        if coordinator.high_watermark < self._decided or coordinator.is_short:
            self._watch(coordinator)
            return
        self._busy = True
        for (topic, index), written in tuple(self._missing.items()):
            found = cluster.topics.get(topic)
            partition = None if found is None else found.partition(index)
            if partition is not None:
                if written is None or written.log is not partition.log:
                    written = self._mark(topic, partition, coordinator.leader_epoch)
                if written is None or partition.high_watermark < written.end:
                    self._missing[topic, index] = written
                    self._watch(partition)
                    continue
            del self._missing[topic, index]
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

    def _mark(self, topic: str, partition: Partition, coordinator_epoch: int) -> Written | None:
        """Write one marker, unless that has to wait."""
        if partition.leader == NO_LEADER or partition.is_short:
            return None
        transaction = self._transaction
        try:
            end = mark(
                self._cluster,
                topic,
                partition,
                Identity(transaction.producer_id, transaction.epoch),
                committed=transaction.state is State.PREPARE_COMMIT,
                coordinator_epoch=coordinator_epoch,
                version=transaction.version,
            )
        except Refused:  # It has seen a later epoch, so it has had its end from somebody else.
            end = partition.high_watermark
        return Written(partition.log, end)
