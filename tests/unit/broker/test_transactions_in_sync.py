"""Coordinators of transactions write with acks=all: while too few replicas are in sync, nothing is changed."""

from collections.abc import Callable
from typing import Any

import pytest

from felice.broker.coordination import Kind
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.transactions.transaction import Identity
from felice.errors import ErrorCode
from felice.wire.records import read_header
from virtual_cluster import virtual_cluster

WRITER, TOPIC = "writer", "letters"
TIMEOUT = 10.0


class Story:
    """Two nodes; all that is written needs both of them."""

    def __init__(self) -> None:
        self.cluster = virtual_cluster(
            2,
            min_insync_replicas=2,
            transaction_state_log_num_partitions=1,
            transaction_state_log_min_isr=3,
        )
        self.topic = self.cluster.create_topic(self.cluster.plan_topic(TOPIC, 2))
        self.identity = Identity(-1, -1)

    @property
    def home(self) -> Partition:
        """The partition in which transactions are kept."""
        return self.cluster.coordination.partition(Kind.TRANSACTION, WRITER)

    def shrink(self, *partitions: Partition) -> Callable[[], None]:
        """Let followers lag, and be out of sync; return what lets them catch up."""
        lagging = [(one, next(node for node in one.replicas if node != one.leader)) for one in partitions]
        for partition, node in lagging:
            self.cluster.shrink_isr(partition, node)

        def grow() -> None:
            for partition, node in lagging:
                self.cluster.grow_isr(partition, node)

        return grow

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


@pytest.fixture
def story() -> Story:
    """A cluster of two nodes."""
    return Story()


def refused(function: Callable[..., object], *args: Any, **kwargs: Any) -> ErrorCode:
    """Return the code with which something is refused."""
    with pytest.raises(Refused) as caught:
        function(*args, **kwargs)
    return caught.value.code


UNAVAILABLE = ErrorCode.COORDINATOR_NOT_AVAILABLE


def test_a_transaction_that_cannot_be_written_is_as_it_was(story: Story) -> None:
    """Whatever is asked of it."""
    home = story.home
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
    grow = story.shrink(story.home)
    story.cluster.clock.advance(TIMEOUT + 1)
    assert story.transaction == ("Ongoing", 0, 1)
    grow()
    story.cluster.clock.advance(10)
    assert story.transaction == ("CompleteAbort", 1, 0)


def test_an_unused_transactional_id_is_forgotten_when_that_can_be_written(story: Story) -> None:
    """It is known until then."""
    story.begin()
    grow = story.shrink(story.home)
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
    home = story.home
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
    letters, home = story.topic.partitions[0], story.home
    grow_letters = story.shrink(letters)
    story.commit_transaction()
    grow_home = story.shrink(home)
    grow_letters()
    assert (story.transaction[0], story.markers(0)) == ("PrepareCommit", 0)
    grow_home()
    assert (story.transaction[0], story.markers(0)) == ("CompleteCommit", 1)


@pytest.mark.parametrize("lost", [True, False])
def test_a_topic_that_is_deleted_is_waited_for_no_longer(story: Story, lost: bool) -> None:
    """Whether its partition has no leader or too few replicas in sync: its marker need not be written any more."""
    story.begin()
    story.add()
    letters = story.topic.partitions[0]
    if lost:
        letters.lead(-1)
    else:
        story.shrink(letters)
    story.commit_transaction()
    assert story.transaction[0] == "PrepareCommit"
    story.cluster.delete_topic(story.topic)
    assert story.transaction == ("CompleteCommit", 0, 0)


def test_markers_are_written_as_soon_as_fewer_replicas_in_sync_are_enough(story: Story) -> None:
    """By the topic's configuration; what was appended before can be read then, too."""
    story.begin()
    story.add()
    letters = story.topic.partitions[0]
    story.shrink(letters)
    story.commit_transaction()
    assert story.transaction[0] == "PrepareCommit"
    story.cluster.configs.of(2).keep(TOPIC, {"min.insync.replicas": "1"})
    assert (story.transaction, story.markers(0)) == (("CompleteCommit", 0, 0), 1)
    assert letters.high_watermark == letters.log.end_offset
