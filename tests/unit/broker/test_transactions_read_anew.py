"""Transactions whose log lost records, or went with its topic: their coordinator reads them anew."""

import pytest

from felice.broker.coordination import TRANSACTIONS_TOPIC, Kind
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.transactions.transaction import Identity, Partitions, Transaction
from felice.errors import ErrorCode
from felice.wire.records import read_header
from virtual_cluster import virtual_cluster

WRITER, TOPIC = "writer", "letters"
LETTERS = [(TOPIC, 0)]
OLD, NEW = 0, 2
TIMEOUT = 10.0


class Story:
    """Two nodes, one of which misses what is written of transactions after `lag`, and leads after `lose`."""

    def __init__(self) -> None:
        self.cluster = virtual_cluster(2, transaction_state_log_num_partitions=1, min_insync_replicas=1)
        self.topic = self.cluster.create_topic(self.cluster.plan_topic(TOPIC, 2))
        self.identity = Identity(-1, -1)

    @property
    def home(self) -> Partition:
        """The partition in which the transactions' records are."""
        return self.cluster.coordination.partition(Kind.TRANSACTION, WRITER)

    @property
    def transaction(self) -> Transaction | None:
        """The transaction."""
        return self.cluster.transactions.find(WRITER)

    @property
    def shown(self) -> tuple[str, int, set[tuple[str, int]]]:
        """The transaction's state, epoch and partitions."""
        assert self.transaction is not None
        return self.transaction.state.shown, self.transaction.epoch, set(self.transaction.partitions)

    def lag(self) -> None:
        """Have all that is written from now on on one node only."""
        follower = next(node for node in self.home.replicas if node != self.home.leader)
        self.cluster.shrink_isr(self.home, follower)

    def lose(self) -> None:
        """Lose that node, and have the other one lead with what it has."""
        node = self.cluster.nodes[self.home.leader]
        self.cluster.node_stopped(node)
        for partition in (self.home, *self.topic.partitions):
            if partition.leader == -1:
                self.cluster.elect(partition, unclean=True)

    def begin(self) -> None:
        """Take the transactional ID."""
        self.identity = self.cluster.transactions.initialise(WRITER, int(TIMEOUT * 1000), None)

    def add(self, partitions: Partitions = LETTERS, version: int = OLD) -> None:
        """Let partitions join."""
        self.cluster.transactions.add(WRITER, self.identity, partitions, version)

    def end(self, *, commit: bool = True, version: int = OLD) -> None:
        """Decide."""
        self.identity = self.cluster.transactions.end(WRITER, self.identity, commit, version)

    def markers(self, partition: int = 0) -> int:
        """Return how many markers a partition of the topic has."""
        return sum(read_header(batch).is_control for batch in self.topic.partitions[partition].log.batches())


@pytest.fixture
def story() -> Story:
    """A cluster of two nodes."""
    return Story()


def test_a_transactional_id_that_the_log_lost_is_not_known(story: Story) -> None:
    """Its producer has to take it anew, and gets another producer ID."""
    story.cluster.coordination.partitions(Kind.TRANSACTION)
    story.lag()
    story.begin()
    story.add()
    story.lose()
    assert story.transaction is None
    with pytest.raises(Refused) as refused:
        story.end()
    assert refused.value.code is ErrorCode.INVALID_PRODUCER_ID_MAPPING
    before = story.identity
    story.begin()
    assert (story.identity.epoch, story.identity.producer_id > before.producer_id) == (0, True)
    story.cluster.clock.advance(2 * TIMEOUT)
    assert story.shown == ("Empty", 0, set())


def test_all_that_a_record_tells_is_read(story: Story) -> None:
    """IDs, epochs, times, the timeout, the partitions and the version."""
    story.begin()
    story.cluster.clock.advance(1)
    story.add([(TOPIC, 0), (TOPIC, 1)], NEW)
    before = story.transaction
    assert before is not None
    story.lag()
    story.add([("others", 3)], NEW)
    story.lose()
    after = story.transaction
    assert after is not None
    assert after is not before
    assert after.partitions == {(TOPIC, 0), (TOPIC, 1)}
    told = set(Transaction.__slots__) - {"partitions", "last_epoch"}
    assert {name: getattr(after, name) for name in told} == {name: getattr(before, name) for name in told}


def test_an_open_transaction_whose_end_was_lost_ends_by_its_timeout(story: Story) -> None:
    """Which counts from when it began."""
    story.begin()
    story.add()
    story.lag()
    story.end()
    assert story.shown == ("CompleteCommit", 0, set())
    story.cluster.clock.advance(TIMEOUT - 1)
    story.lose()
    assert story.shown == ("Ongoing", 0, set(LETTERS))
    story.cluster.clock.advance(0.5)
    assert story.shown == ("Ongoing", 0, set(LETTERS))
    story.cluster.clock.advance(0.5)
    assert story.shown == ("CompleteAbort", 1, set())


def test_a_timeout_ends_with_the_transaction_that_was_lost(story: Story) -> None:
    """The one before, which the log has, is over."""
    story.begin()
    story.add()
    story.end()
    story.lag()
    story.add([(TOPIC, 1)])
    story.lose()
    story.cluster.clock.advance(2 * TIMEOUT)
    assert story.shown == ("CompleteCommit", 0, set())
    assert story.markers(1) == 0


def test_markers_are_written_again_where_it_was_lost_that_they_are(story: Story) -> None:
    """The decision stands in the log, and nothing behind it."""
    story.begin()
    story.add()
    letters = story.topic.partitions[0]
    leader = letters.leader
    letters.lead(-1)
    story.end()
    assert story.shown == ("PrepareCommit", 0, set(LETTERS))
    story.lag()
    letters.lead(leader, story.cluster.alive_ids)
    assert (story.shown, story.markers()) == (("CompleteCommit", 0, set()), 1)
    story.lose()
    assert (story.shown, story.markers()) == (("CompleteCommit", 0, set()), 2)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_marker_that_was_lost_with_its_leader_is_written_again(story: Story, version: int) -> None:
    """Another replica in sync did not have it yet; until one has, the transaction is not complete."""
    letters, nodes = story.topic.partitions[0], story.cluster.nodes
    story.begin()
    story.add(version=version)
    story.cluster.pause_replica(letters, next(node for node in nodes if node != letters.leader))
    story.end(version=version)
    assert (story.shown[0], story.markers()) == ("PrepareCommit", 1)
    story.cluster.node_stopped(nodes[letters.leader])
    assert (story.shown[0], story.markers(), letters.high_watermark) == ("CompleteCommit", 1, 1)


def test_a_transaction_is_complete_when_all_replicas_in_sync_have_its_markers(story: Story) -> None:
    """However that comes about."""
    letters, nodes = story.topic.partitions[0], story.cluster.nodes
    follower = next(node for node in nodes if node != letters.leader)
    for go_on in (story.cluster.grow_isr, story.cluster.shrink_isr):
        story.begin()
        story.add()
        story.cluster.pause_replica(letters, follower)
        story.end()
        assert story.shown[0] == "PrepareCommit"
        go_on(letters, follower)
        assert story.shown[0] == "CompleteCommit"
    assert story.markers() == 2


def test_a_decision_that_was_lost_is_carried_out_no_further(story: Story) -> None:
    """Where the markers waited for a leader, the transaction is open again when that comes."""
    story.begin()
    story.add()
    letters = story.topic.partitions[0]
    story.lag()
    letters.lead(-1)
    story.end()
    story.cluster.node_stopped(story.cluster.nodes[story.home.leader])
    story.cluster.elect(story.home, unclean=True)
    story.cluster.elect(letters, unclean=True)
    assert (story.shown, story.markers()) == (("Ongoing", 0, set(LETTERS)), 0)


def test_a_transactional_id_that_was_forgotten_in_the_part_that_is_lost_is_back(story: Story) -> None:
    """Until its time is over once more."""
    story.begin()
    story.lag()
    story.cluster.clock.advance(7 * 86400 + 1)
    assert story.transaction is None
    story.lose()
    assert story.shown == ("Empty", 0, set())
    story.cluster.clock.advance(1)
    assert story.transaction is None


def test_a_loss_is_noticed_also_where_somebody_writes_before(story: Story) -> None:
    """As a transaction does that waited for the new leader, and hears of it first."""
    cluster = story.cluster

    def write_at_once(index: int) -> None:
        if story.home.leader != -1:
            cluster.transactions.initialise("other", 1000, None)

    cluster.coordination.when_moved(Kind.TRANSACTION, write_at_once)
    story.begin()
    story.lag()
    story.add()
    story.lose()
    assert story.shown == ("Empty", 0, set())
    assert cluster.transactions.find("other") is not None


def test_transactions_go_with_the_topic_in_which_they_are_kept(story: Story) -> None:
    """Their timers too."""
    story.begin()
    story.add()
    story.cluster.delete_topic(story.cluster.topic(TRANSACTIONS_TOPIC))
    assert story.transaction is None
    story.begin()
    story.cluster.clock.advance(2 * TIMEOUT)
    assert story.shown == ("Empty", 0, set())
