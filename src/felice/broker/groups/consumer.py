"""A group of the consumer protocol (KIP-848): the broker assigns, and members learn it by their heartbeats.

Three epochs tell how far everybody is. The group's goes up when members, subscriptions or topics change; then a new
target is computed, which has the group's epoch; and each member enters the target's epoch when it has given up what
it shall not keep.

    Empty ──somebody joins──> Assigning ──target computed──> Reconciling ──all members there──> Stable
                                  ^                               │                               │
                                  └────────────something changed──┴───────────────────────────────┘

Members of the classic protocol can be in it too: `consumer_classic` translates for them. `consumer_heartbeat` is the
way in and out for the others; `upgrade` and `downgrade` are the ways from one kind of group to the other.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from felice.broker.authorization import Operation, Resource
from felice.broker.groups import consumer_claims, consumer_classic, consumer_log
from felice.broker.groups.assigned_group import AssignedGroup
from felice.broker.groups.assignors import ASSIGNORS, Assignor, allowed_assignors
from felice.broker.groups.consumer_member import AWAY, ConsumerMember, Entry
from felice.broker.groups.consumer_patterns import PatternChange, Patterns, everything
from felice.broker.groups.consumer_reconciliation import Reported, reconcile
from felice.broker.groups.consumer_timers import Timers
from felice.broker.groups.downgrade import downgrade, may_downgrade
from felice.broker.groups.group import CheckPartition, Claim, Group, Record
from felice.broker.groups.joining import Applicant
from felice.broker.groups.offsets import Committed, Offsets
from felice.broker.groups.target import TargetLog
from felice.broker.groups.waiting import WaitingJoin, WaitingSync
from felice.broker.java import bucket
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["ConsumerGroup"]


class ConsumerGroup(AssignedGroup[ConsumerMember]):
    """A group of the consumer protocol."""

    kind = "consumer"

    def __init__(self, group_id: str, groups: "Groups", offsets: Offsets | None = None) -> None:
        log = TargetLog(
            partial(consumer_log.target_record, group_id), partial(consumer_log.target_epoch_record, group_id)
        )
        super().__init__(group_id, groups, log, offsets)
        self.patterns = Patterns()
        self.timers = Timers(self.clock, self._session_timeout, self._time_is_over)
        self.origin: Group | None = None
        """The group of another kind whose place this one takes with its first step."""
        self._static: dict[str, str] = {}
        self._users = Counter[str]()
        """How many members have each regular expression; empty stands for none."""
        self._owners: dict[tuple[bytes, int], str] = {}

    # --- what it is ---

    @property
    def state(self) -> str:
        """The state by Kafka's name."""
        if not self.members:
            return "Empty"
        if self.epoch > self.target.epoch:
            return "Assigning"
        if all(member.is_reconciled(self.target.epoch) for member in self.members.values()):
            return "Stable"
        return "Reconciling"

    @property
    def protocol_type(self) -> str:
        """What the group is for."""
        return "consumer"

    @property
    def assignor(self) -> str:
        """The assignor that most members ask for; without any such wish the broker's first one."""
        votes = Counter(member.assignor for member in self.members.values() if member.assignor is not None)
        default = allowed_assignors(self.cluster.settings)[0]
        return min(votes, key=lambda name: (-votes[name], bucket(name)), default=default)

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        """Return the present member of an instance (KIP-345)."""
        member_id = self._static.get(instance_id) if instance_id is not None else None
        return None if member_id is None else self.members[member_id]

    def present(self, member_id: str, instance_id: str | None) -> ConsumerMember:
        """Return a member; refuse strangers, and the former self of a static member."""
        member = self.members.get(member_id) if instance_id is None else self.static_member(instance_id)
        if member is None:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {self.id}.")
        if member.id != member_id:
            raise Refused(ErrorCode.FENCED_INSTANCE_ID, f"Instance {instance_id} is member {member.id} now.")
        return member

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        """Return the topics that a member reads, whether they exist or not."""
        return member.topics | self.patterns.topics(member.regex)

    def is_owned(self, topic: bytes, index: int) -> bool:
        """Tell whether a member has a partition, or has yet to give it up."""
        return (topic, index) in self._owners

    # --- who may do what ---

    def check_commit(self, claim: Claim, *, transactional: bool, version: int) -> CheckPartition | None:
        """Let members commit what they have."""
        return consumer_claims.check_commit(
            claim, self.members, self.cluster.topics, transactional=transactional, version=version
        )

    def check_fetch(self, member_id: str | None, epoch: int) -> None:
        """Let members of the present epoch fetch, and everybody who does not say that it is a member."""
        consumer_claims.check_fetch(self.members, member_id, epoch)

    def check_offset_delete(self) -> None:
        """Let everybody delete offsets, if no member reads the topic."""

    def retained_since(self, committed: Committed) -> int | None:
        """Return when a commit was made: its retention counts from then on."""
        return committed.time

    # --- what members of the classic protocol ask ---

    def join(self, applicant: Applicant, waiting: WaitingJoin) -> None:
        """Let a member of the classic protocol join."""
        try:
            consumer_classic.join(self, applicant, waiting)
        except Refused as refused:
            waiting.refuse(refused.code, "")

    def sync(
        self,
        claim: Claim,
        protocol: tuple[str | None, str | None],
        assignments: Mapping[str, bytes],
        waiting: WaitingSync,
    ) -> None:
        """Tell a member what the broker assigned to it."""
        consumer_classic.sync(self, claim, protocol, waiting)

    def heartbeat(self, claim: Claim) -> None:
        """Hear that a member is alive, and refuse where it has to join again."""
        consumer_classic.heartbeat(self, claim)

    def leave(self, leaving: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
        """Remove members."""
        return consumer_classic.leave(self, leaving)

    # --- one step of a member ---

    def step(
        self, entry: Entry, updated: ConsumerMember, reported: Reported | None, *, aims: bool = True
    ) -> ConsumerMember:
        """Take a member, with what its request changes, one step further, and write down what came of it.

        Nothing is changed where it is refused. `reported` is what the member says it has, None where it does not;
        without `aims` there is no new target.
        """
        present = entry.member
        pattern = self.patterns.change(present.regex, updated.regex, self._users)
        former, fresh = self._users[present.regex] == 1, not self._users[updated.regex]
        records = self._arrive()
        if entry.replaces is not None:
            records += self._replace(entry.replaces, present)
        if updated != present:
            records.append(consumer_log.member_record(self.id, updated))
        if pattern is not PatternChange.NONE and former:
            records += self._forget_patterns({present.regex})
        self.put(updated)
        resubscribed = present.topics != updated.topics
        records += self.bump_if_needed(resubscribed or pattern is PatternChange.RESOLVED)
        if aims:
            records += self.aim()
        reached = self._reconcile(updated, reported, resubscribed or pattern is not PatternChange.NONE)
        if reached != updated:
            self.put(reached)
            records.append(consumer_log.current_record(self.id, reached))
            self.timers.expect_revocation(reached)
        self.write(records)
        self._resolve_patterns(updated.client_host, fresh=pattern is PatternChange.UNRESOLVED and fresh)
        return reached

    def _arrive(self) -> list[Record]:
        """Take the place of the group that was there before, if that has not happened; return the records of that."""
        if self.groups.find(self.id) is self:
            return []
        records: list[Record] = []
        if self.origin is not None:
            records += self.origin.tombstones()
            self.origin.removed()
            self.origin = None
        if self.members:
            records += self.records()
        for member in self.members.values():
            self.timers.keep_alive(member)
        self.groups.replace(self)
        return records

    def put(self, member: ConsumerMember) -> None:
        """Have a member as it is now."""
        before = self.members.get(member.id)
        if before is not None:
            self._release(before)
        if before is None or (before.topics, before.regex) != (member.topics, member.regex):
            if before is not None:
                self._users[before.regex] -= 1
            self._users[member.regex] += 1
            self.reads_anew()
        self.members[member.id] = member
        if member.instance_id is not None:
            self._static[member.instance_id] = member.id
        self._owners.update((partition, member.id) for partition in member.partitions())

    def _release(self, member: ConsumerMember) -> None:
        """Forget what a member has."""
        for partition in member.partitions():
            if self._owners.get(partition) == member.id:
                del self._owners[partition]

    def _forget(self, member: ConsumerMember) -> None:
        """Forget a member."""
        self.timers.cancel(member.id)
        self._release(member)
        del self.members[member.id]
        self._users[member.regex] -= 1
        self.reads_anew()
        self.target.assignments.pop(member.id, None)
        if member.instance_id is not None and self._static.get(member.instance_id) == member.id:
            del self._static[member.instance_id]

    def _replace(self, old: ConsumerMember, new: ConsumerMember) -> list[Record]:
        """Give a static member's place to its next self; return the records of that."""
        target = self.target.of(old.id)
        self._forget(old)
        self.target.assignments[new.id] = target
        self.put(new)
        return [
            *consumer_log.member_tombstones(self.id, old.id),
            consumer_log.member_record(self.id, new),
            consumer_log.target_record(self.id, new.id, target),
            consumer_log.current_record(self.id, new),
        ]

    def epoch_record(self) -> Record:
        """Return the record of the group's epoch."""
        return consumer_log.epoch_record(self.id, self.epoch, self.look.hash)

    def assign_by(self) -> tuple[Assignor, bool]:
        """Return the assignor that most ask for, and whether all members read the same topics.

        They do where all name them, or where all have the same regular expression.
        """
        wants = {(member.topics, member.regex) for member in self.members.values()}
        alike = len(wants) == 1 and not all(next(iter(wants)))
        return ASSIGNORS[self.assignor], alike

    def _topic_ids(self, member: ConsumerMember) -> frozenset[bytes]:
        """Return the topics that a member reads and that exist."""
        topics = self.cluster.topics
        return frozenset(topics[name].id for name in self.topics_of(member) if name in topics)

    def _reconcile(self, member: ConsumerMember, reported: Reported | None, resubscribed: bool) -> ConsumerMember:
        """Return a member one step nearer to its target."""
        return reconcile(
            member,
            self.target.epoch,
            self.target.of(member.id),
            self._topic_ids(member),
            reported=reported,
            is_owned=self.is_owned,
            resubscribed=resubscribed,
        )

    # --- regular expressions ---

    def _resolve_patterns(self, host: str, *, fresh: bool) -> None:
        """Look which topics match the members' expressions, where that is due; all that who comes from `host` may see.

        Kafka does so beside the request. So here it is done behind it: the answer does not know of it yet.
        """
        used = self._used
        now, topics = self.clock.time_ms(), self.cluster.topics
        if not self.patterns.is_due(used, self.cluster.topics_by_id, now, fresh=fresh):
            return
        known = {name: topic.id for name, topic in topics.items()}
        guard, address = self.cluster.authorizer, host.removeprefix("/")
        shown = everything if guard is None else partial(guard.allows, address, Operation.DESCRIBE, Resource.TOPIC)
        changed = self.patterns.resolve(sorted(used), known, now, shown)
        self.reads_anew()
        records = [
            consumer_log.pattern_record(self.id, pattern, self.patterns.topics(pattern), self.patterns.round, now)
            for pattern in sorted(used)
        ]
        self.write([*records, *self.bump_if_needed(changed)])

    @property
    def _used(self) -> set[str]:
        """The expressions that members have."""
        return {pattern for pattern, users in self._users.items() if pattern and users}

    def _forget_patterns(self, patterns: Iterable[str]) -> list[Record]:
        """Forget expressions that nobody uses any more; return the records of that."""
        self.reads_anew()
        return [
            consumer_log.pattern_tombstone(self.id, pattern)
            for pattern in sorted(patterns)
            if self.patterns.resolved.pop(pattern, None) is not None
        ]

    # --- leaving, and being late ---

    def fence(self, leaving: Collection[ConsumerMember]) -> None:
        """Remove members; where only members of the classic protocol are left, the group becomes a classic one."""
        if not leaving:
            return
        gone = {member.id for member in leaving}
        if may_downgrade(self, gone):
            downgrade(self, gone, rebalance=True)
            return
        records: list[Record] = []
        for member in leaving:
            records += consumer_log.member_tombstones(self.id, member.id)
            self._forget(member)
        records += self._forget_patterns(self.patterns.resolved.keys() - self._used)
        self.write([*records, *self.bump_if_needed(True)])

    def send_away(self, member: ConsumerMember) -> None:
        """Let a static member be away for a while: what it has is kept for it, until its session ends."""
        away = member._replace(
            epoch=AWAY,
            assigned={topic: dict.fromkeys(indexes, 0) for topic, indexes in member.assigned.items()},
            revoking={},
        )
        self.put(away)
        self.write([consumer_log.current_record(self.id, away)])

    def _session_timeout(self, member: ConsumerMember) -> int:
        """Return for how many milliseconds a member may be silent."""
        return self.setting("session.timeout.ms") if member.classic is None else member.classic.session_timeout_ms

    def _time_is_over(self, member_id: str, epoch: int | None) -> None:
        """Remove a member that was waited for in vain, if it is still in the epoch that it was to leave."""
        member = self.members.get(member_id)
        if member is not None and epoch in (None, member.epoch):
            self.fence([member])

    # --- the log ---

    def records(self) -> list[Record]:
        """Return all that has to be written of a group that was something else before."""
        members = self.members.values()
        return [
            *(consumer_log.member_record(self.id, member) for member in members),
            self.epoch_record(),
            *(self.target.member_record(one.id) for one in members),
            self.target.record(),
            *(consumer_log.current_record(self.id, member) for member in members),
        ]

    def tombstones(self) -> Collection[Record]:
        """Return the records that delete the group."""
        return consumer_log.group_tombstones(self.id, self.members, sorted(self.patterns.resolved))

    def moved(self, led: bool) -> "ConsumerGroup":
        """Give members their time anew: all else stands in the log."""
        self.timers.clear()
        if led:
            for member in self.members.values():
                self.timers.keep_alive(member)
                self.timers.expect_revocation(member)
        return self

    def removed(self) -> None:
        """Let nothing happen any more."""
        self.timers.clear()
