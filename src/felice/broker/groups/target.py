"""What the members of a group shall have, where the broker assigns (KIP-848, KIP-932). Pure: no clock, no log."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from felice.broker.groups.assignors import Assignment, Assignor, Subscriber
from felice.broker.groups.group import Record
from felice.broker.java import bucket, table_size
from felice.broker.topics import Topic

__all__ = ["Reader", "Target", "TargetLog"]

NOTHING: Assignment = {}


class Reader(Protocol):
    """A member, as far as it matters here."""

    @property
    def id(self) -> str:
        """Its ID."""

    @property
    def instance_id(self) -> str | None:
        """The name of a static member (KIP-345)."""


class TargetLog(NamedTuple):
    """How a group's target stands in `__consumer_offsets`."""

    member: Callable[[str, Assignment], Record]
    """Gives the record of what a member shall have."""
    epoch: Callable[[int, int], Record]
    """Gives the record of the target's epoch, and of when it was computed, in milliseconds since 1970."""


class Target:
    """Assignments by member, the group's epoch for which they were computed, and when that was."""

    def __init__(self, log: TargetLog) -> None:
        self._log = log
        self.epoch = 0
        self.time: int | None = None
        """In milliseconds since 1970; None where nothing was computed yet."""
        self.assignments: dict[str, Assignment] = {}

    def of(self, member_id: str) -> Assignment:
        """Return what a member shall have."""
        return self.assignments.get(member_id, NOTHING)

    def compute(
        self,
        assignor: Assignor,
        epoch: int,
        now: int,
        reading: Collection[tuple[Reader, frozenset[str]]],
        alike: bool,
        topics: Mapping[str, Topic],
    ) -> list[Record]:
        """Compute it anew, given the topics that each member reads, and those there are; return its records.

        `alike` is whether all members read the same topics.
        """
        size = table_size(len(reading))  # Kafka asks members in the order that a `HashMap` gives them.
        members = {
            member.id: Subscriber(
                frozenset(topics[name].id for name in names if name in topics), self.of(member.id), member.instance_id
            )
            for member, names in sorted(reading, key=lambda entry: bucket(entry[0].id, size))
        }
        read = frozenset[str]().union(*(names for _, names in reading))
        sizes = {topics[name].id: len(topics[name].partitions) for name in sorted(read & topics.keys())}
        found = assignor(members, sizes, alike)
        new = {member_id: found.get(member_id, NOTHING) for member_id in members}
        records = [
            self._log.member(member_id, assignment)
            for member_id, assignment in new.items()
            if assignment != self.assignments.get(member_id)
        ]
        self.assignments, self.epoch, self.time = new, epoch, now
        return [*records, self.record()]

    def member_record(self, member_id: str) -> Record:
        """Return the record of what a member shall have."""
        return self._log.member(member_id, self.of(member_id))

    def record(self) -> Record:
        """Return the record of its epoch."""
        return self._log.epoch(self.epoch, self.time or 0)
