"""Share groups as time passes and coordinators move: sessions, intervals, what is read anew, what is dropped."""

import pytest

from felice.broker.coordination import Kind
from felice.broker.groups.group import Group
from felice.broker.groups.share import INITIALIZE_RETRY_INTERVAL_MS, ShareGroup
from felice.broker.groups.share_heartbeat import heartbeat
from felice.broker.groups.share_partitions import SharePartitions
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from virtual_cluster import virtual_cluster

GROUP, TOPIC = "workers", "tasks"
SESSION = 45.0


class Crew:
    """A share group of a cluster with two nodes, and what its members are told."""

    def __init__(self, partitions: int = 3, **settings: object) -> None:
        settings = {"group_share_assignment_interval_ms": 0, "offsets_topic_num_partitions": 1, **settings}
        self.cluster = virtual_cluster(2, **settings)
        self.topic = self.cluster.create_topic(self.cluster.plan_topic(TOPIC, partitions))
        self.epochs: dict[str, int] = {}
        self.has: dict[str, list[int]] = {}

    @property
    def group(self) -> ShareGroup:
        """The group."""
        return self.cluster.groups.share(GROUP)

    @property
    def home(self) -> Partition:
        """The partition in which the group's records are."""
        return self.cluster.coordination.partition(Kind.GROUP, GROUP)

    def join(self, *names: str) -> None:
        """Join."""
        for name in names:
            self._send(name, 0, [TOPIC])

    def beat(self, *names: str) -> None:
        """Report."""
        for name in names:
            self._send(name, self.epochs[name], None)

    def leave(self, name: str) -> None:
        """Leave."""
        self._send(name, -1, None)

    def _send(self, name: str, epoch: int, topics: list[str] | None) -> None:
        """Send a heartbeat, and take over what it is answered."""
        request = ShareGroupHeartbeatRequest(
            group_id=GROUP, member_id=name, member_epoch=epoch, subscribed_topic_names=topics
        )
        answer = heartbeat(self.cluster.groups, request, name, "/here")
        self.epochs[name] = answer.member_epoch
        if answer.assignment is not None:
            self.has[name] = [index for entry in answer.assignment.topic_partitions for index in entry.partitions]

    def state_epoch(self, index: int) -> int:
        """The epoch in which the share coordinator was asked to keep a partition's state; 0 where it was not."""
        return self.cluster.share_state.summary(GROUP, self.topic.id, index, -1).state_epoch

    def told(self) -> tuple[object, ...]:
        """All that the group's records tell."""
        group, target = self.group, self.group.target
        return (
            group.epoch, target.epoch, target.time, dict(target.assignments), dict(group.members), group.initialized,
        )  # fmt: skip


def code_of(crew: Crew, name: str, *, join: bool = False) -> ErrorCode:
    """The error with which a heartbeat is refused."""
    with pytest.raises(Refused) as refused:
        (crew.join if join else crew.beat)(name)
    return refused.value.code


def test_partitions_are_assigned_when_their_state_is_kept() -> None:
    """The heartbeat that brings a topic in asks for that, and the next one tells what the member has."""
    crew = Crew()
    crew.join("a")
    assert (crew.has["a"], crew.epochs["a"]) == ([], 2)
    assert crew.group.initialized == {crew.topic.id: frozenset(range(3))}
    assert [crew.state_epoch(index) for index in range(3)] == [2, 2, 2]
    crew.beat("a")
    assert (crew.has["a"], crew.epochs["a"]) == ([0, 1, 2], 3)


def test_a_silent_member_goes_when_its_session_is_over() -> None:
    """And the others have its partitions; who reports stays."""
    crew = Crew()
    crew.join("a", "b")
    crew.beat("a", "b", "a")
    assert sorted(crew.has["a"] + crew.has["b"]) == [0, 1, 2]
    crew.cluster.clock.advance(SESSION - 1)
    crew.beat("a")
    crew.cluster.clock.advance(SESSION - 1)
    assert list(crew.group.members) == ["a"]
    crew.beat("a")
    assert crew.has["a"] == [0, 1, 2]
    assert code_of(crew, "b") is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_that_left_is_not_waited_for() -> None:
    """Its session's end changes nothing."""
    crew = Crew()
    crew.join("a")
    crew.leave("a")
    epoch = crew.group.epoch
    crew.cluster.clock.advance(2 * SESSION)
    assert (crew.group.epoch, crew.group.state) == (epoch, "Empty")


def test_a_full_group_takes_nobody_in() -> None:
    """But for who is a member already."""
    crew = Crew(group_share_max_size=2)
    crew.join("a", "b")
    assert code_of(crew, "c", join=True) is ErrorCode.GROUP_MAX_SIZE_REACHED
    crew.join("b")
    crew.leave("b")
    crew.join("c")
    assert list(crew.group.members) == ["a", "c"]


def test_a_target_is_not_computed_before_the_interval_is_over() -> None:
    """Until then members stay in the epoch of the one before (KIP-1263)."""
    crew = Crew(group_share_assignment_interval_ms=1000)
    crew.join("a")
    crew.beat("a")
    assert (crew.group.epoch, crew.epochs["a"], crew.has["a"]) == (3, 2, [])
    crew.cluster.clock.advance(1.0)
    crew.beat("a")
    assert (crew.group.epoch, crew.epochs["a"], crew.has["a"]) == (3, 3, [0, 1, 2])


def test_state_that_could_not_be_initialized_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the next heartbeat; nobody has the partitions before."""
    crew = Crew()

    def refuse(*asked: object) -> None:
        raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    with monkeypatch.context() as patch:
        patch.setattr(crew.cluster.share_state, "initialize", refuse)
        crew.join("a")
        crew.beat("a")
    assert (crew.group.initialized, crew.group.partitions.initializing) == ({}, {})
    crew.beat("a")
    crew.beat("a")
    assert crew.has["a"] == [0, 1, 2]


def test_an_empty_group_does_not_expire() -> None:
    """Other groups go when they have neither members nor offsets; what a share group has done is kept."""
    crew = Crew(offsets_retention_minutes=1)
    crew.join("a")
    crew.leave("a")
    crew.cluster.clock.advance(3600.0)
    assert crew.group.is_empty
    assert crew.state_epoch(0) == 2


def test_deletion_drops_the_state() -> None:
    """Of all partitions, with the share coordinator."""
    crew = Crew()
    crew.join("a")
    with pytest.raises(Refused, match="NON_EMPTY_GROUP"):
        crew.group.check_delete()
    crew.leave("a")
    kept = [crew.cluster.share_state.read(GROUP, crew.topic.id, index, -1).state_epoch for index in range(3)]
    assert kept == [2, 2, 2]
    crew.cluster.groups.delete(crew.group)
    assert crew.cluster.groups.find(GROUP) is None
    assert [crew.state_epoch(index) for index in range(3)] == [0, 0, 0]


def test_deletion_fails_where_the_state_cannot_be_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group stays, and can be deleted later."""
    crew = Crew()
    crew.join("a")
    crew.leave("a")

    def refuse(*asked: object) -> None:
        raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE)

    with monkeypatch.context() as patch:
        patch.setattr(crew.cluster.share_state, "delete", refuse)
        with pytest.raises(Refused, match="COORDINATOR_NOT_AVAILABLE"):
            crew.cluster.groups.delete(crew.group)
    assert crew.group.partitions.deleting == {crew.topic.id}
    crew.cluster.groups.delete(crew.group)
    assert [crew.state_epoch(index) for index in range(3)] == [0, 0, 0]


def test_a_deleted_topic_is_forgotten() -> None:
    """Members have nothing of it at their next heartbeat."""
    crew = Crew()
    crew.join("a")
    crew.beat("a")
    crew.cluster.delete_topic(crew.topic)
    assert crew.group.initialized == {}
    crew.beat("a")
    assert crew.has["a"] == []


def test_a_coordinator_that_moves_goes_on() -> None:
    """With all that was written; members' sessions begin anew, and none ends while nobody coordinates."""
    crew = Crew()
    crew.join("a", "b")
    crew.beat("a", "b", "a")
    before = crew.told()
    crew.cluster.clock.advance(SESSION - 1)
    crew.cluster.move_leader(crew.home, next(node for node in crew.home.replicas if node != crew.home.leader))
    assert crew.told() == before
    crew.cluster.clock.advance(SESSION - 1)
    assert list(crew.group.members) == ["a", "b"]
    crew.cluster.clock.advance(1.0)
    assert crew.group.is_empty


def test_a_group_is_read_anew_where_its_log_lost_records() -> None:
    """As it was when the other node got its last record; a member that came later is a stranger."""
    crew = Crew()
    crew.join("a")
    crew.beat("a")
    before, group = crew.told(), crew.group
    crew.cluster.shrink_isr(crew.home, next(node for node in crew.home.replicas if node != crew.home.leader))
    crew.join("b")
    crew.cluster.node_stopped(crew.cluster.nodes[crew.home.leader])
    crew.cluster.elect(crew.home, unclean=True)
    assert crew.group is not group
    assert crew.told() == before
    assert code_of(crew, "b") is ErrorCode.UNKNOWN_MEMBER_ID
    crew.beat("a")
    assert (crew.has["a"], crew.epochs["a"]) == ([0, 1, 2], 3)
    crew.cluster.clock.advance(SESSION)
    assert crew.group.is_empty


def test_a_topic_that_was_deleted_stays_forgotten_where_the_log_lost_that() -> None:
    """Members get the partitions of the next topic with its name, epochs rise no more then, and the group can go."""
    crew = Crew()
    crew.join("a")
    crew.beat("a")
    crew.cluster.shrink_isr(crew.home, next(node for node in crew.home.replicas if node != crew.home.leader))
    crew.cluster.delete_topic(crew.topic)
    crew.cluster.node_stopped(crew.cluster.nodes[crew.home.leader])
    crew.cluster.elect(crew.home, unclean=True)
    assert crew.group.initialized == {}
    crew.topic = crew.cluster.create_topic(crew.cluster.plan_topic(TOPIC, 3))
    crew.beat("a", "a", "a")
    assert crew.has["a"] == [0, 1, 2]
    epoch = crew.group.epoch
    crew.beat("a")
    assert crew.group.epoch == epoch
    crew.leave("a")
    crew.cluster.groups.delete(crew.group)


def test_a_group_whose_records_were_all_lost_is_none() -> None:
    """Its members are strangers to the coordinator."""
    crew = Crew()
    crew.cluster.shrink_isr(crew.home, next(node for node in crew.home.replicas if node != crew.home.leader))
    crew.join("a")
    crew.cluster.node_stopped(crew.cluster.nodes[crew.home.leader])
    crew.cluster.elect(crew.home, unclean=True)
    assert crew.cluster.groups.find(GROUP) is None
    assert code_of(crew, "a") is ErrorCode.GROUP_ID_NOT_FOUND


def test_a_group_is_shown_as_a_value() -> None:
    """Its kind, its epoch, and who has what."""
    crew = Crew(partitions=1)
    crew.join("a", "b")
    crew.beat("a", "b", "a")
    view = crew.group.view()
    assert (view.kind, view.state, view.epoch, view.offsets) == ("share", "Stable", crew.epochs["a"], {})
    assert {member.id: member.partitions for member in view.members} == dict.fromkeys("ab", frozenset({(TOPIC, 0)}))


def test_partitions_are_asked_for_again_when_no_answer_came() -> None:
    """Not before that was long ago, and never those whose state is kept."""
    crew = Crew()
    known, name = SharePartitions(), {crew.topic.id: TOPIC}
    known.begin({crew.topic.id: {0, 1}}, name.__getitem__, now=1000)
    known.finish({crew.topic.id: {0}}, name.__getitem__)
    late = 1000 + INITIALIZE_RETRY_INTERVAL_MS
    assert known.missing([crew.topic], late - 1 - INITIALIZE_RETRY_INTERVAL_MS) == {crew.topic.id: {2}}
    assert known.missing([crew.topic], late - INITIALIZE_RETRY_INTERVAL_MS) == {crew.topic.id: {1, 2}}
    known.abandon({crew.topic.id: {1}})
    assert known.missing([crew.topic], 0) == {crew.topic.id: {1, 2}}


def test_a_group_of_another_kind_is_not_found() -> None:
    """By the registry's own look-up for share groups."""
    crew = Crew()
    found: Group = crew.cluster.groups.for_join(GROUP, create=True)
    assert found.kind == "classic"
    assert code_of(crew, "a", join=True) is ErrorCode.GROUP_ID_NOT_FOUND
