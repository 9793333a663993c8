"""Consumer groups (KIP-848) over sockets, with confluent-kafka's members of all kinds."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupType
from confluent_kafka.admin import AdminClient

from asking import Asker, batch
from felice.broker import Broker
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from plain_produce import produce

TOPIC, GROUP = "letters", "readers"
PARTITIONS = 6
PATIENCE = 30.0
TIMEOUTS = {
    "group.consumer.min.heartbeat.interval.ms": 50,
    "group.consumer.heartbeat.interval.ms": 100,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.session.timeout.ms": 1500,
    "group.min.session.timeout.ms": 1000,
}


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with five letters in each partition of a topic."""
    with Broker({TOPIC: PARTITIONS, "telegrams": 2}, configs=TIMEOUTS) as made:
        produce(made, TOPIC, [(index, batch(*[b"letter"] * 5)) for index in range(PARTITIONS)])
        yield made


class Post:
    """The members of a group, who are polled in turns."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.members: dict[str, Any] = {}
        self.told: list[tuple[str, str, int]] = []
        """Who got (+) or gave up (-) how many partitions."""
        self.got: list[tuple[int, int]] = []

    def __enter__(self) -> "Post":
        """Return it."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Have all leave."""
        for name in list(self.members):
            self.leave(name)

    def join(self, name: str, topics: str = TOPIC, **settings: object) -> None:
        """Have a member subscribe."""
        settings = {"group.protocol": "consumer", **settings}
        if settings["group.protocol"] == "classic":
            settings = {"session.timeout.ms": 2000, "heartbeat.interval.ms": 100, **settings}
        member = Consumer(
            {
                "bootstrap.servers": self.broker.bootstrap_servers,
                "group.id": GROUP,
                "client.id": name,
                "auto.offset.reset": "earliest",
                **settings,
            }
        )
        member.subscribe(
            [topics],
            on_assign=lambda _, partitions: self.told.append((name, "+", len(partitions))),
            on_revoke=lambda _, partitions: self.told.append((name, "-", len(partitions))),
        )
        self.members[name] = member

    def leave(self, name: str) -> None:
        """Have a member leave."""
        self.members.pop(name).close()

    def poll_until(self, seen: Callable[[], bool]) -> None:
        """Have all read until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not seen():
            assert time.monotonic() < deadline, (self.told, self.broker.groups.get(GROUP))
            for member in self.members.values():
                message = member.poll(0.01)
                if message is not None and message.error() is None:
                    self.got.append((message.partition(), message.offset()))

    def share_is(self, **partitions: int) -> Callable[[], bool]:
        """Return what tells whether members have so many partitions each, as they see it and as the broker does."""

        def seen() -> bool:
            had = {name: len(member.assignment()) for name, member in self.members.items()}
            group = self.broker.groups.get(GROUP)
            return had == partitions and group is not None and group.state == "Stable"

        return seen


def test_a_lone_member_reads_everything_and_commits(broker: Broker) -> None:
    """Its offsets are there for the next member of the group."""
    with Post(broker) as post:
        post.join("one")
        post.poll_until(lambda: len(post.got) == PARTITIONS * 5)
        assert sorted(post.got) == [(index, offset) for index in range(PARTITIONS) for offset in range(5)]
        assert post.told == [("one", "+", PARTITIONS)]
        post.leave("one")
    group = broker.groups[GROUP]
    assert (group.kind, group.state) == ("consumer", "Empty")
    assert {group.offsets[TOPIC, index].offset for index in range(PARTITIONS)} == {5}


def test_members_share_and_each_letter_is_read_once(broker: Broker) -> None:
    """A second and a third member get their parts when the others have given them up."""
    with Post(broker) as post:
        post.join("one")
        post.poll_until(lambda: len(post.got) == PARTITIONS * 5)
        post.join("two")
        post.poll_until(post.share_is(one=3, two=3))
        post.join("three")
        post.poll_until(post.share_is(one=2, two=2, three=2))
        post.leave("two")
        post.poll_until(post.share_is(one=3, three=3))
        assert ("one", "-", 3) in post.told
        assert len(post.got) == PARTITIONS * 5


def test_a_regular_expression_is_matched_by_the_broker(broker: Broker) -> None:
    """All topics that match are read, and one more as soon as it is there and ten seconds have passed."""
    with Post(broker) as post:
        post.join("one", "^(letters|tele.*)")
        post.poll_until(post.share_is(one=PARTITIONS + 2))
        broker.create_topic("telephone", 1)
        broker.clock.advance(1)
        post.poll_until(lambda: _advanced(broker) and post.share_is(one=PARTITIONS + 3)())


def _advanced(broker: Broker) -> bool:
    """Let the broker's time pass quickly, but not so quickly that members lose their sessions."""
    broker.clock.advance(0.05)
    return True


def test_a_static_member_comes_back_to_what_it_had(broker: Broker) -> None:
    """The others do not notice that it was away."""
    with Post(broker) as post:
        post.join("one", **{"group.instance.id": "first"})
        post.join("two", **{"group.instance.id": "second"})
        post.poll_until(post.share_is(one=3, two=3))
        before = broker.groups[GROUP]
        had = {partition for partition, owner in before.owners().items() if _client(before, owner) == "one"}
        told = [entry for entry in post.told if entry[0] == "two"]
        post.leave("one")
        assert len(broker.groups[GROUP].members) == 2
        post.join("again", **{"group.instance.id": "first"})
        post.poll_until(post.share_is(again=3, two=3))
        after = broker.groups[GROUP]
        assert {one for one, owner in after.owners().items() if _client(after, owner) == "again"} == had
        assert after.epoch == before.epoch
        assert [entry for entry in post.told if entry[0] == "two"] == told


def _client(group: Any, member_id: str) -> str:
    """The client's name of a member."""
    return next(member.client_id for member in group.members if member.id == member_id)


def test_old_and_new_members_share_a_group_while_it_changes_its_kind(broker: Broker) -> None:
    """A classic group is upgraded by the first new member, and downgraded when the last one leaves."""
    with Post(broker) as post:
        old = {"group.protocol": "classic", "partition.assignment.strategy": "cooperative-sticky"}
        post.join("old", **old)
        post.poll_until(lambda: len(post.got) == PARTITIONS * 5)
        assert broker.groups[GROUP].kind == "classic"
        post.join("new")
        post.poll_until(post.share_is(old=3, new=3))
        assert broker.groups[GROUP].kind == "consumer"
        post.join("late", **old)
        post.poll_until(post.share_is(old=2, new=2, late=2))
        post.leave("new")
        post.poll_until(post.share_is(old=3, late=3))
        assert broker.groups[GROUP].kind == "classic"
        assert len(post.got) == PARTITIONS * 5


def test_admins_see_the_group(broker: Broker) -> None:
    """What confluent-kafka's admin is told of a consumer group, and that only an empty one is deleted."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    with Post(broker) as post:
        post.join("one")
        post.poll_until(post.share_is(one=PARTITIONS))
        found = admin.describe_consumer_groups([GROUP])[GROUP].result(PATIENCE)
        assert (found.state, found.type) == (ConsumerGroupState.STABLE, ConsumerGroupType.CONSUMER)
        assert [member.client_id for member in found.members] == ["one"]
        assert len(found.members[0].assignment.topic_partitions) == PARTITIONS
        listed = admin.list_consumer_groups(types={ConsumerGroupType.CONSUMER}).result(PATIENCE).valid
        assert [group.group_id for group in listed] == [GROUP]
        with pytest.raises(Exception, match=r"NON_EMPTY_GROUP|not empty"):
            admin.delete_consumer_groups([GROUP])[GROUP].result(PATIENCE)
    admin.delete_consumer_groups([GROUP])[GROUP].result(PATIENCE)
    assert GROUP not in broker.groups


def test_error_faults_strike_before_anything_is_checked(broker: Broker) -> None:
    """A fault is what a test asks for; what is wrong with the request does not matter."""
    code = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    broker.faults.error(code, "ConsumerGroupHeartbeat")
    broker.faults.error(code, "ConsumerGroupDescribe")
    with Asker(broker.bootstrap_servers, "faults") as asker:
        assert asker.ask(ConsumerGroupHeartbeatRequest(), 1).error_code == code
        assert asker.ask(ConsumerGroupDescribeRequest(group_ids=[""]), 1).groups[0].error_code == code
