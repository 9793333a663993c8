"""How far share groups have come in partitions, whichever node coordinates that (KIP-932).

It answers as Kafka's share coordinators do. Brokers in here ask it without requests, who come from outside by those of
share group states.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from felice.broker import journal
from felice.broker.coordination import SHARE_STATE_TOPIC, Kind, KnownLogs
from felice.broker.partition import NO_LEADER, Partition
from felice.broker.refusal import Refused
from felice.broker.shares.progress import SAME, UNKNOWN, Change, Known, Progress
from felice.broker.shares.share_partition import SharePartition
from felice.broker.shares.state_batch import KEPT, StateBatch, combined
from felice.broker.shares.upkeep import Upkeep
from felice.errors import ErrorCode
from felice.wire.messages.share_state_topic import (
    ShareSnapshotKey,
    ShareSnapshotValue,
    ShareUpdateKey,
    ShareUpdateValue,
)

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster
    from felice.broker.topics import Topic

__all__ = ["ShareState"]

VERSION = 0
"""That of the records' values."""
ANY_EPOCH = -1
"""An epoch of who does not know it: it is not compared."""
UPDATES = "share.coordinator.snapshot.update.records.per.snapshot"


class ShareState:
    """The registry. A share coordinator that is nowhere refuses with COORDINATOR_NOT_AVAILABLE."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._known: dict[SharePartition, Known] = {}
        self._logs = KnownLogs()
        """The logs of which this is known, by their partitions."""
        self._upkeep = Upkeep(cluster.clock, self._known, self._homes, self._home, self._refresh)
        cluster.coordination.when_moved(Kind.SHARE, self._moved)
        cluster.when_deleted(self._topic_deleted)

    # --- what brokers ask ---

    def initialize(self, group_id: str, topic_id: bytes, index: int, state_epoch: int, start_offset: int) -> None:
        """Begin, or begin anew: at an offset, or at -1 where the partition's leader shall choose it.

        Refuse with FENCED_STATE_EPOCH an epoch below the one before.
        """
        key = self._key(group_id, topic_id, index)
        known = self._known.get(key)
        if known is not None:
            _check_state_epoch(known, state_epoch)
        self._check_topic(key)
        self._write(
            key,
            ShareSnapshotValue(
                snapshot_epoch=0 if known is None else known.progress.snapshot_epoch + 1,
                state_epoch=state_epoch,
                leader_epoch=0,
                start_offset=start_offset,
                delivery_complete_count=-1 if start_offset == -1 else 0,
                create_timestamp=self._now(),
            ),
        )

    def read(self, group_id: str, topic_id: bytes, index: int, leader_epoch: int) -> Progress:
        """Return how far a group has come; the leader who asks fences those with a lower epoch.

        Refuse with INVALID_REQUEST what was not initialized, and with FENCED_LEADER_EPOCH.
        """
        key = self._key(group_id, topic_id, index)
        known = self._get(key)
        _check_leader_epoch(known, leader_epoch)
        self._check_topic(key)
        progress = known.progress
        if leader_epoch not in (ANY_EPOCH, known.leader_epoch):
            self._go_on(key, known, progress.start_offset, leader_epoch, progress.delivery_complete_count, ())
        return progress

    def summary(self, group_id: str, topic_id: bytes, index: int, leader_epoch: int) -> Progress:
        """Return how far a group has come, for who only looks; `UNKNOWN` where it has not begun."""
        key = self._key(group_id, topic_id, index)
        self._check_topic(key)
        known = self._known.get(key)
        return UNKNOWN if known is None else known.progress

    def write(
        self,
        group_id: str,
        topic_id: bytes,
        index: int,
        state_epoch: int,
        leader_epoch: int,
        start_offset: int,
        delivery_complete_count: int,
        batches: Iterable[StateBatch],
    ) -> None:
        """Go on: with a start offset, or -1 that leaves it, and with what happened to records behind it.

        Refuse with INVALID_REQUEST what was not initialized, with FENCED_LEADER_EPOCH and with FENCED_STATE_EPOCH.
        """
        key = self._key(group_id, topic_id, index)
        known = self._get(key)
        _check_leader_epoch(known, leader_epoch)
        _check_state_epoch(known, state_epoch)
        self._check_topic(key)
        batches = tuple(batches)
        if any(batch.first_offset > batch.last_offset for batch in batches):
            # Kafka lets them in, and may then never come to the end of combining them.
            raise Refused(ErrorCode.INVALID_REQUEST, "a batch ends before it begins")
        self._go_on(key, known, start_offset, SAME, delivery_complete_count, batches)

    def delete(self, group_id: str, topic_id: bytes, index: int) -> None:
        """Forget a partition. One that was not initialized is no error."""
        key = self._key(group_id, topic_id, index)
        self._check_topic(key)
        if key in self._known:
            self._forget([key])

    # --- checks ---

    def _key(self, group_id: str, topic_id: bytes, index: int) -> SharePartition:
        """Return what state is kept by, and refuse what is no partition, and where nobody coordinates it."""
        key = SharePartition(group_id, topic_id, index)
        if index < 0:
            raise Refused(ErrorCode.INVALID_REQUEST, "a partition's number is not negative", shown=True)
        if self._home(key).leader == NO_LEADER:
            raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"nobody coordinates {key.coordinator_key!r}")
        return key

    def _get(self, key: SharePartition) -> Known:
        """Return what is known, or refuse."""
        known = self._known.get(key)
        if known is None:
            raise Refused(ErrorCode.INVALID_REQUEST, "the share partition was not initialized", shown=True)
        return known

    def _check_topic(self, key: SharePartition) -> None:
        """Refuse a partition that does not exist."""
        topic = self._cluster.topics_by_id.get(key.topic_id)
        if topic is None or topic.partition(key.partition) is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def _home(self, key: SharePartition) -> Partition:
        """Return the partition of `__share_group_state` that keeps it."""
        return self._cluster.coordination.partition(Kind.SHARE, key.coordinator_key)

    def _homes(self) -> Iterable[Partition]:
        """Return the partitions of `__share_group_state` that were written to."""
        homes = self._cluster.coordination.partitions(Kind.SHARE)
        return [homes[index] for index in self._logs.indexes if index < len(homes)]

    # --- writing it down ---

    def _go_on(
        self,
        key: SharePartition,
        known: Known,
        start_offset: int,
        leader_epoch: int,
        delivery_complete_count: int,
        news: tuple[StateBatch, ...],
    ) -> None:
        """Write an update, or when there were enough of those a snapshot."""
        progress = known.progress
        if leader_epoch == SAME:
            leader_epoch = progress.leader_epoch
        if known.updates < self._limit:
            batches = combined((), news, start_offset)
            self._write(
                key,
                ShareUpdateValue(
                    snapshot_epoch=progress.snapshot_epoch,
                    leader_epoch=leader_epoch,
                    start_offset=start_offset,
                    delivery_complete_count=delivery_complete_count,
                    state_batches=[ShareUpdateValue.StateBatch(**batch._asdict()) for batch in batches],
                ),
            )
            return
        start_offset = progress.start_offset if start_offset == KEPT else start_offset
        reached = progress._replace(
            leader_epoch=leader_epoch,
            start_offset=start_offset,
            delivery_complete_count=delivery_complete_count,
            batches=combined(progress.batches, news, start_offset),
        )
        self._write(key, _snapshot(reached, self._now()))

    def _refresh(self, key: SharePartition, known: Known) -> None:
        """Write down whole what is known, although nothing has changed."""
        self._write(key, _snapshot(known.progress, known.created_ms))

    def _now(self) -> int:
        """Return the time, in milliseconds since 1970."""
        return self._cluster.clock.time_ms()

    @property
    def _limit(self) -> int:
        """How many updates stand between two snapshots."""
        return self._cluster.settings.number(UPDATES)

    def _write(self, key: SharePartition, change: Change) -> None:
        """Append a record, and go on by it."""
        written: ShareSnapshotKey | ShareUpdateKey
        if isinstance(change, ShareSnapshotValue):
            change.write_timestamp = self._now()
            written = ShareSnapshotKey(**key._asdict())
        else:
            written = ShareUpdateKey(**key._asdict())
        offset = self._append(self._home(key), [(written.pack(), change.pack(VERSION))])
        self._known.setdefault(key, Known()).take(change, offset, self._limit)

    def _forget(self, keys: Iterable[SharePartition]) -> None:
        """Delete states, in the log too where that has a leader."""
        gone: dict[Partition, list[SharePartition]] = {}
        for key in keys:
            gone.setdefault(self._home(key), []).append(key)
        for home, theirs in gone.items():
            if home.leader != NO_LEADER:
                self._append(home, [(ShareSnapshotKey(**key._asdict()).pack(), None) for key in theirs])
            for key in theirs:
                del self._known[key]

    def _append(self, home: Partition, records: Iterable[tuple[bytes, bytes | None]]) -> int:
        """Append records to a partition of `__share_group_state`; return the first one's offset."""
        self._logs.note(home)
        self._upkeep.wait()
        return journal.write(home, records, self._now())

    # --- what happens around it ---

    def _topic_deleted(self, topic: "Topic") -> None:
        """Forget all that is known of a topic's partitions, and everything with the topic in which it is kept."""
        if topic.name == SHARE_STATE_TOPIC:
            self._known.clear()
            self._logs.clear()
            return
        self._forget([key for key in self._known if key.topic_id == topic.id])

    def _moved(self, index: int) -> None:
        """Read anew from the log itself, where that was cut: it may not tell any more which topics are gone."""
        home = self._cluster.coordination.partitions(Kind.SHARE)[index]
        if home.leader == NO_LEADER or not self._logs.replaced(home):
            return
        for key in [key for key in self._known if self._home(key) is home]:
            del self._known[key]
        from felice.broker.shares.reading import read_changes

        for key, change, offset in read_changes(home.log):
            if change is None or key.topic_id not in self._cluster.topics_by_id:
                self._known.pop(key, None)
            else:
                self._known.setdefault(key, Known()).take(change, offset, self._limit)
        self._upkeep.wait()


def _snapshot(progress: Progress, created: int) -> ShareSnapshotValue:
    """Return the next snapshot of a progress."""
    return ShareSnapshotValue(
        snapshot_epoch=progress.snapshot_epoch + 1,
        state_epoch=progress.state_epoch,
        leader_epoch=progress.leader_epoch,
        start_offset=progress.start_offset,
        delivery_complete_count=progress.delivery_complete_count,
        create_timestamp=created,
        state_batches=[ShareSnapshotValue.StateBatch(**batch._asdict()) for batch in progress.batches],
    )


def _check_leader_epoch(known: Known, leader_epoch: int) -> None:
    """Refuse a leader that is none any more."""
    if leader_epoch != ANY_EPOCH and leader_epoch < known.leader_epoch:
        raise Refused(ErrorCode.FENCED_LEADER_EPOCH, f"a leader of epoch {known.leader_epoch} has asked")


def _check_state_epoch(known: Known, state_epoch: int) -> None:
    """Refuse who does not know yet that the group has begun anew."""
    if state_epoch != ANY_EPOCH and state_epoch < known.state_epoch:
        raise Refused(ErrorCode.FENCED_STATE_EPOCH, f"the group has begun with epoch {known.state_epoch}")
