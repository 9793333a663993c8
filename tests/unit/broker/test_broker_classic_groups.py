"""Classic groups as time passes: sessions, rebalances, coordinators that move, offsets that expire."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from felice.broker.cluster import Cluster
from felice.broker.coordination import Kind
from felice.broker.groups.classic import ClassicGroup
from felice.broker.groups.group import Claim
from felice.broker.groups.joining import Applicant
from felice.broker.groups.offsets import Committed
from felice.broker.groups.waiting import WaitingJoin, WaitingSync
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from felice.wire.messages.offsets_topic import KEYS
from felice.wire.records import read_records
from felice.wire.schema import unpack_key
from virtual_cluster import virtual_cluster

SESSION = 10.0
REBALANCE = 60.0
WISHES = ConsumerProtocolSubscription(topics=["letters"]).pack(0)
DAY = 24 * 3600.0


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop to make futures of; it need not run."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


class Group:
    """A group and its members, by the names of their clients."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cluster: Cluster | None = None) -> None:
        self.loop = loop
        self.cluster = virtual_cluster() if cluster is None else cluster
        self.ids: dict[str, str] = {}
        self.generation = 0

    @property
    def now(self) -> ClassicGroup:
        """The group as it is."""
        found = self.cluster.groups.find("readers")
        assert isinstance(found, ClassicGroup)
        return found

    def join(
        self, name: str, *, instance: str | None = None, version: int = 3, protocols: tuple[str, ...] = ("range",)
    ) -> "asyncio.Future[Any]":
        """Join, again where it has joined before; since version 4 the first try only brings an ID."""
        waiting = WaitingJoin(self.loop.create_future(), version)
        member_id = "" if instance is not None else self.ids.get(name, "")
        applicant = Applicant(
            member_id, instance, name, "/here", int(SESSION * 1000), int(REBALANCE * 1000), "consumer",
            dict.fromkeys(protocols, WISHES),
        )  # fmt: skip
        self.cluster.groups.for_join("readers", create=not member_id).join(applicant, waiting)
        waiting.future.add_done_callback(lambda future: None)
        if waiting.future.done():
            self.take(name, waiting.future)
        return waiting.future

    def take(self, name: str, future: "asyncio.Future[Any]") -> Any:
        """Take over an ID and a generation from an answer."""
        answer = future.result()
        self.ids[name] = answer.member_id or self.ids.get(name, "")
        if answer.error_code == ErrorCode.NONE:
            self.generation = answer.generation_id
        return answer

    def sync(self, name: str, *others: str) -> "asyncio.Future[Any]":
        """Ask for an assignment."""
        waiting = WaitingSync(self.loop.create_future())
        shares = {self.ids[other]: b"share of " + other.encode() for other in others}
        self.now.sync(self.claim(name), (None, None), shares, waiting)
        return waiting.future

    def claim(self, name: str) -> Claim:
        """Return who this is."""
        return Claim(self.ids[name], None, self.generation)

    def beat(self, name: str) -> ErrorCode:
        """Send a heartbeat."""
        try:
            self.now.heartbeat(self.claim(name))
        except Refused as refused:
            return refused.code
        return ErrorCode.NONE

    def pass_time(self, seconds: float, *alive: str) -> None:
        """Let time pass, in which some send heartbeats."""
        while seconds > 0:
            step = min(seconds, 1.0)
            self.cluster.clock.advance(step)
            seconds -= step
            for name in alive:
                self.beat(name)

    def stable(self, *names: str) -> None:
        """Make a generation of these."""
        self.join(names[0])
        for name in names[1:]:
            waits = [self.join(name), *(self.join(present) for present in names[: names.index(name)])]
            for someone, wait in zip((name, *names), waits, strict=False):
                self.take(someone, wait)
        self.sync(names[0], *names)
        for name in names[1:]:
            self.sync(name)
        assert self.now.state == "Stable"


@pytest.fixture
def group(loop: asyncio.AbstractEventLoop) -> Group:
    """A group without members."""
    return Group(loop)


def names_of(group: Group) -> list[str]:
    """Return the members by their clients' names."""
    return [member.client_id for member in group.now.roster]


# --- sessions ---


def test_a_member_that_is_silent_for_its_sessions_timeout_is_removed(group: Group):
    group.stable("a", "b")
    group.pass_time(SESSION - 0.5, "b")
    assert names_of(group) == ["a", "b"]
    group.pass_time(0.5, "b")
    assert names_of(group) == ["b"]
    assert group.beat("b") is ErrorCode.REBALANCE_IN_PROGRESS
    assert group.beat("a") is ErrorCode.UNKNOWN_MEMBER_ID


def test_heartbeats_and_commits_keep_a_member(group: Group):
    group.stable("a")
    for _ in range(5):
        group.pass_time(SESSION - 1)
        group.cluster.groups.for_commit("readers", group.claim("a"), transactional=False, version=8)
    group.pass_time(5 * SESSION, "a")
    assert names_of(group) == ["a"]


def test_a_group_whose_last_member_is_lost_is_empty_and_has_a_new_generation(group: Group):
    group.stable("a")
    group.pass_time(SESSION)
    assert group.now.state == "Empty"
    assert group.now.generation == 2


def test_who_waits_for_the_others_needs_no_heartbeats(group: Group):
    group.stable("a", "b")
    waits = group.join("a")
    group.pass_time(3 * SESSION, "b")
    assert names_of(group) == ["a", "b"]
    assert not waits.done()


def test_a_new_member_that_waits_is_given_up_after_five_minutes(group: Group):
    group.stable("a")
    group.now.roster.members[group.ids["a"]].rebalance_timeout = 3_600_000
    waits = group.join("b")
    group.pass_time(299, "a")
    assert not waits.done()
    group.pass_time(1, "a")
    assert waits.result().error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert names_of(group) == ["a"]


def test_an_id_that_nobody_joins_with_is_withdrawn_and_waited_for_no_longer(group: Group):
    group.stable("a")
    assert group.join("b", version=4).result().error_code == ErrorCode.MEMBER_ID_REQUIRED
    waits = group.join("a")
    assert not waits.done()
    group.pass_time(SESSION)
    assert waits.result().generation_id == 2
    group.ids["a"] = waits.result().member_id
    assert group.join("b", version=4).result().error_code == ErrorCode.UNKNOWN_MEMBER_ID


# --- rebalances ---


def test_who_does_not_join_within_the_rebalance_timeout_is_left_out(group: Group):
    group.stable("a", "b")
    waits = group.join("a")
    group.pass_time(REBALANCE - 1, "b")
    assert not waits.done()
    group.pass_time(1, "b")
    assert waits.result().generation_id == 3
    assert names_of(group) == ["a"]


def test_a_static_member_that_is_late_keeps_its_place_until_its_session_ends(group: Group):
    first = group.join("a")
    static = group.join("s", instance="s")
    group.join("a")
    assert first.done()
    assert static.done()
    group.take("s", static)
    group.sync("a", "a", "s")
    group.join("b")
    group.join("a")
    group.pass_time(REBALANCE, "s")
    assert group.now.state == "CompletingRebalance"
    assert names_of(group) == ["a", "s", "b"]
    group.pass_time(SESSION)
    assert "s" not in names_of(group)


def test_when_nobody_who_could_lead_has_joined_the_rebalance_goes_on(group: Group):
    static = group.join("s", instance="s")
    group.take("s", static)
    group.sync("s", "s")
    waits = group.join("b")
    waits.cancel()
    group.now.leave([(group.now.roster.members[list(group.now.roster.members)[1]].id, None)])
    group.pass_time(REBALANCE, "s")
    assert group.now.state == "PreparingRebalance"
    again = group.join("s", instance="s")
    assert again.result().generation_id == 2


def test_who_does_not_ask_for_its_assignment_in_time_is_removed(group: Group):
    group.stable("a", "b")
    waits = group.join("a")
    group.take("b", group.join("b"))
    group.take("a", waits)
    group.sync("a", "a", "b")
    assert group.now.state == "Stable"
    group.pass_time(REBALANCE - 1, "a", "b")
    assert names_of(group) == ["a", "b"]
    group.pass_time(1, "a", "b")
    assert names_of(group) == ["a"]
    assert group.now.state == "PreparingRebalance"


def test_a_late_leader_is_removed_and_those_who_wait_for_it_join_again(group: Group):
    group.stable("a", "b")
    waits = group.join("a")
    group.take("b", group.join("b"))
    group.take("a", waits)
    share = group.sync("b")
    group.pass_time(REBALANCE, "a")
    assert share.result().error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert names_of(group) == ["b"]
    assert group.take("b", group.join("b")).leader == group.ids["b"]


def test_an_empty_group_waits_for_more_members_as_long_as_more_come(loop: asyncio.AbstractEventLoop):
    group = Group(loop, virtual_cluster(group_initial_rebalance_delay_ms=3000))
    first = group.join("a")
    group.pass_time(2)
    second = group.join("b")
    group.pass_time(2)
    assert not first.done()
    group.pass_time(2)
    assert first.result().generation_id == second.result().generation_id == 1
    assert len(first.result().members) == 2


def test_an_empty_group_waits_no_longer_than_its_members_rebalance_timeout(loop: asyncio.AbstractEventLoop):
    group = Group(loop, virtual_cluster(group_initial_rebalance_delay_ms=25_000))
    waits = []
    for name in "abcd":
        waits.append(group.join(name))
        group.pass_time(15)
    assert all(wait.done() for wait in waits)
    assert waits[0].result().generation_id == 1


def test_a_full_group_takes_no_more_members(loop: asyncio.AbstractEventLoop):
    group = Group(loop, virtual_cluster(group_max_size=2))
    group.stable("a", "b")
    refused = group.join("c").result()
    assert (refused.error_code, refused.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")
    assert group.now.state == "Stable"
    waits = [group.join("a"), group.join("c")]
    assert group.join("b").result().error_code == ErrorCode.GROUP_MAX_SIZE_REACHED  # two came before it
    group.pass_time(REBALANCE)
    assert [wait.result().generation_id for wait in waits] == [3, 3]
    assert names_of(group) == ["a", "c"]


# --- a coordinator that moves ---


def move(group: Group, node: int) -> None:
    """Have another node coordinate the group."""
    partition = group.cluster.coordination.partition(Kind.GROUP, "readers")
    group.cluster.move_leader(partition, node)


def test_when_the_coordinator_moves_those_who_wait_are_sent_to_the_new_one(loop: asyncio.AbstractEventLoop):
    group = Group(loop, virtual_cluster(nodes=2))
    group.stable("a", "b")
    joining = group.join("a")
    move(group, 3 - group.cluster.coordination.node_id(Kind.GROUP, "readers"))
    assert joining.result().error_code == ErrorCode.NOT_COORDINATOR
    assert group.now.state == "Stable"  # a rebalance that is under way is not in the log
    assert names_of(group) == ["a", "b"]
    assert group.beat("a") is ErrorCode.NONE
    assert group.sync("b").result().assignment == b"share of b"


def test_sessions_go_on_at_the_new_coordinator(loop: asyncio.AbstractEventLoop):
    group = Group(loop, virtual_cluster(nodes=2))
    group.stable("a", "b")
    group.pass_time(SESSION / 2)
    move(group, 3 - group.cluster.coordination.node_id(Kind.GROUP, "readers"))
    group.pass_time(SESSION - 1, "b")
    assert names_of(group) == ["a", "b"]
    group.pass_time(1, "b")
    assert names_of(group) == ["b"]


def test_a_new_generation_that_nobody_was_assigned_in_is_lost_with_its_coordinator(loop: asyncio.AbstractEventLoop):
    group = Group(loop, virtual_cluster(nodes=2))
    group.join("a")
    assert group.now.state == "CompletingRebalance"
    move(group, 3 - group.cluster.coordination.node_id(Kind.GROUP, "readers"))
    assert group.now.state == "Empty"
    assert group.now.generation == 0
    assert group.beat("a") is ErrorCode.UNKNOWN_MEMBER_ID


def test_while_there_is_no_coordinator_no_session_ends(loop: asyncio.AbstractEventLoop):
    group = Group(loop, virtual_cluster(nodes=1))
    group.stable("a")
    node = group.cluster.nodes[1]
    group.cluster.node_stopped(node)
    group.pass_time(3 * SESSION)
    assert names_of(group) == ["a"]
    group.cluster.node_started(node)
    group.pass_time(SESSION)
    assert names_of(group) == []


# --- offsets ---


def commit(group: Group, name: str | None = None, *, topic: str = "letters", expires: int | None = None) -> None:
    """Commit an offset as a member, or as nobody."""
    claim = Claim() if name is None else group.claim(name)
    found, _ = group.cluster.groups.for_commit("readers", claim, transactional=False, version=8)
    now = group.cluster.clock.time_ms()
    group.cluster.groups.commit(found, {(topic, 0): Committed(5, time=now, expires=expires)})


def test_offsets_of_a_consumer_without_a_group_expire_a_week_after_their_commit(group: Group):
    commit(group)
    group.cluster.clock.advance(6 * DAY)
    commit(group, topic="parcels")
    group.cluster.clock.advance(1 * DAY + 600)
    assert {topic for topic, _, _ in group.now.offsets} == {"parcels"}
    group.cluster.clock.advance(6 * DAY)
    assert group.cluster.groups.find("readers") is None


def test_offsets_of_a_group_expire_a_week_after_its_last_member_left(group: Group):
    group.stable("a")
    commit(group, "a")
    group.pass_time(SESSION)
    assert group.now.state == "Empty"
    group.cluster.clock.advance(7 * DAY - 600)
    assert len(group.now.offsets) == 1
    group.cluster.clock.advance(1200)
    assert group.cluster.groups.find("readers") is None


def test_offsets_of_topics_that_members_read_do_not_expire(group: Group):
    group.stable("a")
    group.now.roster.members[group.ids["a"]].session_timeout = int(30 * DAY * 1000)
    group.beat("a")
    commit(group, "a")
    commit(group, "a", topic="parcels")
    group.cluster.clock.advance(7 * DAY + 600)
    assert {topic for topic, _, _ in group.now.offsets} == {"letters"}


def test_a_commit_that_says_when_it_expires_does_so(group: Group):
    commit(group, expires=group.cluster.clock.time_ms() + 1000)
    group.cluster.clock.advance(600)
    assert group.cluster.groups.find("readers") is None


def test_offsets_in_a_transaction_do_not_expire_and_keep_the_group(group: Group):
    commit(group)
    group.now.offsets.stage(7, "letters", 0, Committed(6))
    group.cluster.clock.advance(8 * DAY)
    assert len(group.now.offsets) == 1
    partition = group.cluster.coordination.partition(Kind.GROUP, "readers").index
    group.cluster.groups.settle_transaction(partition + 1, 7, True)
    assert group.now.offsets.is_pending("letters", 0)
    group.cluster.groups.settle_transaction(partition, 7, False)
    group.cluster.clock.advance(600)
    assert group.cluster.groups.find("readers") is None


def test_an_empty_group_without_offsets_is_removed(group: Group):
    group.stable("a")
    group.pass_time(SESSION)
    group.cluster.clock.advance(600)
    assert group.cluster.groups.find("readers") is None


def test_what_happens_to_a_group_is_in_the_log(group: Group):
    group.cluster.create_topic(group.cluster.plan_topic("letters"))
    group.stable("a")
    commit(group, "a")
    group.cluster.delete_topic(group.cluster.topic("letters"))
    group.pass_time(SESSION)
    group.cluster.clock.advance(600)
    seen = [
        (type(unpack_key(KEYS, record.key or b"")).__name__, record.value is None)
        for batch in group.cluster.coordination.partition(Kind.GROUP, "readers").log.batches()
        for record in read_records(batch)
    ]
    assert seen == [
        ("GroupMetadataKey", False),
        ("GroupMetadataKey", False),
        ("OffsetCommitKey", False),
        ("OffsetCommitKey", True),
        ("GroupMetadataKey", False),
        ("GroupMetadataKey", True),
    ]


def test_nothing_waits_for_a_clock_once_all_groups_are_gone(group: Group):
    group.stable("a")
    group.pass_time(SESSION)
    group.cluster.clock.advance(600)
    rung: list[float] = []
    group.cluster.clock.call_later(DAY, rung.append, 1.0)
    group.cluster.groups.clear()
    group.cluster.clock.advance(DAY)
    assert rung == [1.0]
