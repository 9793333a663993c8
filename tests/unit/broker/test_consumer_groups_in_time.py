"""Consumer groups as time passes: sessions, revocations, static members, coordinators that move, intervals."""

import asyncio
from typing import Any

import pytest

from felice.broker.cluster import Cluster
from felice.broker.coordination import Kind
from felice.broker.groups.consumer import ConsumerGroup
from felice.broker.groups.consumer_heartbeat import heartbeat
from felice.broker.groups.group import Claim
from felice.broker.groups.joining import Applicant
from felice.broker.groups.waiting import WaitingJoin, WaitingSync
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from felice.wire.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from virtual_cluster import virtual_cluster

GROUP, TOPIC = "readers", "letters"
SESSION, REBALANCE = 45.0, 20.0
INTERVAL = "group_consumer_assignment_interval_ms"


class Members:
    """A group of members, by name: each reports what it has, or is slow to give it up."""

    def __init__(self, cluster: Cluster | None = None, partitions: int = 4) -> None:
        self.cluster = virtual_cluster(**{INTERVAL: 0}) if cluster is None else cluster
        self.topic = self.cluster.create_topic(self.cluster.plan_topic(TOPIC, partitions))
        self.epochs: dict[str, int] = {}
        self.has: dict[str, list[int]] = {}

    @property
    def group(self) -> ConsumerGroup:
        """The group."""
        found = self.cluster.groups.find(GROUP)
        assert isinstance(found, ConsumerGroup)
        return found

    def join(self, name: str, instance: str | None = None, **fields: Any) -> None:
        """Join, with nothing."""
        self.has[name] = []
        fields.setdefault("subscribed_topic_names", [TOPIC])
        self._send(name, 0, instance, rebalance_timeout_ms=int(REBALANCE * 1000), topic_partitions=[], **fields)

    def beat(self, name: str, instance: str | None = None, *, slow: bool = False) -> None:
        """Report; who is slow has not given up yet what it was told to."""
        kept = [ConsumerGroupHeartbeatRequest.TopicPartitions(topic_id=self.topic.id, partitions=self.has[name])]
        self._send(name, self.epochs[name], instance, slow=slow, topic_partitions=kept)

    def leave(self, name: str, instance: str | None = None, *, for_a_while: bool = False) -> None:
        """Leave."""
        self._send(name, -2 if for_a_while else -1, instance)

    def settle(self, *names: str) -> dict[str, int]:
        """Let all report until nothing changes; return how many partitions each has."""
        for _ in range(4):
            for name in names:
                self.beat(name)
        assert self.group.state == "Stable"
        return {name: len(self.has[name]) for name in names}

    def pass_time(self, seconds: float, *alive: str) -> None:
        """Let time pass; the ones who are alive report every three seconds."""
        while seconds > 0:
            self.cluster.clock.advance(min(3.0, seconds))
            seconds -= 3.0
            for name in alive:
                self.beat(name)

    def _send(self, name: str, epoch: int, instance: str | None, *, slow: bool = False, **fields: Any) -> None:
        """Send a heartbeat, and take over what it is answered."""
        request = ConsumerGroupHeartbeatRequest(
            group_id=GROUP, member_id=name, member_epoch=epoch, instance_id=instance, **fields
        )
        answer = heartbeat(self.cluster.groups, request, name, "/here")
        self.epochs[name] = answer.member_epoch
        if answer.assignment is not None and not slow:
            self.has[name] = [index for entry in answer.assignment.topic_partitions for index in entry.partitions]


def test_a_silent_member_is_lost_when_its_session_ends_and_the_others_take_over():
    members = Members()
    members.join("a")
    members.join("b")
    assert members.settle("a", "b") == {"a": 2, "b": 2}
    members.pass_time(SESSION - 1, "a")
    assert members.group.members.keys() == {"a", "b"}
    members.pass_time(1, "a")
    assert members.group.members.keys() == {"a"}
    assert members.settle("a") == {"a": 4}
    with pytest.raises(Refused) as refused:
        members.beat("b")
    assert refused.value.code is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_group_without_members_is_empty_and_stays():
    members = Members()
    members.join("a")
    members.pass_time(SESSION)
    assert (members.group.state, members.group.is_empty) == ("Empty", True)


def test_who_does_not_give_up_in_its_rebalance_timeout_is_lost_although_it_is_alive():
    members = Members()
    members.join("a")
    members.join("b")
    members.beat("a", slow=True)
    for _ in range(6):
        members.cluster.clock.advance(3)
        members.beat("a", slow=True)
        members.beat("b")
    assert members.group.members.keys() == {"a", "b"}
    assert members.has["b"] == []
    members.cluster.clock.advance(REBALANCE - 18)
    assert members.group.members.keys() == {"b"}
    assert members.settle("b") == {"b": 4}


def test_who_gives_up_in_time_stays():
    members = Members()
    members.join("a")
    members.join("b")
    members.beat("a")
    members.pass_time(REBALANCE - 1, "b")
    members.beat("a")
    members.pass_time(REBALANCE, "a", "b")
    assert members.settle("a", "b") == {"a": 2, "b": 2}


def test_a_static_member_that_is_away_keeps_what_it_has_until_its_session_ends():
    members = Members()
    members.join("a", "one")
    members.join("b")
    members.beat("a", "one")
    members.beat("a", "one")
    members.beat("b")
    members.leave("a", "one", for_a_while=True)
    members.pass_time(SESSION - 1, "b")
    assert len(members.has["b"]) == 2
    members.join("c", "one")
    assert len(members.has["c"]) == 2
    members.leave("c", "one", for_a_while=True)
    members.pass_time(SESSION, "b")
    assert members.settle("b") == {"b": 4}


def test_targets_are_not_computed_more_often_than_the_interval_says():
    members = Members(virtual_cluster(**{INTERVAL: 5000}))
    members.join("a")
    members.join("b")
    assert members.group.state == "Assigning"
    assert (len(members.has["a"]), members.group.target.epoch) == (4, members.group.epoch - 1)
    members.pass_time(4, "a", "b")
    assert members.group.state == "Assigning"
    members.pass_time(1, "a", "b")
    assert members.settle("a", "b") == {"a": 2, "b": 2}


def test_a_group_may_have_an_interval_of_its_own():
    members = Members(virtual_cluster())
    members.cluster.configs.groups.keep(GROUP, {"consumer.assignment.interval.ms": "0"})
    members.join("a")
    members.join("b")
    assert members.settle("a", "b") == {"a": 2, "b": 2}


def test_a_full_group_takes_nobody_but_its_members():
    members = Members(virtual_cluster(group_consumer_max_size=1))
    members.join("a")
    with pytest.raises(Refused) as refused:
        members.join("b")
    assert refused.value.code is ErrorCode.GROUP_MAX_SIZE_REACHED
    members.join("a")


def test_topics_are_looked_through_at_most_every_ten_seconds():
    members = Members()
    members.join("a", subscribed_topic_names=None, subscribed_topic_regex="letters.*")
    members.beat("a")
    members.cluster.create_topic(members.cluster.plan_topic("letters-too", 1))
    members.pass_time(9, "a")
    assert members.group.topics_of(members.group.members["a"]) == {TOPIC}
    members.pass_time(3, "a")
    assert members.group.topics_of(members.group.members["a"]) == {TOPIC, "letters-too"}


def test_a_new_coordinator_gives_members_their_sessions_anew():
    members = Members(virtual_cluster(3, **{INTERVAL: 0}))
    members.join("a")
    home = members.cluster.coordination.partition(Kind.GROUP, GROUP)
    members.cluster.clock.advance(SESSION - 1)
    members.cluster.move_leader(home, next(node for node in home.replicas if node != home.leader))
    members.cluster.clock.advance(SESSION - 1)
    assert members.group.members.keys() == {"a"}
    members.cluster.clock.advance(1)
    assert members.group.is_empty


def test_a_classic_member_that_does_not_join_again_in_time_is_lost():
    """It hears that it has to from its heartbeat, and goes on to send those."""
    members = Members()
    members.join("a")
    loop = asyncio.new_event_loop()
    try:
        waiting = WaitingJoin(loop.create_future(), 3)
        applicant = Applicant(
            "", None, "old", "/here", 10_000, int(REBALANCE * 1000), "consumer",
            {"range": ConsumerProtocolSubscription(topics=[TOPIC]).pack(1)},
        )  # fmt: skip
        members.group.join(applicant, waiting)
        answer = waiting.future.result()
        claim = Claim(answer.member_id, None, answer.generation_id)
        asking = WaitingSync(loop.create_future())
        members.group.sync(claim, ("consumer", "range"), {}, asking)
        assert ConsumerProtocolAssignment.unpack(asking.future.result().assignment).assigned_partitions == []
    finally:
        loop.close()
    members.group.heartbeat(claim)
    members.beat("a")
    members.beat("a")
    for seconds in range(0, int(REBALANCE), 4):
        with pytest.raises(Refused) as refused:
            members.group.heartbeat(claim)
        assert refused.value.code is ErrorCode.REBALANCE_IN_PROGRESS, seconds
        members.cluster.clock.advance(4)
        members.beat("a")
    assert members.group.members.keys() == {"a"}
    assert members.settle("a") == {"a": 4}


def test_nothing_is_kept_of_members_that_have_left() -> None:
    """However many come and go while the group goes on."""
    members = Members()
    members.join("stays")
    for number in range(20):
        members.join(f"guest-{number}")
        members.settle("stays", f"guest-{number}")
        members.leave(f"guest-{number}")
        members.settle("stays")
    kept = [value for value in vars(members.group.timers).values() if isinstance(value, dict)]
    assert [len(value) for value in kept] == [1]
