"""How far share groups have come: what is written, what is fenced, and what is read anew."""

import pytest

from felice.broker.coordination import Kind
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.shares.progress import UNKNOWN, Progress
from felice.broker.shares.reading import read_changes
from felice.broker.shares.share_partition import SharePartition
from felice.broker.shares.state_batch import StateBatch
from felice.broker.shares.upkeep import INTERVAL
from felice.errors import ErrorCode
from felice.wire.messages.share_state_topic import ShareSnapshotValue, ShareUpdateValue
from virtual_cluster import virtual_cluster

GROUP, TOPIC = "pickers", "letters"
FIRST = StateBatch(0, 4, 1, 2)
SECOND = StateBatch(5, 9, 1, 0)


class Story:
    """Two nodes, one of which misses what is written after `lag`, and leads after `lose`."""

    def __init__(self) -> None:
        self.cluster = virtual_cluster(
            2,
            share_coordinator_state_topic_num_partitions=1,
            share_coordinator_state_topic_min_isr=1,
            share_coordinator_snapshot_update_records_per_snapshot=2,
        )
        self.topic = self.cluster.create_topic(self.cluster.plan_topic(TOPIC, 2))
        self.where = SharePartition(GROUP, self.topic.id, 0)
        self.state = self.cluster.share_state

    @property
    def home(self) -> Partition:
        """The partition in which the records are."""
        return self.cluster.coordination.partition(Kind.SHARE, self.where.coordinator_key)

    def progress(self) -> Progress:
        """How far the group has come."""
        return self.state.summary(*self.where, -1)

    def write(self, *batches: StateBatch, start: int = 0, state_epoch: int = 0, leader_epoch: int = 0) -> None:
        """Go on."""
        self.state.write(*self.where, state_epoch, leader_epoch, start, 0, batches)

    def lag(self) -> None:
        """Have all that is written from now on on one node only."""
        follower = next(node for node in self.home.replicas if node != self.home.leader)
        self.cluster.shrink_isr(self.home, follower)

    def lose(self) -> None:
        """Lose that node, and have the other one lead with what it has."""
        self.cluster.node_stopped(self.cluster.nodes[self.home.leader])
        if self.home.leader == -1:
            self.cluster.elect(self.home, unclean=True)

    def kinds(self) -> list[str]:
        """What the records of the log are."""
        names = {ShareSnapshotValue: "snapshot", ShareUpdateValue: "update", type(None): "tombstone"}
        return [names[type(change)] for _, change, _ in read_changes(self.home.log)]


@pytest.fixture
def story() -> Story:
    """A cluster of two nodes, and a group that has begun."""
    told = Story()
    told.state.initialize(*told.where, 0, 0)
    return told


def refused(story: Story, **epochs: int) -> ErrorCode | None:
    """Return why a write is refused."""
    try:
        story.write(**epochs)
    except Refused as found:
        return found.code
    return None


def test_every_third_change_is_a_snapshot_where_two_updates_may_stand_between(story: Story) -> None:
    """And it tells what the updates before told."""
    story.write(FIRST)
    story.write(SECOND)
    assert story.progress().snapshot_epoch == 0
    story.write(StateBatch(5, 5, 2, 2), start=3)
    assert story.kinds() == ["snapshot", "update", "update", "snapshot"]
    assert story.progress() == Progress(1, 0, 0, 3, 0, (StateBatch(3, 4, 1, 2), StateBatch(5, 5, 2, 2), StateBatch(6, 9, 1, 0)))  # fmt: skip # noqa: E501


def test_a_leader_fences_those_before_it_when_it_reads(story: Story) -> None:
    """Not when it writes."""
    story.write(leader_epoch=7)
    assert story.progress().leader_epoch == 0
    story.state.read(*story.where, 7)
    assert refused(story, leader_epoch=6) is ErrorCode.FENCED_LEADER_EPOCH
    assert refused(story, leader_epoch=-1) is None
    with pytest.raises(Refused) as found:
        story.state.read(*story.where, 6)
    assert found.value.code is ErrorCode.FENCED_LEADER_EPOCH


def test_reading_again_in_one_epoch_writes_nothing(story: Story) -> None:
    """Only an epoch that is new is a record."""
    story.state.read(*story.where, 0)
    story.state.read(*story.where, -1)
    story.state.read(*story.where, 1)
    story.state.read(*story.where, 1)
    assert story.kinds() == ["snapshot", "update"]


def test_a_group_that_begins_anew_fences_who_does_not_know(story: Story) -> None:
    """Its leader's epoch stays."""
    story.state.read(*story.where, 4)
    story.state.initialize(*story.where, 2, -1)
    assert story.progress() == Progress(1, 2, 0, -1, -1, ())
    assert refused(story, state_epoch=1, leader_epoch=4) is ErrorCode.FENCED_STATE_EPOCH
    assert refused(story, state_epoch=2, leader_epoch=3) is ErrorCode.FENCED_LEADER_EPOCH
    with pytest.raises(Refused) as found:
        story.state.initialize(*story.where, 1, 0)
    assert found.value.code is ErrorCode.FENCED_STATE_EPOCH


def test_a_batch_that_ends_before_it_begins_is_refused(story: Story) -> None:
    """Nothing of its write is kept."""
    with pytest.raises(Refused) as found:
        story.write(FIRST, StateBatch(9, 5, 1, 2))
    assert found.value.code is ErrorCode.INVALID_REQUEST
    assert story.progress().batches == ()


def test_what_is_deleted_is_not_known(story: Story) -> None:
    """And whoever deletes it again writes nothing."""
    story.state.delete(*story.where)
    story.state.delete(*story.where)
    assert story.progress() is UNKNOWN
    assert refused(story) is ErrorCode.INVALID_REQUEST
    assert story.kinds() == ["snapshot", "tombstone"]


def test_a_topic_takes_its_state_with_it(story: Story) -> None:
    """All groups' state, with tombstones; other topics keep theirs."""
    other = story.cluster.create_topic(story.cluster.plan_topic("others", 1))
    story.state.initialize("readers", story.topic.id, 1, 0, 0)
    story.state.initialize(GROUP, other.id, 0, 0, 3)
    story.cluster.delete_topic(story.topic)
    assert story.kinds() == ["snapshot"] * 3 + ["tombstone"] * 2
    assert story.state.summary(GROUP, other.id, 0, -1).start_offset == 3
    assert refused(story) is ErrorCode.INVALID_REQUEST
    with pytest.raises(Refused) as found:
        story.progress()
    assert found.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_without_a_coordinator_nothing_is_read_or_written(story: Story) -> None:
    """Where both nodes of its partition are down."""
    for node in (1, 2):
        story.cluster.node_stopped(story.cluster.nodes[node])
    assert refused(story) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    with pytest.raises(Refused) as found:
        story.progress()
    assert found.value.code is ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_a_coordinator_that_moves_keeps_what_is_known(story: Story) -> None:
    """As long as its log is whole."""
    story.write(FIRST, SECOND)
    before = story.progress()
    story.lose()
    assert story.progress() == before


def test_what_the_log_lost_is_not_known(story: Story) -> None:
    """The new coordinator knows what its own log tells: states, epochs, and what is not deleted any more."""
    story.state.initialize("readers", story.topic.id, 1, 0, 0)
    story.state.read(*story.where, 3)
    story.write(FIRST, leader_epoch=3)
    before = story.progress()
    story.lag()
    story.write(SECOND, leader_epoch=3)
    story.state.initialize("late", story.topic.id, 1, 0, 0)
    story.state.delete("readers", story.topic.id, 1)
    story.lose()
    assert story.progress() == before
    assert refused(story, leader_epoch=2) is ErrorCode.FENCED_LEADER_EPOCH
    assert story.state.summary("late", story.topic.id, 1, -1) is UNKNOWN
    assert story.state.summary("readers", story.topic.id, 1, -1).start_offset == 0


def test_a_topic_that_is_gone_has_no_state_where_the_log_lost_that(story: Story) -> None:
    """Nothing is written for it any more."""
    story.write(FIRST)
    story.lag()
    story.cluster.delete_topic(story.topic)
    story.lose()
    end = story.home.log.end_offset
    story.cluster.clock.advance(10 * INTERVAL)
    assert story.home.log.end_offset == end


def test_the_topic_in_which_state_is_kept_takes_all_of_it_with_it(story: Story) -> None:
    """What comes then is written to its successor, and looked after there."""
    story.write(FIRST)
    story.cluster.delete_topic(story.cluster.topic("__share_group_state"))
    assert refused(story) is ErrorCode.INVALID_REQUEST
    assert story.progress() is UNKNOWN
    story.state.initialize(*story.where, 0, 7)
    story.cluster.clock.advance(2 * INTERVAL)
    assert story.progress().start_offset == 7
    assert story.kinds() == ["snapshot"]


def test_what_is_not_written_for_a_while_is_written_down_whole_and_the_rest_deleted(story: Story) -> None:
    """Once: then nothing happens any more."""
    story.write(FIRST)
    before = story.progress()
    story.cluster.clock.advance(INTERVAL)
    assert story.kinds() == ["snapshot", "update", "snapshot"]
    story.cluster.clock.advance(INTERVAL)
    assert story.kinds() == ["snapshot"]
    assert story.progress() == before._replace(snapshot_epoch=1)
    end = story.home.log.end_offset
    story.cluster.clock.advance(100 * INTERVAL)
    assert (story.home.log.start_offset, story.home.log.end_offset) == (end - 1, end)


def test_what_one_group_still_needs_is_kept_until_it_is_written_down_anew(story: Story) -> None:
    """Another that goes on does not wait for it for ever."""
    story.state.initialize("readers", story.topic.id, 1, 0, 7)
    story.cluster.clock.advance(INTERVAL / 2)
    for _ in range(10):
        story.write(FIRST)
    story.cluster.clock.advance(INTERVAL / 2)
    assert story.home.log.start_offset == 1
    story.cluster.clock.advance(INTERVAL)
    assert story.home.log.start_offset > 1
    assert story.state.summary("readers", story.topic.id, 1, -1).start_offset == 7


def test_where_all_is_deleted_one_record_is_left(story: Story) -> None:
    """The last tombstone, as on Kafka."""
    story.write(FIRST)
    story.state.delete(*story.where)
    story.cluster.clock.advance(INTERVAL)
    assert story.kinds() == ["tombstone"]


def test_nothing_is_deleted_or_written_while_nobody_leads(story: Story) -> None:
    """It is done when somebody does."""
    story.write(FIRST)
    end = story.home.log.end_offset
    nodes = [story.cluster.nodes[node] for node in (1, 2)]
    for node in nodes:
        story.cluster.node_stopped(node)
    story.cluster.clock.advance(2 * INTERVAL)
    assert (story.home.log.start_offset, story.home.log.end_offset) == (0, end)
    for node in nodes:
        story.cluster.node_started(node)
    story.cluster.clock.advance(2 * INTERVAL)
    assert story.kinds() == ["snapshot"]
