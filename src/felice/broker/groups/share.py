"""A share group (KIP-932): members share partitions, and have nothing to give up before others can go on.

A partition is assigned only when the share coordinator keeps the group's progress in it. Kafka asks for that beside
the heartbeat that brings a topic in, and so members learn of their partitions by a later one.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from felice.broker.clock import Deadline
from felice.broker.groups import share_log
from felice.broker.groups.assigned_group import AssignedGroup
from felice.broker.groups.assignors import Assignment, Assignor
from felice.broker.groups.group import Claim, Record
from felice.broker.groups.offsets import Committed
from felice.broker.groups.share_member import ShareMember
from felice.broker.groups.share_partitions import Partitions, SharePartitions
from felice.broker.groups.simple_assignor import simple_assignor
from felice.broker.groups.target import TargetLog
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["ASSIGNOR", "ShareGroup"]

ASSIGNOR = "simple"
INITIALIZE_RETRY_INTERVAL_MS = 30_000
UNDECIDED = -1
"""The start offset of partitions in which the group has not read yet: their leaders choose it."""


class ShareGroup(AssignedGroup[ShareMember]):
    """A share group."""

    kind = "share"

    def __init__(self, group_id: str, groups: "Groups") -> None:
        log = TargetLog(partial(share_log.target_record, group_id), partial(share_log.target_epoch_record, group_id))
        super().__init__(group_id, groups, log)
        self.partitions = SharePartitions()
        """The partitions for which the share coordinator keeps state."""
        self._sessions: dict[str, Deadline] = {}
        self._shared_out: dict[bytes, frozenset[int]] = {}
        """All that members shall have, as of `_aimed`."""
        self._aimed: tuple[int, int] = (0, 0)
        """The target's epoch, and how many members it is for: some may have left."""

    # --- what it is ---

    @property
    def state(self) -> str:
        """The state by Kafka's name."""
        return "Stable" if self.members else "Empty"

    @property
    def protocol_type(self) -> str:
        """What the group is for."""
        return "share"

    @property
    def initialized(self) -> Mapping[bytes, frozenset[int]]:
        """The partitions in which the group's progress is kept, by topic ID."""
        return self.partitions.assignable()

    @property
    def expires(self) -> bool:
        """Whether it goes by itself when it is empty: it does not, for its progress is kept."""
        return False

    def present(self, member_id: str) -> ShareMember:
        """Return a member; refuse strangers."""
        member = self.members.get(member_id)
        if member is None:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {self.id}.")
        return member

    def topics_of(self, member: ShareMember) -> frozenset[str]:
        """Return the topics that a member reads, whether they exist or not."""
        return member.topics

    def put(self, member: ShareMember) -> None:
        """Have a member as it is now."""
        before = self.members.get(member.id)
        if before is None or before.topics != member.topics:
            self.reads_anew()
        self.members[member.id] = member

    def assign_by(self) -> tuple[Assignor, bool]:
        """Return the only assignor there is, and whether all members read the same topics."""
        alike = len({member.topics for member in self.members.values()}) == 1
        return simple_assignor(self.initialized), alike

    # --- who may do what: offsets are for others ---

    def check_commit(self, claim: Claim, *, transactional: bool, version: int) -> NoReturn:
        """Refuse."""
        raise self._no_offsets()

    def check_fetch(self, member_id: str | None, epoch: int) -> None:
        """Let everybody ask: there is nothing."""

    def check_offset_delete(self) -> None:
        """Refuse."""
        raise self._no_offsets()

    def _no_offsets(self) -> Refused:
        """Return the refusal of what is about committed offsets."""
        return Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {self.id} is not a consumer group.")

    def retained_since(self, committed: Committed) -> None:
        """Return nothing: there are no commits to retain."""

    # --- one step of a member ---

    def step(self, present: ShareMember, updated: ShareMember) -> ShareMember:
        """Take a member, with what its request changes, one step further, and write down what came of it."""
        self._arrive()
        records = []
        if updated != present:
            records.append(share_log.member_record(self.id, updated))
        changed = updated.topics != present.topics or (self.target.epoch >= self.epoch and self._has_more_to_assign())
        self.put(updated)
        bumped = self.bump_if_needed(changed)
        records += [*bumped, *self.aim()]
        reached = self._reconcile(updated, bool(bumped))
        if reached != updated:
            self.put(reached)
            records.append(share_log.current_record(self.id, reached))
        missing = self._missing()
        if missing:
            self.partitions.begin(missing, self._name_of, self.clock.time_ms())
            records.append(self.partitions_record())
        self.write(records)
        self.keep_alive(reached.id)
        if missing:
            self._initialize(missing)
        return reached

    def _arrive(self) -> None:
        """Be among the groups."""
        if self.groups.find(self.id) is None:
            self.groups.replace(self)

    def _has_more_to_assign(self) -> bool:
        """Tell whether partitions are initialized that nobody shall have yet, or somebody has what is not any more."""
        aimed = self.target.epoch, len(self.target.assignments)
        if aimed != self._aimed:
            shared_out: dict[bytes, frozenset[int]] = {}
            for assignment in self.target.assignments.values():
                for topic, indexes in assignment.items():
                    shared_out[topic] = shared_out.get(topic, frozenset()) | indexes
            self._aimed, self._shared_out = aimed, shared_out
        return not self.partitions.are_assigned(self.topics(), self._shared_out)

    def _reconcile(self, member: ShareMember, bumped: bool) -> ShareMember:
        """Return a member with what it shall have."""
        if member.epoch == self.target.epoch and not bumped:
            return member
        topics = self.cluster.topics
        read = {topics[name].id for name in member.topics if name in topics}
        assigned: Assignment = {topic: indexes for topic, indexes in self.target.of(member.id).items() if topic in read}
        if member.epoch == self.target.epoch:
            return member._replace(assigned=assigned)
        return member._replace(epoch=self.target.epoch, previous_epoch=member.epoch, assigned=assigned)

    def keep_alive(self, member_id: str) -> None:
        """Begin a member's session anew."""
        session = self._sessions.get(member_id)
        if session is None:
            session = self._sessions[member_id] = Deadline(self.clock, partial(self._session_is_over, member_id))
        session.put_off(self.setting("session.timeout.ms") / 1000)

    def fence(self, member: ShareMember) -> None:
        """Remove a member."""
        session = self._sessions.pop(member.id, None)
        if session is not None:
            session.cancel()
        del self.members[member.id]
        self.reads_anew()
        self.target.assignments.pop(member.id, None)
        self.write([*share_log.member_tombstones(self.id, member.id), *self.bump_if_needed(True)])

    def _session_is_over(self, member_id: str) -> None:
        """Remove a member that was silent for too long."""
        self.fence(self.members[member_id])

    # --- the state of partitions ---

    def _missing(self) -> dict[bytes, frozenset[int]]:
        """Return the partitions that members read and whose state is not kept."""
        topics = self.cluster.topics
        late = self.clock.time_ms() - INITIALIZE_RETRY_INTERVAL_MS
        return self.partitions.missing((topics[name] for name in sorted(self.topics() & topics.keys())), late)

    def _initialize(self, partitions: Partitions) -> None:
        """Have the share coordinator keep the state of partitions; where it cannot, a later heartbeat tries again."""
        try:
            for topic, indexes in partitions.items():
                for index in sorted(indexes):
                    self.cluster.share_state.initialize(self.id, topic, index, self.epoch, UNDECIDED)
        except Refused:
            self.abandon_state(partitions)
        else:
            self.finish_state(partitions)

    def begin_state(self, partitions: Partitions) -> None:
        """Write down that the share coordinator is about to be asked to keep the state of partitions."""
        self._arrive()
        self.partitions.begin(partitions, self._name_of, self.clock.time_ms())
        self.write([self.partitions_record()])

    def finish_state(self, partitions: Partitions) -> None:
        """Write down that the share coordinator keeps the state of partitions."""
        self.partitions.finish(partitions, self._name_of)
        self.write([self.partitions_record()])

    def abandon_state(self, partitions: Partitions) -> None:
        """Write down that the share coordinator did not want to keep the state of partitions."""
        self.partitions.abandon(partitions)
        self.write([self.partitions_record()])

    def begin_deletion(self, topics: Collection[bytes]) -> None:
        """Write down that the share coordinator is about to be asked to drop the state of topics."""
        self.partitions.delete(topics)
        self.write([self.partitions_record()])

    def finish_deletion(self, topics: Collection[bytes]) -> None:
        """Write down that the share coordinator has dropped the state of topics."""
        self.partitions.deleted(topics)
        self.write([self.partitions_record()])

    def drop_state(self) -> bool:
        """Have the share coordinator drop the state of all partitions, before the group is deleted."""
        if not self.partitions:
            return False
        known = self.partitions.everything(self._indexes_of)
        self.partitions.initializing.clear()
        self.begin_deletion(known)
        for topic, indexes in known.items():
            for index in sorted(indexes):
                self.cluster.share_state.delete(self.id, topic, index)
        return True

    def topic_deleted(self, topic_id: bytes) -> bool:
        """Forget what is known of a topic that is gone; the share coordinator does so by itself."""
        known = self.partitions.forget(topic_id)
        if known:
            with suppress(Refused):  # Nobody leads: then it is not written.
                self.write([self.partitions_record()])
        return known

    def _name_of(self, topic: bytes) -> str:
        """Return a topic's name."""
        found = self.cluster.topics_by_id.get(topic)
        return "<UNKNOWN>" if found is None else found.name

    def _indexes_of(self, topic: bytes) -> frozenset[int]:
        """Return all partitions of a topic."""
        found = self.cluster.topics_by_id.get(topic)
        return frozenset() if found is None else frozenset(range(len(found.partitions)))

    # --- the log ---

    def epoch_record(self) -> Record:
        """Return the record of the group's epoch."""
        return share_log.epoch_record(self.id, self.epoch, self.look.hash)

    def partitions_record(self) -> Record:
        """Return the record of the partitions whose state is kept."""
        return share_log.partitions_record(self.id, self.partitions, self._name_of)

    def tombstones(self) -> Collection[Record]:
        """Return the records that delete the group."""
        return share_log.group_tombstones(self.id, self.members)

    def moved(self, led: bool) -> "ShareGroup":
        """Give members their time anew: all else stands in the log."""
        self.removed()
        if led:
            for member_id in self.members:
                self.keep_alive(member_id)
        return self

    def removed(self) -> None:
        """Let nothing happen any more."""
        for session in self._sessions.values():
            session.cancel()
        self._sessions.clear()
