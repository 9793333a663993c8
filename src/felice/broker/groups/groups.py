"""The registry of groups: finds them, writes their records, and lets old offsets expire."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from felice.broker import journal
from felice.broker.clock import Timer
from felice.broker.coordination import OFFSETS_TOPIC, Kind, KnownLogs
from felice.broker.groups.classic import ClassicGroup
from felice.broker.groups.group import CheckPartition, Claim, Group, Record
from felice.broker.groups.offsets import Committed
from felice.broker.groups.offsets_log import offset_record, offset_tombstone
from felice.broker.log import PartitionLog
from felice.broker.partition import NO_LEADER
from felice.broker.refusal import Refused
from felice.broker.topics import Topic
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster
    from felice.broker.groups.share import ShareGroup

__all__ = ["Groups"]

MISSING_GROUP_FROM = 9
CONVERTIBLE = frozenset({"consumer", "streams"})


class Groups:
    """All groups of the cluster, whichever node coordinates them."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self._groups: dict[str, Group] = {}
        self._logs = KnownLogs()
        """The logs of which this is known, by their partitions."""
        self._expiry: Timer | None = None
        cluster.coordination.when_moved(Kind.GROUP, self._moved)
        cluster.when_deleted(self._topic_deleted)

    def __iter__(self) -> Iterator[Group]:
        """Give all groups, in the order in which they came."""
        return iter(tuple(self._groups.values()))

    def find(self, group_id: str) -> Group | None:
        """Return a group, or None."""
        return self._groups.get(group_id)

    def replicated(self, group_id: str) -> Group | None:
        """Return a group, or None, as all replicas in sync have it: that is what those are told who only look."""
        home = self.cluster.coordination.partition(Kind.GROUP, group_id)
        if home.high_watermark >= home.log.end_offset:
            return self.find(group_id)
        return next(self._read(home.log.prefix(home.high_watermark), group_id), None)

    def told(self, group_id: str) -> Group | None:
        """Return a group as it is described, or None: one that was deleted stays until all replicas in sync know."""
        return self.find(group_id) or self.replicated(group_id)

    def all_told(self) -> Iterator[Group]:
        """Give all groups as they are listed."""
        yield from self
        kept_in = self.cluster.topics.get(OFFSETS_TOPIC)
        for home in kept_in.partitions if kept_in else ():
            if home.high_watermark < home.log.end_offset:
                for group in self._read(home.log.prefix(home.high_watermark)):
                    if group.id not in self._groups:
                        yield group

    def get(self, group_id: str) -> Group:
        """Return a group, or refuse with GROUP_ID_NOT_FOUND."""
        found = self._groups.get(group_id)
        if found is None:
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found.")
        return found

    def share(self, group_id: str) -> "ShareGroup":
        """Return a share group, or refuse with GROUP_ID_NOT_FOUND."""
        from felice.broker.groups.share import ShareGroup

        found = self.get(group_id)
        if not isinstance(found, ShareGroup):
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a share group.")
        return found

    def for_join(self, group_id: str, create: bool) -> Group:
        """Return the group that a member of the classic protocol means; create it where that is wanted.

        A consumer group without members becomes a classic one, with its offsets.
        """
        found = self._groups.get(group_id)
        if found is not None and not (found.kind in CONVERTIBLE and found.is_empty):
            return found
        if not create:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)
        group = ClassicGroup(group_id, self, None if found is None else found.offsets)
        if found is None:
            group.write({})
        else:
            self.write(group_id, found.tombstones())
            found.removed()
        self.replace(group)
        return group

    def for_commit(
        self, group_id: str, claim: Claim, *, transactional: bool, version: int
    ) -> tuple[Group, CheckPartition | None]:
        """Return the group to commit to, and what to ask for each partition, if anything; refuse those who may not.

        Who claims no generation can use a group that does not exist: such consumers assign partitions to themselves.
        """
        group = self._groups.get(group_id)
        if group is None:
            if claim.epoch >= 0:
                missing = version >= MISSING_GROUP_FROM and not transactional
                raise Refused(ErrorCode.GROUP_ID_NOT_FOUND if missing else ErrorCode.ILLEGAL_GENERATION)
            group = ClassicGroup(group_id, self)
            self.replace(group)
        check = group.check_commit(claim, transactional=transactional, version=version)
        if not transactional:
            group.committed(claim)
        return group, check

    def commit(self, group: Group, offsets: Mapping[tuple[str, int], Committed]) -> None:
        """Commit offsets by topic and partition."""
        if offsets:
            first = self.write(group.id, [offset_record(group.id, *key, offset) for key, offset in offsets.items()])
            for number, (key, offset) in enumerate(offsets.items()):
                group.offsets.put(*key, offset._replace(position=first + number))

    def stage(self, group: Group, writer: tuple[int, int], offsets: Mapping[tuple[str, int], Committed]) -> None:
        """Keep offsets until the transaction is decided of `writer`, a producer's ID and epoch."""
        if offsets:
            records = [offset_record(group.id, *key, offset) for key, offset in offsets.items()]
            first = self.write(group.id, records, writer=writer)
            for number, (key, offset) in enumerate(offsets.items()):
                group.offsets.stage(writer[0], *key, offset._replace(position=first + number))

    def for_member(self, group_id: str) -> Group:
        """Return the group of somebody who claims to be a member, or refuse with UNKNOWN_MEMBER_ID."""
        found = self._groups.get(group_id)
        if found is None:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)
        return found

    def replace(self, group: Group) -> None:
        """Keep a group under its ID, instead of whatever was there."""
        self._groups[group.id] = group
        if self._expiry is None:
            self._wait_for_expiry()

    def remove(self, group: Group) -> None:
        """Forget a group. Its records are left alone: see `delete`."""
        del self._groups[group.id]
        group.removed()

    def write(self, group_id: str, records: Iterable[Record], *, writer: tuple[int, int] | None = None) -> int:
        """Append records to the group's partition of `__consumer_offsets`; return the first one's offset.

        It is refused with COORDINATOR_NOT_AVAILABLE while nobody leads: then nothing may have changed.
        `writer` is the ID and the epoch of a producer in whose transaction that happens.
        """
        partition = self.cluster.coordination.partition(Kind.GROUP, group_id)
        self._logs.note(partition)
        return journal.write(partition, records, self.cluster.clock.time_ms(), writer=writer)

    def delete(self, group: Group) -> None:
        """Delete a group and its offsets, in the log too."""
        group.drop_state()
        records = [offset_tombstone(group.id, *partition) for partition in sorted(group.offsets.partitions())]
        self.write(group.id, [*records, *group.tombstones()])
        self.remove(group)

    def drop_offsets(self, group: Group, partitions: Iterable[tuple[str, int]]) -> None:
        """Delete what is committed or staged of partitions."""
        known = group.offsets.partitions()
        gone = [partition for partition in dict.fromkeys(partitions) if partition in known]
        if gone:
            self.write(group.id, [offset_tombstone(group.id, *partition) for partition in gone])
        for partition in gone:
            group.offsets.drop(*partition)

    def settle_transaction(self, partition_index: int, producer_id: int, committed: bool) -> None:
        """End a transaction for the groups whose records lie in this partition of `__consumer_offsets`."""
        partition_of = self.cluster.coordination.partition
        for group in self:
            if (
                producer_id in group.offsets.open_transactions
                and partition_of(Kind.GROUP, group.id).index == partition_index
            ):
                group.offsets.settle(producer_id, committed)

    def clear(self) -> None:
        """Forget everything."""
        for group in self:
            self.remove(group)
        self._logs.clear()
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    # --- what happens by itself ---

    def _wait_for_expiry(self) -> None:
        """Look for old offsets when the interval has passed."""
        interval = self.cluster.settings.number("offsets.retention.check.interval.ms")
        self._expiry = self.cluster.clock.call_later(interval / 1000, self._expire)

    def _expire(self) -> None:
        """Delete old offsets, and empty groups that have none left."""
        self._expiry = None
        now = self.cluster.clock.time_ms()
        retention = self.cluster.settings.number("offsets.retention.minutes") * 60_000
        for group in self:
            with suppress(Refused):  # What nobody can write down now is looked at again.
                self.drop_offsets(group, _expired(group, now, retention))
                if group.expires and group.is_empty and not group.offsets.partitions():
                    self.delete(group)
        if self._groups:
            self._wait_for_expiry()

    def _topic_deleted(self, topic: Topic) -> None:
        """Forget what is committed of a topic that is gone, and all groups with the topic in which they are kept."""
        if topic.name == OFFSETS_TOPIC:
            self.clear()
            return
        for group in self:
            with suppress(Refused):  # Where nobody can write that down they are kept, until they expire.
                self.drop_offsets(
                    group, sorted(known for known in group.offsets.partitions() if known[0] == topic.name)
                )
            group.topic_deleted(topic.id)

    def _moved(self, index: int) -> None:
        """Have groups read anew by their new coordinator, from the log itself where that was cut."""
        coordination = self.cluster.coordination
        home = coordination.partitions(Kind.GROUP)[index]
        led = home.leader != NO_LEADER
        groups = [group for group in self if coordination.partition(Kind.GROUP, group.id) is home]
        if led and self._logs.replaced(home):
            for group in groups:
                group.moved(False)
                self.remove(group)
            groups = list(self._read(home.log))
        for group in groups:
            found = group.moved(led)
            if found is None:
                self.remove(group)
            else:
                self.replace(found)

    def _read(self, log: PartitionLog, group_id: str | None = None) -> Iterator[Group]:
        """Give the groups of which a log tells, or one of them."""
        from felice.broker.groups.reading import read_groups  # loaded when it is first needed

        return read_groups(log, self, group_id)


def _expired(group: Group, now: int, retention: int) -> list[tuple[str, int]]:
    """Return the partitions whose commits are too old, and which nobody uses."""
    expired = []
    for topic, partition, committed in group.offsets:
        since = group.retained_since(committed)
        if since is None or group.subscribes(topic) or group.offsets.is_pending(topic, partition):
            continue
        if now >= (since + retention if committed.expires is None else committed.expires):
            expired.append((topic, partition))
    return expired
