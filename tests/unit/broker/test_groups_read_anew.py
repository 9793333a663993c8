"""Groups whose log lost records, or went with its topic: their coordinator reads them anew."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from felice.broker.coordination import OFFSETS_TOPIC, Kind
from felice.broker.groups.consumer import ConsumerGroup
from felice.broker.groups.consumer_heartbeat import heartbeat
from felice.broker.groups.consumer_member import MemberState
from felice.broker.groups.group import Claim, Group
from felice.broker.groups.joining import Applicant
from felice.broker.groups.offsets import Committed
from felice.broker.groups.waiting import WaitingJoin, WaitingSync
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.transactions.markers import mark
from felice.broker.transactions.transaction import Identity
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse
from felice.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from felice.wire.messages.join_group import JoinGroupResponse
from virtual_cluster import virtual_cluster

GROUP, TOPIC, WRITER = "readers", "letters", (7, 0)


class Story:
    """Two nodes, one of which misses what is written after `lag`, and leads after `lose`."""

    def __init__(self) -> None:
        self.cluster = virtual_cluster(2, offsets_topic_num_partitions=1, group_consumer_assignment_interval_ms=0)
        self.topic = self.cluster.create_topic(self.cluster.plan_topic(TOPIC, 4))

    @property
    def home(self) -> Partition:
        """The partition in which the group's records are."""
        return self.cluster.coordination.partition(Kind.GROUP, GROUP)

    @property
    def group(self) -> Group | None:
        """The group."""
        return self.cluster.groups.find(GROUP)

    @property
    def consumers(self) -> ConsumerGroup:
        """The group, as one of the consumer protocol."""
        assert isinstance(self.group, ConsumerGroup)
        return self.group

    @property
    def offsets(self) -> dict[int, int]:
        """What is committed, by partition."""
        return {} if self.group is None else {partition: found.offset for _, partition, found in self.group.offsets}

    def lag(self) -> None:
        """Have all that is written from now on on one node only."""
        follower = next(node for node in self.home.replicas if node != self.home.leader)
        self.cluster.shrink_isr(self.home, follower)

    def lose(self) -> None:
        """Lose that node, and have the other one lead with what it has."""
        self.cluster.node_stopped(self.cluster.nodes[self.home.leader])
        self.cluster.elect(self.home, unclean=True)

    def commit(self, offset: int, partition: int = 0, *, writer: tuple[int, int] | None = None) -> None:
        """Commit, in a transaction if a producer is given."""
        groups = self.cluster.groups
        found, _ = groups.for_commit(GROUP, Claim(), transactional=writer is not None, version=8)
        commits = {(TOPIC, partition): Committed(offset, topic_id=self.topic.id, time=5, metadata="why")}
        if writer is None:
            groups.commit(found, commits)
        else:
            groups.stage(found, writer, commits)

    def end(self, *, committed: bool) -> None:
        """Decide the transaction, in the log too."""
        writer = Identity(*WRITER)
        mark(self.cluster, OFFSETS_TOPIC, self.home, writer, committed=committed, coordinator_epoch=0, version=1)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop to make futures of; it need not run."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture
def story() -> Story:
    """A cluster of two nodes."""
    return Story()


def heartbeats(story: Story, member_id: str, epoch: int, **fields: Any) -> ConsumerGroupHeartbeatResponse:
    """Send a heartbeat of the consumer protocol."""
    request = ConsumerGroupHeartbeatRequest(group_id=GROUP, member_id=member_id, member_epoch=epoch, **fields)
    return heartbeat(story.cluster.groups, request, "client", "/here")


def join_consumer(story: Story, member_id: str, **fields: Any) -> ConsumerGroupHeartbeatResponse:
    """Join by the consumer protocol."""
    return heartbeats(story, member_id, 0, rebalance_timeout_ms=20_000, topic_partitions=[], **fields)


def told(group: ConsumerGroup) -> tuple[object, ...]:
    """Return all that a consumer group's records tell."""
    target = group.target
    return (
        group.epoch, target.epoch, target.time, dict(target.assignments), dict(group.members),
        dict(group.patterns.resolved), group.patterns.round, group.state,
    )  # fmt: skip


def test_commits_that_the_log_lost_were_never_made(story: Story) -> None:
    """What was committed before counts again, as it stands in the log."""
    story.commit(1)
    story.commit(1, partition=1)
    story.lag()
    story.commit(2)
    story.commit(2, partition=2)
    assert story.offsets == {0: 2, 1: 1, 2: 2}
    story.lose()
    assert story.offsets == {0: 1, 1: 1}


def test_a_transaction_that_comes_after_a_loss_counts(story: Story) -> None:
    """Though its records have smaller offsets than those that were lost."""
    story.lag()
    for offset in range(9):
        story.commit(offset)
    story.lose()
    assert story.group is None
    story.commit(1)
    story.commit(3, writer=WRITER)
    story.end(committed=True)
    assert story.offsets == {0: 3}


@pytest.mark.parametrize("committed", [True, False])
def test_transactions_are_read_with_their_ends(story: Story, committed: bool) -> None:
    """What was decided is; what is open waits for its end."""
    story.commit(1)
    story.commit(2, writer=WRITER)
    story.end(committed=committed)
    story.commit(5, partition=1, writer=WRITER)
    story.lag()
    story.commit(9)
    story.lose()
    assert story.offsets == {0: 2 if committed else 1}
    assert story.group is not None
    assert story.group.offsets.is_pending(TOPIC, 1)
    story.end(committed=committed)
    assert story.offsets == ({0: 2, 1: 5} if committed else {0: 1})


def test_offsets_that_were_deleted_stay_so(story: Story) -> None:
    """Their tombstones are in the log."""
    story.commit(1)
    story.commit(1, partition=1)
    assert story.group is not None
    story.cluster.groups.drop_offsets(story.group, [(TOPIC, 0)])
    story.lag()
    story.commit(2, partition=2)
    story.lose()
    assert story.offsets == {1: 1}


def test_a_classic_group_goes_back_to_the_generation_that_the_log_has(
    story: Story, loop: asyncio.AbstractEventLoop
) -> None:
    """Its member is a member still, of that generation; and one who waits is sent away."""

    def join(member_id: str = "") -> WaitingJoin:
        waiting = WaitingJoin(loop.create_future(), 3)
        metadata = ConsumerProtocolSubscription(topics=[TOPIC]).pack(1)
        applicant = Applicant(member_id, None, "client", "/here", 10_000, 20_000, "consumer", {"range": metadata})
        story.cluster.groups.for_join(GROUP, create=True).join(applicant, waiting)
        return waiting

    def synced(answer: JoinGroupResponse) -> bytes:
        waiting = WaitingSync(loop.create_future())
        claim = Claim(answer.member_id, None, answer.generation_id)
        story.cluster.groups.get(GROUP).sync(claim, (None, None), {answer.member_id: b"share"}, waiting)
        return bytes(waiting.future.result().assignment)

    first: JoinGroupResponse = join().future.result()
    assert synced(first) == b"share"
    story.lag()
    second: JoinGroupResponse = join(first.member_id).future.result()
    assert second.generation_id == first.generation_id + 1
    synced(second)
    late = join()
    story.lose()
    assert late.future.result().error_code == ErrorCode.NOT_COORDINATOR
    with pytest.raises(Refused) as refused:
        story.cluster.groups.get(GROUP).heartbeat(Claim(first.member_id, None, second.generation_id))
    assert refused.value.code == ErrorCode.ILLEGAL_GENERATION
    assert synced(first) == b"share"
    story.cluster.clock.advance(11)
    assert story.group is not None
    assert story.group.state == "Empty"


def test_a_consumer_group_is_what_its_records_say(story: Story) -> None:
    """Epochs, what members want, have and shall have, expressions with their topics; and time passes for it."""
    join_consumer(story, "a", subscribed_topic_names=[TOPIC], instance_id="i", rack_id="north", server_assignor="range")
    join_consumer(story, "b", subscribed_topic_regex="let.*")
    for member_id in ("b", "a", "b"):
        heartbeats(story, member_id, story.consumers.members[member_id].epoch, instance_id=None)
    before, state = story.consumers, told(story.consumers)
    assert {member.state for member in before.members.values()} != {MemberState.STABLE}
    story.lag()
    heartbeats(story, "b", -1)
    join_consumer(story, "c", subscribed_topic_names=[TOPIC])
    story.lose()
    assert story.consumers is not before
    assert told(story.consumers) == state
    heartbeats(story, "b", story.consumers.members["b"].epoch)
    assert story.consumers.epoch == state[0]
    story.cluster.clock.advance(46)
    assert story.consumers.members == {}


def test_a_topic_that_changed_while_the_log_was_lost_is_noticed(story: Story) -> None:
    """The group's record has a hash of what the topics looked like."""
    join_consumer(story, "a", subscribed_topic_names=[TOPIC])
    story.lag()
    story.cluster.add_partitions(story.topic, [[1]])
    epoch = heartbeats(story, "a", 2).member_epoch
    story.lose()
    assert story.consumers.epoch == epoch - 1
    assert heartbeats(story, "a", epoch - 1).member_epoch == epoch


def test_a_consumer_group_that_the_log_does_not_know_is_gone(story: Story) -> None:
    """And its member is told so."""
    story.commit(1)
    story.lag()
    join_consumer(story, "a", subscribed_topic_names=[TOPIC])
    story.lose()
    assert story.group is not None
    assert (story.group.kind, story.offsets) == ("classic", {0: 1})
    with pytest.raises(Refused) as refused:
        heartbeats(story, "a", 2)
    assert refused.value.code == ErrorCode.GROUP_ID_NOT_FOUND


def test_groups_go_with_the_topic_in_which_they_are_kept(story: Story) -> None:
    """A topic that takes its place begins with none."""
    story.commit(1)
    story.cluster.delete_topic(story.cluster.topic(OFFSETS_TOPIC))
    assert OFFSETS_TOPIC not in story.cluster.topics
    assert story.group is None
    story.commit(2, partition=1)
    story.cluster.move_leader(story.home, 2)
    assert story.offsets == {1: 2}


def test_nothing_expires_while_nobody_coordinates(story: Story) -> None:
    """Nor is anything written to a log without a leader."""
    story.commit(1)
    for node in story.cluster.nodes.values():
        story.cluster.node_stopped(node)
    end = story.home.log.end_offset
    story.cluster.clock.advance(8 * 86400)
    assert (story.offsets, story.home.log.end_offset) == ({0: 1}, end)
    for node in story.cluster.nodes.values():
        story.cluster.node_started(node)
    story.cluster.clock.advance(600)
    assert story.group is None
