"""A group of the classic protocol: its members join, one of them assigns, and all ask what they got.

    Empty ──join──> PreparingRebalance ──all joined, or time is over──> CompletingRebalance ──leader's sync──> Stable
      ^                  ^       │                                             │                               │
      └──nobody joined───┼───────┘                                             │                               │
                         └──────somebody joins anew, leaves, or is late────────┴───────────────────────────────┘

A group that is deleted is Dead. `joining` has the ways in, `membership` what else members ask; here is what follows.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from felice.broker.clock import Timer
from felice.broker.groups import joining, membership
from felice.broker.groups.classic_log import logged, members_of
from felice.broker.groups.group import CheckPartition, Claim, Group, Record
from felice.broker.groups.joining import Applicant
from felice.broker.groups.member import Member
from felice.broker.groups.member_sessions import FIRST_JOIN_TIMEOUT, MemberSessions
from felice.broker.groups.offsets import Committed, Offsets
from felice.broker.groups.offsets_log import group_record, group_tombstone
from felice.broker.groups.phase import Phase
from felice.broker.groups.roster import Roster
from felice.broker.groups.subscriptions import CONSUMER, subscribed_topics
from felice.broker.groups.view import GroupView, MemberView, read_assignment
from felice.broker.groups.waiting import WaitingJoin, WaitingSync
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.join_group import JoinGroupResponse
from felice.wire.messages.offsets_topic import GroupMetadataValue
from felice.wire.messages.sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["ClassicGroup"]


class ClassicGroup(Group):
    """A group of the classic protocol."""

    kind = "classic"

    def __init__(self, group_id: str, groups: "Groups", offsets: Offsets | None = None) -> None:
        super().__init__(group_id, offsets)
        self.groups = groups
        self.clock = groups.cluster.clock
        self.settings = groups.cluster.settings
        self.chance = groups.cluster.chance
        self.phase = Phase.EMPTY
        self.since = self.clock.time_ms()
        """When the present state began, in milliseconds since 1970."""
        self.generation = 0
        self.type: str | None = None
        """The type of its protocols; None where no member ever joined."""
        self.protocol: str | None = None
        """The protocol of the present generation."""
        self.roster = Roster()
        self._topics: frozenset[str] | None = None
        self._sessions = MemberSessions(self.clock, self._lose, self._withdraw)
        self._written: GroupMetadataValue | None = None
        self._initial = False
        """Whether the generation that is being prepared comes after none with members."""
        self._more_came = False
        self._join_timer: Timer | None = None
        self._sync_timer: Timer | None = None

    # --- what it is ---

    @property
    def state(self) -> str:
        """The state by Kafka's name."""
        return self.phase.value

    @property
    def protocol_type(self) -> str:
        """What the group is for."""
        return self.type or ""

    def view(self) -> GroupView:
        """Return the group for a test to look at; who reads what is known of consumers only."""
        members = tuple(
            MemberView(
                member.id,
                member.instance_id,
                member.client_id,
                member.client_host,
                read_assignment(member.assignment) if self.type == CONSUMER else frozenset(),
            )
            for member in self.roster
        )
        return super().view()._replace(epoch=self.generation, members=members)

    def supports(self, protocol_type: str, protocols: Mapping[str, bytes]) -> bool:
        """Tell whether somebody of this type, with these protocols, can be a member."""
        if self.phase is Phase.EMPTY:
            return bool(protocol_type and protocols)
        return protocol_type == self.type and self.roster.supports(protocols)

    def subscribes(self, topic: str) -> bool:
        """Tell whether a member reads a topic; where members cannot be understood, any may."""
        return self.type == CONSUMER if self._topics is None else topic in self._topics

    def retained_since(self, committed: Committed) -> int | None:
        """Return from when on a commit's retention counts (KIP-211): since the group became empty, or the commit."""
        if self.type is None:
            return committed.time
        if self.phase is Phase.EMPTY:
            return self.since
        if self.phase is Phase.STABLE and self.type == CONSUMER and self._topics is not None:
            return committed.time
        return None

    # --- who may do what ---

    def check_commit(self, claim: Claim, *, transactional: bool, version: int) -> CheckPartition | None:
        """Let members of the present generation commit, and anybody while there are none."""
        if self.phase is Phase.DEAD:
            raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        if claim.epoch < 0 and self.phase is Phase.EMPTY:
            return None
        if claim.epoch >= 0 or claim.member_id or claim.instance_id is not None:
            self.roster.check(claim.member_id, claim.instance_id)
            self.check_generation(claim.epoch)
        elif not transactional:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, "the group has members, and the commit names none")
        if not transactional and self.phase is Phase.COMPLETING:
            raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)
        return None

    def check_fetch(self, member_id: str | None, epoch: int) -> None:
        """Let everybody fetch."""

    def check_offset_delete(self) -> None:
        """Refuse while there are members, unless they are consumers and tell what they read."""
        if not self.is_empty and self.type != CONSUMER:
            raise Refused(ErrorCode.NON_EMPTY_GROUP)

    def check_delete(self) -> None:
        """Refuse while there are members."""
        if not self.is_empty:
            raise Refused(ErrorCode.NON_EMPTY_GROUP)

    def check_generation(self, generation: int) -> None:
        """Refuse what is meant for another generation."""
        if generation != self.generation:
            raise Refused(ErrorCode.ILLEGAL_GENERATION, f"the generation is {self.generation}, not {generation}")

    # --- what members ask ---

    def join(self, applicant: Applicant, waiting: WaitingJoin) -> None:
        """Let somebody join."""
        joining.join(self, applicant, waiting)

    def sync(
        self,
        claim: Claim,
        protocol: tuple[str | None, str | None],
        assignments: Mapping[str, bytes],
        waiting: WaitingSync,
    ) -> None:
        """Tell a member what it is assigned."""
        membership.sync(self, claim, protocol, assignments, waiting)

    def heartbeat(self, claim: Claim) -> None:
        """Hear that a member is alive."""
        membership.heartbeat(self, claim)

    def leave(self, leaving: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
        """Remove members."""
        return membership.leave(self, leaving)

    # --- sessions ---

    def committed(self, claim: Claim) -> None:
        """Let a commit count as a heartbeat."""
        member = self.roster.members.get(claim.member_id)
        if member is not None and self.phase in (Phase.STABLE, Phase.PREPARING):
            self.keep_alive(member)

    def keep_alive(self, member: Member) -> None:
        """Begin a member's session anew."""
        self._sessions.renew(member)

    def invite(self, member_id: str, session_timeout: int) -> None:
        """Hand out a member ID, to be used within the session's timeout (KIP-394)."""
        self.roster.invited.add(member_id)
        self._sessions.invite(member_id, session_timeout)

    def _withdraw(self, member_id: str) -> None:
        """Take an ID back, if nobody joined with it."""
        if member_id in self.roster.invited and self.phase is not Phase.DEAD:
            self.roster.remove(member_id)
            self.complete_if_all_joined()

    def _lose(self, member: Member) -> None:
        """Remove a member that was not heard of for too long."""
        self.remove(member)
        self.members_left()

    # --- members ---

    def add(self, member: Member, protocol_type: str) -> None:
        """Take in a new member that waits for a generation."""
        member.is_new = True
        self._more_came = self._more_came or (self.phase is Phase.PREPARING and self._initial)
        if not self.roster:
            self.type = protocol_type
        self.roster.add(member)
        self._sessions.renew(member, FIRST_JOIN_TIMEOUT)

    def remove(self, member: Member) -> None:
        """Take a member out; if its request waits, it hears that it is unknown."""
        if member.joining is not None:
            member.joining.refuse(ErrorCode.UNKNOWN_MEMBER_ID, "")
            member.joining = None
        member.end_session()
        self.roster.remove(member.id)

    def members_left(self) -> None:
        """Go on without members that were removed."""
        if self.phase is Phase.PREPARING:
            self.complete_if_all_joined()
        elif self.phase in (Phase.COMPLETING, Phase.STABLE):
            self.prepare()

    # --- first half of a rebalance: all join ---

    def rebalance(self) -> None:
        """Have all join again, or, where that is under way already, see whether all are there."""
        if self.phase is Phase.PREPARING:
            self.complete_if_all_joined()
        else:
            self.prepare()

    def prepare(self) -> None:
        """Begin to wait for all members to join; before the first generation, for more of them."""
        if self.phase is Phase.COMPLETING:
            for member in self.roster:
                member.assignment = b""
                self._answer_sync(member, ErrorCode.REBALANCE_IN_PROGRESS)
        self._stop_waiting_for_syncs()
        self._initial = self.phase is Phase.EMPTY
        self._enter(Phase.PREPARING)
        if self._initial:
            self._more_came = False
            delay = self.settings.number("group.initial.rebalance.delay.ms")
            self._wait_for_more(delay, max(self.roster.rebalance_timeout - delay, 0))
        elif self.roster.all_joined:
            self._complete()
        else:
            self._wait_for_joins()

    def complete_if_all_joined(self) -> None:
        """End the waiting if nobody is missing; but the wait for more members takes its time."""
        if self.phase is Phase.PREPARING and not self._initial and self.roster.all_joined:
            self._complete()

    def _wait_for_more(self, delay: int, left: int) -> None:
        """Wait some milliseconds; `left` is for how long it may go on after that, as long as more members come."""
        if delay == 0:
            self._complete()
        else:
            self._join_timer = self.clock.call_later(delay / 1000, self._waited_for_more, delay, left)

    def _waited_for_more(self, delay: int, left: int) -> None:
        """Wait on if somebody came, and time is left."""
        self._join_timer = None
        if self._more_came and left:
            self._more_came = False
            step = min(self.settings.number("group.initial.rebalance.delay.ms"), left)
            self._wait_for_more(step, max(left - delay, 0))
        else:
            self._complete()

    def _wait_for_joins(self) -> None:
        """Give members time to join."""
        self._stop_waiting_for_joins()
        self._join_timer = self.clock.call_later(self.roster.rebalance_timeout / 1000, self._complete)

    def _complete(self) -> None:
        """Begin a generation with those who have joined, and with static members, who may be late."""
        self._stop_waiting_for_joins()
        for member in self.roster:
            if member.joining is None and member.instance_id is None:
                self.remove(member)
        if self.roster and not self.roster.elect():
            self._wait_for_joins()  # Nobody came who could lead; sessions end, or somebody comes.
            return
        self.generation += 1
        self.roster.unsynced.clear()
        if not self.roster:
            self.protocol = None
            self._topics = self._read_subscriptions()
            self._enter(Phase.EMPTY)
            self.write({})
            return
        self.protocol = self.roster.elected_protocol()
        self._topics = self._read_subscriptions()
        self._enter(Phase.COMPLETING)
        for member in self.roster:
            self.roster.unsynced.add(member.id)
            self.answer_join(member, self.generation_for(member))
            self.keep_alive(member)
            member.is_new = False
        self._sync_timer = self.clock.call_later(self.roster.rebalance_timeout / 1000, self._syncs_over)

    def generation_for(self, member: Member) -> JoinGroupResponse:
        """Return what a member is told of the present generation: the leader hears who the others are."""
        leads = self.roster.leader == member.id
        return JoinGroupResponse(
            generation_id=self.generation,
            protocol_type=self.type,
            protocol_name=self.protocol,
            leader=self.roster.leader or "",
            member_id=member.id,
            members=[
                JoinGroupResponse.Member(
                    member_id=other.id,
                    group_instance_id=other.instance_id,
                    metadata=other.protocols.get(self.protocol or "", b""),
                )
                for other in self.roster
            ]
            if leads
            else [],
        )

    def answer_join(self, member: Member, response: JoinGroupResponse) -> None:
        """Answer a member that waits for a generation."""
        if member.joining is not None:
            member.joining.answer(response)
            member.joining = None

    # --- second half: all learn what they are assigned ---

    def synced(self, member: Member) -> None:
        """Take note that a member has asked for its assignment."""
        self.roster.unsynced.discard(member.id)
        if not self.roster.unsynced:
            self._stop_waiting_for_syncs()

    def assign(self, assignments: Mapping[str, bytes]) -> None:
        """Take the leader's word for who gets what, and tell all that wait for it."""
        self.write(assignments)
        self._topics = self._read_subscriptions()
        for member in self.roster:
            member.assignment = assignments.get(member.id, b"")
            self._answer_sync(member)
        self._enter(Phase.STABLE)

    def assignment_of(self, member: Member) -> SyncGroupResponse:
        """Return what a member is told of its assignment."""
        return SyncGroupResponse(protocol_type=self.type, protocol_name=self.protocol, assignment=member.assignment)

    def _answer_sync(self, member: Member, code: ErrorCode = ErrorCode.NONE) -> None:
        """Answer a member that waits for its assignment; its session goes on from here."""
        if member.syncing is not None:
            if code is ErrorCode.NONE:
                member.syncing.answer(self.assignment_of(member))
            else:
                member.syncing.refuse(code)
            member.syncing = None
            self.keep_alive(member)

    def doubt(self, member_id: str, generation: int) -> None:
        """Have all join anew where the leader's word may get lost."""
        if self.phase is Phase.STABLE and (self.roster.leader, self.generation) == (member_id, generation):
            self.prepare()

    def _syncs_over(self) -> None:
        """Remove members that have not asked for their assignment in time."""
        self._sync_timer = None
        for member_id in tuple(self.roster.unsynced):
            self.remove(self.roster.members[member_id])
        self.prepare()

    # --- the log ---

    def write(self, assignments: Mapping[str, bytes]) -> None:
        """Write down the members of the present generation, with what they are assigned."""
        self._written = logged(self, assignments)
        self.groups.write(self.id, [group_record(self.id, self._written)])

    def tombstones(self) -> Collection[Record]:
        """Return the record that deletes the group."""
        return [group_tombstone(self.id)]

    def moved(self, led: bool) -> "ClassicGroup | None":
        """Send all away that wait, and go back to what was written last: that is all the new coordinator knows."""
        for member in self.roster:
            if member.joining is not None:
                member.joining.refuse(ErrorCode.NOT_COORDINATOR, member.id)
            if member.syncing is not None:
                member.syncing.refuse(ErrorCode.NOT_COORDINATOR)
        self.removed()
        if self._written is None and not self.offsets.partitions():
            return None
        group = ClassicGroup.read(self.id, self.groups, self.offsets, self._written)
        if led:
            for member in group.roster:
                group.keep_alive(member)
        return group

    def removed(self) -> None:
        """Let nothing happen any more; whoever still waits joins again, and may find another kind of group."""
        self.phase = Phase.DEAD
        self._stop_waiting_for_joins()
        self._stop_waiting_for_syncs()
        for member in self.roster:
            member.end_session()
            if member.joining is not None:
                member.joining.refuse(ErrorCode.REBALANCE_IN_PROGRESS, member.id)
            if member.syncing is not None:
                member.syncing.refuse(ErrorCode.REBALANCE_IN_PROGRESS)

    @classmethod
    def read(
        cls, group_id: str, groups: "Groups", offsets: Offsets, value: GroupMetadataValue | None
    ) -> "ClassicGroup":
        """Return a group as its record says; without one it has offsets only."""
        made = cls(group_id, groups, offsets)
        if value is None:
            return made
        made._written = value
        made.generation, made.type, made.protocol = value.generation, value.protocol_type or None, value.protocol
        for member in members_of(value):
            made.roster.add(member)
        made.roster.leader = value.leader
        made.phase = Phase.STABLE if made.roster else Phase.EMPTY
        made.since = value.current_state_timestamp
        made._topics = made._read_subscriptions()
        return made

    # --- small parts ---

    def _enter(self, phase: Phase) -> None:
        """Be in a state from now on."""
        self.phase = phase
        self.since = self.clock.time_ms()

    def _read_subscriptions(self) -> frozenset[str] | None:
        """Return the topics that members read, where they are consumers and can be understood."""
        if self.type is None:
            return None
        if not self.roster:
            return frozenset()
        if self.type != CONSUMER or self.protocol is None:
            return None
        return subscribed_topics(member.protocols.get(self.protocol, b"") for member in self.roster)

    def _stop_waiting_for_joins(self) -> None:
        """Cancel the timer of the first half."""
        if self._join_timer is not None:
            self._join_timer.cancel()
            self._join_timer = None

    def _stop_waiting_for_syncs(self) -> None:
        """Cancel the timer of the second half."""
        self.roster.unsynced.clear()
        if self._sync_timer is not None:
            self._sync_timer.cancel()
            self._sync_timer = None
