"""The registry of groups: finds them, writes their records, and lets old offsets expire."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from felice.broker import journal
from felice.broker.clock import Timer
from felice.broker.coordination import Kind
from felice.broker.groups.group import Group, Record
from felice.broker.groups.offsets_log import offset_tombstone
from felice.broker.refusal import Refused
from felice.broker.topics import Topic
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["Groups"]


class Groups:
    """All groups of the cluster, whichever node coordinates them."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self._groups: dict[str, Group] = {}
        self._expiry: Timer | None = None
        cluster.coordination.when_moved(Kind.GROUP, self._moved)
        cluster.when_deleted(self._topic_deleted)

    def __iter__(self) -> Iterator[Group]:
        """Give all groups, in the order in which they came."""
        return iter(tuple(self._groups.values()))

    def find(self, group_id: str) -> Group | None:
        """Return a group, or None."""
        return self._groups.get(group_id)

    def get(self, group_id: str) -> Group:
        """Return a group, or refuse with GROUP_ID_NOT_FOUND."""
        found = self._groups.get(group_id)
        if found is None:
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found.")
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

    def write(self, group_id: str, records: Iterable[Record]) -> int:
        """Append records to the group's partition of `__consumer_offsets`; return the first one's offset."""
        partition = self.cluster.coordination.partition(Kind.GROUP, group_id)
        return journal.write(partition, records, self.cluster.clock.time_ms())

    def delete(self, group: Group) -> None:
        """Delete a group and its offsets, in the log too."""
        records = [offset_tombstone(group.id, *partition) for partition in sorted(group.offsets.partitions())]
        self.write(group.id, [*records, *group.tombstones()])
        self.remove(group)

    def drop_offsets(self, group: Group, partitions: Iterable[tuple[str, int]]) -> None:
        """Delete what is committed or staged of partitions."""
        gone = [partition for partition in partitions if group.offsets.drop(*partition)]
        if gone:
            self.write(group.id, [offset_tombstone(group.id, *partition) for partition in gone])

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
            self.drop_offsets(group, _expired(group, now, retention))
            if group.is_empty and not group.offsets.partitions():
                self.delete(group)
        if self._groups:
            self._wait_for_expiry()

    def _topic_deleted(self, topic: Topic) -> None:
        """Forget what is committed of a topic that is gone."""
        for group in self:
            self.drop_offsets(group, sorted(known for known in group.offsets.partitions() if known[0] == topic.name))

    def _moved(self, index: int) -> None:
        """Have groups read anew by their new coordinator."""
        for group in self:
            if self.cluster.coordination.partition(Kind.GROUP, group.id).index == index:
                found = group.moved()
                if found is None:
                    self.remove(group)
                elif found is not group:
                    self.replace(found)


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
