"""What groups share whose members are assigned partitions by the broker (KIP-848, KIP-932).

The group's epoch goes up when members, subscriptions or topics change. Then a new target is computed, which has the
group's epoch; and members enter the target's epoch with their heartbeats.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from felice.broker.groups.assignors import Assignor
from felice.broker.groups.group import Claim, Group, Record
from felice.broker.groups.offsets import Offsets
from felice.broker.groups.target import Reader, Target, TargetLog
from felice.broker.groups.topic_look import TopicLook
from felice.broker.groups.view import GroupView, MemberView
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["AssignedGroup", "AssignedMember"]

FIRST_EPOCH = 1


class AssignedMember(Reader, Protocol):
    """A member to whom the broker assigns partitions."""

    @property
    def client_id(self) -> str:
        """What its client calls itself."""

    @property
    def client_host(self) -> str:
        """Where it comes from."""

    def partitions(self) -> Iterator[tuple[bytes, int]]:
        """Give the partitions that it has, each by topic ID and index."""


M = TypeVar("M", bound=AssignedMember)


class AssignedGroup(Group, Generic[M]):
    """A group whose members are assigned partitions by the broker."""

    def __init__(self, group_id: str, groups: "Groups", log: TargetLog, offsets: Offsets | None = None) -> None:
        super().__init__(group_id, offsets)
        self.groups = groups
        self.cluster = groups.cluster
        self.clock = groups.cluster.clock
        self.epoch = FIRST_EPOCH
        self.target = Target(log)
        self.members: dict[str, M] = {}
        self._read: frozenset[str] | None = None
        """The topics that members read; None where that may have changed."""
        self.look = TopicLook(self.cluster)
        """What the topics looked like when the group's epoch went up last."""

    # --- what it is ---

    def setting(self, name: str) -> int:
        """Return a setting of this group, or else of all groups of its kind."""
        return self.cluster.configs.groups.settings(self.id).number(f"{self.kind}.{name}")

    @abstractmethod
    def topics_of(self, member: M) -> frozenset[str]:
        """Return the topics that a member reads, whether they exist or not."""

    def topics(self) -> frozenset[str]:
        """Return the topics that members read, whether they exist or not."""
        if self._read is None:
            self._read = frozenset[str]().union(*map(self.topics_of, self.members.values()))
        return self._read

    def reads_anew(self) -> None:
        """Note that members came or went, or read other topics: without that a heartbeat does not look at them all."""
        self._read = None

    def subscribes(self, topic: str) -> bool:
        """Tell whether a member reads a topic."""
        return topic in self.topics()

    def view(self) -> GroupView:
        """Return the group for a test to look at."""
        topics = self.cluster.topics_by_id
        members = tuple(
            MemberView(
                member.id,
                member.instance_id,
                member.client_id,
                member.client_host,
                frozenset((topics[topic].name, index) for topic, index in member.partitions() if topic in topics),
            )
            for member in self.members.values()
        )
        return super().view()._replace(epoch=self.epoch, members=members)

    # --- who may do what ---

    def check_room(self, member_id: str) -> None:
        """Refuse one more where there are as many as there may be."""
        most = self.cluster.settings.number(f"group.{self.kind}.max.size")
        if len(self.members) >= most and member_id not in self.members:
            raise Refused(ErrorCode.GROUP_MAX_SIZE_REACHED, f"The {self.kind} group has reached its maximum of {most}.")

    def check_delete(self) -> None:
        """Refuse while there are members."""
        if self.members:
            raise Refused(ErrorCode.NON_EMPTY_GROUP)

    def committed(self, claim: Claim) -> None:
        """Leave it: a commit is no sign of life."""

    # --- epochs ---

    @abstractmethod
    def epoch_record(self) -> Record:
        """Return the record of the group's epoch."""

    @abstractmethod
    def assign_by(self) -> tuple[Assignor, bool]:
        """Return the assignor to use now, and whether all members read the same topics."""

    def bump_if_needed(self, changed: bool) -> list[Record]:
        """Let the group's epoch go up where something changed, the topics' looks for one; return the record of that."""
        if not self.look.take(self.topics()) and not changed:
            return []
        self.epoch += 1
        return [self.epoch_record()]

    def aim(self) -> list[Record]:
        """Compute a new target where the group has changed, but not too often; return its records (KIP-1263)."""
        now, target = self.clock.time_ms(), self.target
        if target.epoch >= self.epoch or (
            target.time is not None and now - target.time < self.setting("assignment.interval.ms")
        ):
            return []
        reading = [(member, self.topics_of(member)) for member in self.members.values()]
        assignor, alike = self.assign_by()
        return target.compute(assignor, self.epoch, now, reading, alike, self.cluster.topics)

    def write(self, records: Collection[Record]) -> None:
        """Write records, if there are any."""
        if records:
            self.groups.write(self.id, records)
