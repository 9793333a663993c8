"""What the members of a consumer group shall have (KIP-848). Pure: no clock, no log."""

from collections.abc import Collection, Mapping

from felice.broker.groups import consumer_log
from felice.broker.groups.assignors import ASSIGNORS, Assignment, Subscriber
from felice.broker.groups.consumer_member import ConsumerMember
from felice.broker.groups.group import Record
from felice.broker.java import bucket
from felice.broker.node import Node
from felice.broker.topics import Topic

__all__ = ["Target", "look_at"]

NOTHING: Assignment = {}


class Target:
    """Assignments by member, the group's epoch for which they were computed, and when that was."""

    def __init__(self, group_id: str) -> None:
        self._group_id = group_id
        self.epoch = 0
        self.time: int | None = None
        """In milliseconds since 1970; None where nothing was computed yet."""
        self.assignments: dict[str, Assignment] = {}

    def of(self, member_id: str) -> Assignment:
        """Return what a member shall have."""
        return self.assignments.get(member_id, NOTHING)

    def compute(
        self,
        assignor: str,
        epoch: int,
        now: int,
        reading: Collection[tuple[ConsumerMember, frozenset[str]]],
        topics: Mapping[str, Topic],
    ) -> list[Record]:
        """Compute it anew, given the topics that each member reads, and those there are; return its records."""
        size = _table_size(len(reading))
        members = {
            member.id: Subscriber(
                frozenset(topics[name].id for name in names if name in topics), self.of(member.id), member.instance_id
            )
            for member, names in sorted(reading, key=lambda entry: bucket(entry[0].id, size))
        }
        read = frozenset[str]().union(*(names for _, names in reading))
        sizes = {topics[name].id: len(topics[name].partitions) for name in sorted(read & topics.keys())}
        found = ASSIGNORS[assignor](members, sizes, _alike([member for member, _ in reading]))
        new = {member_id: found.get(member_id, NOTHING) for member_id in members}
        records = [
            consumer_log.target_record(self._group_id, member_id, assignment)
            for member_id, assignment in new.items()
            if assignment != self.of(member_id)
        ]
        self.assignments, self.epoch, self.time = new, epoch, now
        return [*records, self.record()]

    def record(self) -> Record:
        """Return the record of its epoch."""
        return consumer_log.target_epoch_record(self._group_id, self.epoch, self.time or 0)


def _alike(members: Collection[ConsumerMember]) -> bool:
    """Tell whether all members read the same topics, and all name them, or all have the same regular expression."""
    first = next(iter(members))
    return all((member.topics, member.regex) == (first.topics, first.regex) for member in members) and not (
        first.topics and first.regex
    )


def _table_size(members: int) -> int:
    """Return how many buckets Java's `HashMap` has for so many keys: Kafka asks members in the order that it gives."""
    size = 16
    while members > size * 3 // 4:
        size *= 2
    return size


def look_at(names: Collection[str], topics: Mapping[str, Topic], nodes: Mapping[int, Node]) -> tuple[object, ...]:
    """Return all that an assignment depends on of topics that exist: their IDs, and their partitions' racks."""
    return tuple(
        (
            name,
            topics[name].id,
            tuple(
                tuple(nodes[node].rack for node in partition.replicas if node in nodes)
                for partition in topics[name].partitions
            ),
        )
        for name in sorted(names)
        if name in topics
    )
