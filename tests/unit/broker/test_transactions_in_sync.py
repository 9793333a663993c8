"""Coordinators write with acks=all: while too few replicas of their log are in sync, nothing is changed."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from felice.broker.coordination import Kind
from felice.broker.groups.consumer import ConsumerGroup
from felice.broker.groups.consumer_heartbeat import heartbeat
from felice.broker.groups.group import Claim
from felice.broker.groups.joining import Applicant
from felice.broker.groups.offsets import Committed
from felice.broker.groups.waiting import WaitingJoin, WaitingSync
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.transactions.transaction import Identity
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse
from felice.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from felice.wire.records import read_header
from virtual_cluster import virtual_cluster

GROUP, WRITER, TOPIC = "readers", "writer", "letters"
TIMEOUT = 10.0


class Story:
    """Two nodes; all that is written needs both of them."""

    def __init__(self) -> None:
        self.cluster = virtual_cluster(
            2,
            min_insync_replicas=2,
            offsets_topic_num_partitions=1,
            transaction_state_log_num_partitions=1,
            transaction_state_log_min_isr=3,
            group_consumer_assignment_interval_ms=0,
        )
        self.topic = self.cluster.create_topic(self.cluster.plan_topic(TOPIC, 2))
        self.identity = Identity(-1, -1)

    def home(self, kind: Kind) -> Partition:
        """The partition in which all is kept."""
        return self.cluster.coordination.partition(kind, "")

    def shrink(self, *partitions: Partition) -> Callable[[], None]:
        """Let followers lag, and be out of sync; return what lets them catch up."""
        lagging = [(one, next(node for node in one.replicas if node != one.leader)) for one in partitions]
        for partition, node in lagging:
            self.cluster.shrink_isr(partition, node)

        def grow() -> None:
            for partition, node in lagging:
                self.cluster.grow_isr(partition, node)

        return grow

    def commit(self, offset: int, writer: tuple[int, int] | None = None) -> None:
        """Commit."""
        groups = self.cluster.groups
        group, _ = groups.for_commit(GROUP, Claim(), transactional=writer is not None, version=8)
        commits = {(TOPIC, 0): Committed(offset, topic_id=self.topic.id)}
        if writer is None:
            groups.commit(group, commits)
        else:
            groups.stage(group, writer, commits)

    @property
    def offsets(self) -> list[int] | None:
        """What is committed, or None where there is no group."""
        group = self.cluster.groups.find(GROUP)
        return None if group is None else [committed.offset for _, _, committed in group.offsets]

    @property
    def transaction(self) -> tuple[str, int, int]:
        """The transaction's state, epoch, and number of partitions."""
        found = self.cluster.transactions.find(WRITER)
        assert found is not None
        return found.state.shown, found.epoch, len(found.partitions)

    def begin(self) -> None:
        """Take the transactional ID."""
        self.identity = self.cluster.transactions.initialise(WRITER, int(TIMEOUT * 1000), None)

    def add(self, index: int = 0) -> None:
        """Let a partition join the transaction."""
        self.cluster.transactions.add(WRITER, self.identity, [(TOPIC, index)], 0)

    def commit_transaction(self) -> None:
        """Decide."""
        self.cluster.transactions.end(WRITER, self.identity, True, 0)

    def markers(self, index: int) -> int:
        """Return how many markers a partition has."""
        return sum(read_header(batch).is_control for batch in self.topic.partitions[index].log.batches())

    def heartbeat(self, member_id: str, epoch: int, **fields: Any) -> ConsumerGroupHeartbeatResponse:
        """Send a heartbeat of the consumer protocol."""
        request = ConsumerGroupHeartbeatRequest(group_id=GROUP, member_id=member_id, member_epoch=epoch, **fields)
        return heartbeat(self.cluster.groups, request, "client", "/here")

    def join(self, member_id: str) -> ConsumerGroupHeartbeatResponse:
        """Join by the consumer protocol."""
        return self.heartbeat(
            member_id, 0, rebalance_timeout_ms=20_000, topic_partitions=[], subscribed_topic_names=[TOPIC]
        )


@pytest.fixture
def story() -> Story:
    """A cluster of two nodes."""
    return Story()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop to make futures of; it need not run."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def refused(function: Callable[..., object], *args: Any, **kwargs: Any) -> ErrorCode:
    """Return the code with which something is refused."""
    with pytest.raises(Refused) as caught:
        function(*args, **kwargs)
    return caught.value.code


UNAVAILABLE = ErrorCode.COORDINATOR_NOT_AVAILABLE


@pytest.mark.parametrize("writer", [None, (7, 0)])
def test_a_refused_commit_leaves_no_group(story: Story, writer: tuple[int, int] | None) -> None:
    """Nor a record."""
    grow = story.shrink(story.home(Kind.GROUP))
    assert refused(story.commit, 1, writer) is UNAVAILABLE
    assert (story.offsets, story.home(Kind.GROUP).log.end_offset) == (None, 0)
    grow()
    story.commit(1, writer)
    assert story.offsets == ([1] if writer is None else [])


def test_offsets_stay_that_cannot_be_deleted(story: Story) -> None:
    """By request, with the group, with their topic, or by time; they go when they can."""
    story.commit(1)
    grow = story.shrink(story.home(Kind.GROUP))
    groups = story.cluster.groups
    group = groups.get(GROUP)
    assert refused(groups.drop_offsets, group, [(TOPIC, 0)]) is UNAVAILABLE
    assert refused(groups.delete, group) is UNAVAILABLE
    story.cluster.delete_topic(story.topic)
    story.cluster.clock.advance(8 * 86400)
    assert story.offsets == [1]
    grow()
    story.cluster.clock.advance(600)
    assert story.offsets is None


def join_classic(story: Story, loop: asyncio.AbstractEventLoop, member_id: str = "") -> WaitingJoin:
    """Join by the classic protocol."""
    waiting = WaitingJoin(loop.create_future(), 3)
    metadata = ConsumerProtocolSubscription(topics=[TOPIC]).pack(1)
    applicant = Applicant(member_id, None, "client", "/here", 10_000, 20_000, "consumer", {"range": metadata})
    story.cluster.groups.for_join(GROUP, create=not member_id).join(applicant, waiting)
    return waiting


def test_a_classic_group_is_not_created(story: Story, loop: asyncio.AbstractEventLoop) -> None:
    """Who joins is told to ask again."""
    story.shrink(story.home(Kind.GROUP))
    assert refused(join_classic, story, loop) is UNAVAILABLE
    assert story.offsets is None


def test_an_assignment_that_cannot_be_written_is_none(story: Story, loop: asyncio.AbstractEventLoop) -> None:
    """All who wait for it hear of that, and the group joins anew; the next generation has one again."""
    first, second = join_classic(story, loop), None
    second = join_classic(story, loop)
    leader = first.future.result().member_id
    again = join_classic(story, loop, leader)
    generation = again.future.result().generation_id
    follower = second.future.result().member_id
    grow = story.shrink(story.home(Kind.GROUP))
    group = story.cluster.groups.get(GROUP)
    synced = {member_id: WaitingSync(loop.create_future()) for member_id in (follower, leader)}
    for member_id, waiting in synced.items():
        group.sync(Claim(member_id, None, generation), (None, None), {leader: b"a", follower: b"b"}, waiting)
    assert [waiting.future.result().error_code for waiting in synced.values()] == [UNAVAILABLE] * 2
    assert group.state == "PreparingRebalance"
    grow()
    joins = [join_classic(story, loop, member_id) for member_id in (leader, follower)]
    assert {join.future.result().generation_id for join in joins} == {generation + 1}
    waiting = WaitingSync(loop.create_future())
    group.sync(Claim(leader, None, generation + 1), (None, None), {leader: b"a"}, waiting)
    assert bytes(waiting.future.result().assignment) == b"a"


def test_a_classic_group_becomes_empty_all_the_same(story: Story, loop: asyncio.AbstractEventLoop) -> None:
    """As in Kafka, where the record of that gets lost."""
    join = join_classic(story, loop).future.result()
    story.shrink(story.home(Kind.GROUP))
    group = story.cluster.groups.get(GROUP)
    group.leave([(join.member_id, None)])
    assert group.state == "Empty"


def test_a_member_of_a_consumer_group_that_may_not_come_is_none(story: Story) -> None:
    """What the others have stays as it is, and their heartbeats that change nothing are answered."""
    assert story.join("a").member_epoch == 2
    before = story.cluster.groups.get(GROUP)
    assert isinstance(before, ConsumerGroup)
    grow = story.shrink(story.home(Kind.GROUP))
    assert refused(story.join, "b") is UNAVAILABLE
    assert refused(story.heartbeat, "a", -1) is UNAVAILABLE
    group = story.cluster.groups.get(GROUP)
    assert isinstance(group, ConsumerGroup)
    assert (group.epoch, list(group.members), group.members, group.target.assignments) == (
        before.look and 2, ["a"], {"a": group.members["a"]}, {"a": {story.topic.id: frozenset({0, 1})}},
    )  # fmt: skip
    assert story.heartbeat("a", 2).error_code == 0
    grow()
    assert story.join("b").member_epoch == 3


def test_a_consumer_group_that_cannot_be_written_is_not_there(story: Story) -> None:
    """Nor does a classic group become one."""
    grow = story.shrink(story.home(Kind.GROUP))
    assert refused(story.join, "a") is UNAVAILABLE
    assert story.cluster.groups.find(GROUP) is None
    grow()
    story.commit(5)
    story.shrink(story.home(Kind.GROUP))
    assert refused(story.join, "a") is UNAVAILABLE
    assert (story.cluster.groups.get(GROUP).kind, story.offsets) == ("classic", [5])


def test_a_silent_member_goes_when_that_can_be_written(story: Story) -> None:
    """Until then it is waited for again."""
    story.join("a")
    grow = story.shrink(story.home(Kind.GROUP))
    story.cluster.clock.advance(46)
    assert story.cluster.groups.get(GROUP).state == "Stable"
    grow()
    story.cluster.clock.advance(46)
    assert story.cluster.groups.get(GROUP).state == "Empty"


def test_a_transaction_that_cannot_be_written_is_as_it_was(story: Story) -> None:
    """Whatever is asked of it."""
    home = story.home(Kind.TRANSACTION)
    grow = story.shrink(home)
    assert refused(story.begin) is UNAVAILABLE
    assert story.cluster.transactions.find(WRITER) is None
    grow()
    story.begin()
    grow = story.shrink(home)
    assert refused(story.add) is UNAVAILABLE
    assert refused(story.begin) is UNAVAILABLE
    assert story.transaction == ("Empty", 0, 0)
    grow()
    story.add()
    grow = story.shrink(home)
    assert refused(story.add, 1) is UNAVAILABLE
    assert refused(story.commit_transaction) is UNAVAILABLE
    assert refused(story.begin) is UNAVAILABLE
    assert (story.transaction, story.markers(0)) == (("Ongoing", 0, 1), 0)
    story.add()  # which changes nothing
    grow()
    story.commit_transaction()
    assert (story.transaction, story.markers(0)) == (("CompleteCommit", 0, 0), 1)


def test_a_late_transaction_is_aborted_when_that_can_be_written(story: Story) -> None:
    """It is tried again and again, as in Kafka every ten seconds."""
    story.begin()
    story.add()
    grow = story.shrink(story.home(Kind.TRANSACTION))
    story.cluster.clock.advance(TIMEOUT + 1)
    assert story.transaction == ("Ongoing", 0, 1)
    grow()
    story.cluster.clock.advance(10)
    assert story.transaction == ("CompleteAbort", 1, 0)


def test_an_unused_transactional_id_is_forgotten_when_that_can_be_written(story: Story) -> None:
    """It is known until then."""
    story.begin()
    grow = story.shrink(story.home(Kind.TRANSACTION))
    story.cluster.clock.advance(8 * 86400)
    assert story.transaction == ("Empty", 0, 0)
    grow()
    story.cluster.clock.advance(8 * 86400)
    assert story.cluster.transactions.find(WRITER) is None


def test_markers_wait_until_enough_replicas_are_in_sync(story: Story) -> None:
    """The transaction is decided, and complete with the last of them."""
    story.begin()
    story.add(0)
    story.add(1)
    grow = story.shrink(story.topic.partitions[1])
    story.commit_transaction()
    assert (story.transaction[0], story.markers(0), story.markers(1)) == ("PrepareCommit", 1, 0)
    grow()
    assert (story.transaction[0], story.markers(0), story.markers(1)) == ("CompleteCommit", 1, 1)


def test_markers_wait_until_all_in_sync_have_the_decision(story: Story) -> None:
    """A decision that may be lost is none yet."""
    story.begin()
    story.add()
    home = story.home(Kind.TRANSACTION)
    follower = next(node for node in home.replicas if node != home.leader)
    story.cluster.pause_replica(home, follower)
    story.commit_transaction()
    assert (story.transaction[0], story.markers(0)) == ("PrepareCommit", 0)
    story.cluster.grow_isr(home, follower)
    assert (story.transaction[0], story.markers(0)) == ("CompleteCommit", 1)


def test_a_transaction_is_complete_when_that_can_be_written(story: Story) -> None:
    """Its markers wait too: they are written by the coordinator."""
    story.begin()
    story.add()
    letters, home = story.topic.partitions[0], story.home(Kind.TRANSACTION)
    grow_letters = story.shrink(letters)
    story.commit_transaction()
    grow_home = story.shrink(home)
    grow_letters()
    assert (story.transaction[0], story.markers(0)) == ("PrepareCommit", 0)
    grow_home()
    assert (story.transaction[0], story.markers(0)) == ("CompleteCommit", 1)
