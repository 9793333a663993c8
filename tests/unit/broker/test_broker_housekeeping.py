"""When logs are compacted and old segments deleted: by the broker's clock, and only where there is something to do."""

import pytest

from asking import batch
from felice.broker.admission import admit
from felice.broker.cluster import Cluster
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.transactions.markers import mark
from felice.broker.transactions.transaction import Identity
from felice.errors import ErrorCode
from felice.wire.records import read_records
from virtual_cluster import virtual_cluster

CHECK = 300.0
"""Seconds between two looks for what is too old."""
BACKOFF = 15.0
"""Seconds between two rounds of compaction."""


def created(cluster: Cluster, **configs: object) -> Partition:
    """Create a topic of one partition; its configurations have underscores for dots."""
    texts = {name.replace("_", "."): str(value) for name, value in configs.items()}
    return cluster.create_topic(cluster.plan_topic("letters", 1, configs=texts)).partitions[0]


def write(
    cluster: Cluster,
    partition: Partition,
    key: bytes,
    value: bytes | None = b"v",
    *,
    pause: float = 0,
    writer: Identity | None = None,
) -> int:
    """Let time pass, then write a record stamped with the broker's time; with a `writer` it begins a transaction."""
    cluster.clock.advance(pause)
    now = cluster.clock.time_ms()
    assert partition.topic is not None
    whose = {} if writer is None else {"producer": (*writer, 0), "attributes": 0x10}
    made = batch(value, keys=[key], time=now, **whose)
    return admit(
        made, partition, partition.topic.settings, version=9, now=now, producers_since=0, enlist=lambda *_: None
    )[0]


def offsets(partition: Partition) -> list[int]:
    """Return the offsets of the records that are there."""
    return [record.offset for piece in partition.log.batches() for record in read_records(piece)]


def waits(cluster: Cluster) -> list[float]:
    """Return in how many seconds timers ring."""
    now = cluster.clock.monotonic()
    return sorted(timer.due - now for _, _, timer in cluster.clock._timers if timer.function is not None)


# --- segments ---


def test_a_segment_ends_where_the_next_batch_would_make_it_too_large():
    cluster = virtual_cluster()
    partition = created(cluster, segment_bytes=1 << 20)
    for _ in range(5):
        write(cluster, partition, b"k", b"x" * (400 << 10))
    assert [segment.base_offset for segment in partition.log.segments] == [0, 2, 4]


def test_a_segment_ends_where_a_batch_is_so_much_younger_than_its_first():
    cluster = virtual_cluster()
    partition = created(cluster, segment_ms=10_000)
    for pause in (0, 5, 5, 0.001, 10, 0):
        write(cluster, partition, b"k", pause=pause)
    assert [segment.base_offset for segment in partition.log.segments] == [0, 3]
    write(cluster, partition, b"k", pause=11)
    assert [segment.base_offset for segment in partition.log.segments] == [0, 3, 6]


def test_a_segment_of_a_compacted_topic_ends_in_time_for_its_compaction():
    cluster = virtual_cluster()
    partition = created(cluster, cleanup_policy="compact", max_compaction_lag_ms=2000)
    for pause in (0, 2, 1):
        write(cluster, partition, b"k", pause=pause)
    assert [segment.base_offset for segment in partition.log.segments] == [0, 2]


# --- deletion ---


def test_records_go_when_they_are_too_old_the_active_segment_too():
    cluster = virtual_cluster()
    partition = created(cluster, retention_ms=3_600_000)
    write(cluster, partition, b"k")
    cluster.clock.advance(3600)
    assert offsets(partition) == [0]
    cluster.clock.advance(1)
    assert (partition.log.start_offset, partition.log.end_offset, partition.log.size) == (1, 1, 0)
    assert write(cluster, partition, b"k") == 1


def test_what_is_too_old_already_goes_at_the_next_look_and_no_sooner():
    cluster = virtual_cluster()
    partition = created(cluster, retention_ms=1000)
    write(cluster, partition, b"k")
    cluster.clock.advance(CHECK - 1)
    assert offsets(partition) == [0]
    cluster.clock.advance(1)
    assert offsets(partition) == []


def test_a_segment_lives_as_long_as_its_latest_record():
    cluster = virtual_cluster()
    partition = created(cluster, retention_ms=1_000_000, segment_ms=600_000)
    for pause in (0, 500, 200):
        write(cluster, partition, b"k", pause=pause)
    cluster.clock.advance(799)
    assert offsets(partition) == [0, 1, 2]
    cluster.clock.advance(2)
    assert offsets(partition) == [2]


def test_the_oldest_segments_go_that_are_too_much():
    cluster = virtual_cluster()
    partition = created(cluster, segment_ms=1000, retention_bytes=200)
    for _ in range(6):
        write(cluster, partition, b"k", b"x" * 20, pause=2)
    cluster.clock.advance(CHECK)
    assert partition.log.size >= 200 > partition.log.size - partition.log.segments[0].size
    assert partition.log.start_offset == offsets(partition)[0] > 0


def test_nothing_goes_that_not_all_replicas_in_sync_have():
    cluster = virtual_cluster(2)
    partition = created(cluster, retention_ms=1000)
    cluster.pause_replica(partition, 2)
    write(cluster, partition, b"k")
    assert partition.high_watermark == 0
    cluster.clock.advance(5)
    assert offsets(partition) == [0]
    cluster.grow_isr(partition, 2)
    cluster.clock.advance(CHECK)
    assert offsets(partition) == []


def test_a_replica_that_stopped_keeps_what_is_deleted_meanwhile():
    """When it is elected, uncleanly, its log begins and ends where it did."""
    cluster = virtual_cluster(2)
    partition = created(cluster, unclean_leader_election_enable=True)
    write(cluster, partition, b"k")
    cluster.shrink_isr(partition, 2)
    for _ in range(3):
        write(cluster, partition, b"k")
    partition.delete_before(2)
    cluster.node_stopped(cluster.nodes[1])
    assert (partition.leader, offsets(partition), partition.log.start_offset) == (2, [0], 0)


def test_leader_epochs_begin_where_the_log_does():
    cluster = virtual_cluster(2)
    partition = created(cluster, retention_ms=1000)
    write(cluster, partition, b"k")
    cluster.move_leader(partition, 2)
    write(cluster, partition, b"k")
    cluster.clock.advance(CHECK)
    assert partition.epochs.end_of(0, 2) == (0, 2)


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_another_retention_counts_at_once(policy: str):
    cluster = virtual_cluster()
    partition = created(cluster, cleanup_policy=policy)
    write(cluster, partition, b"k")
    cluster.clock.advance(86_400)
    assert offsets(partition) == [0]
    cluster.configs.of(2).keep("letters", {"cleanup.policy": policy, "retention.ms": "1000"})
    cluster.clock.advance(CHECK if policy == "delete" else BACKOFF)
    assert offsets(partition) == []


# --- compaction ---


def test_a_log_is_compacted_when_enough_of_it_is_dirty():
    """Half of it must be; and the active segment never counts."""
    cluster = virtual_cluster()
    partition = created(cluster, cleanup_policy="compact", segment_ms=1000)
    for _ in range(4):
        write(cluster, partition, b"k", pause=2)
    cluster.clock.advance(BACKOFF)
    assert offsets(partition) == [2, 3]
    for number in range(6):
        write(cluster, partition, b"%d" % number, pause=2)
    cluster.clock.advance(BACKOFF)
    clean = partition.log.clean_end
    write(cluster, partition, b"k", pause=2)
    write(cluster, partition, b"k", pause=2)
    cluster.clock.advance(BACKOFF)
    assert partition.log.clean_end == clean


def test_what_has_waited_too_long_is_compacted_however_little_it_is():
    cluster = virtual_cluster()
    partition = created(
        cluster, cleanup_policy="compact", segment_ms=1000, min_cleanable_dirty_ratio=1, max_compaction_lag_ms=100_000
    )
    write(cluster, partition, b"k")
    write(cluster, partition, b"k", pause=2)
    cluster.clock.advance(97)
    write(cluster, partition, b"k")
    assert offsets(partition) == [0, 1, 2]
    cluster.clock.advance(BACKOFF)
    assert offsets(partition) == [1, 2]


def test_what_is_too_young_is_left_and_looked_at_when_it_is_not():
    cluster = virtual_cluster()
    partition = created(
        cluster, cleanup_policy="compact", segment_ms=1000, min_cleanable_dirty_ratio=0, min_compaction_lag_ms=1_000_000
    )
    for _ in range(3):
        write(cluster, partition, b"k", pause=2)
    cluster.clock.advance(900)
    assert offsets(partition) == [0, 1, 2]
    cluster.clock.advance(100 + 2 * BACKOFF)
    assert offsets(partition) == [1, 2]


def test_a_replica_that_stopped_keeps_what_compaction_takes_away():
    cluster = virtual_cluster(2)
    partition = created(cluster, cleanup_policy="compact", segment_ms=1000, unclean_leader_election_enable=True)
    write(cluster, partition, b"k")
    write(cluster, partition, b"k", pause=2)
    cluster.shrink_isr(partition, 2)
    for _ in range(2):
        write(cluster, partition, b"k", pause=2)
    cluster.clock.advance(BACKOFF)
    assert offsets(partition) == [2, 3]
    cluster.node_stopped(cluster.nodes[1])
    assert (partition.leader, offsets(partition)) == (2, [0, 1])


def test_a_replica_that_lacks_the_end_of_a_transaction_keeps_what_that_replaced():
    """There the transaction is not decided, and its records may yet be aborted."""
    cluster, writer = virtual_cluster(2), Identity(7, 0)
    partition = created(cluster, cleanup_policy="compact", segment_ms=1000, unclean_leader_election_enable=True)
    write(cluster, partition, b"k")
    write(cluster, partition, b"k", pause=2, writer=writer)
    write(cluster, partition, b"other", pause=2)
    cluster.shrink_isr(partition, 2)
    mark(cluster, "letters", partition, writer, committed=True, coordinator_epoch=0, version=1)
    cluster.clock.advance(BACKOFF)
    assert offsets(partition) == [1, 2, 3]
    cluster.node_stopped(cluster.nodes[1])
    assert (offsets(partition), partition.last_stable_offset) == ([0, 1, 2], 1)


def test_the_log_stays_the_same_one():
    """Who remembers it, to notice that it was cut, sees no difference."""
    cluster = virtual_cluster()
    partition = created(cluster, cleanup_policy="compact", segment_ms=1000)
    log = partition.log
    for _ in range(3):
        write(cluster, partition, b"k", pause=2)
    cluster.clock.advance(BACKOFF)
    assert partition.log is log
    assert offsets(partition) == [1, 2]


def test_where_the_cleaner_is_switched_off_nothing_is_compacted():
    cluster = virtual_cluster(log_cleaner_enable=False)
    partition = created(cluster, cleanup_policy="compact", segment_ms=1000)
    for _ in range(3):
        write(cluster, partition, b"k", pause=2)
    cluster.clock.advance(BACKOFF)
    assert offsets(partition) == [0, 1, 2]
    assert waits(cluster) == []


def test_another_policy_counts_at_once():
    cluster = virtual_cluster()
    partition = created(cluster, segment_ms=1000)
    for _ in range(3):
        write(cluster, partition, b"k", pause=2)
    cluster.configs.of(2).keep("letters", {"cleanup.policy": "compact"})
    cluster.clock.advance(BACKOFF)
    assert offsets(partition) == [1, 2]


# --- at a test's wish ---


def test_a_topic_can_be_compacted_at_once_the_active_segments_too():
    cluster = virtual_cluster()
    partition = created(cluster, cleanup_policy="compact", delete_retention_ms=1000)
    for key, value in ((b"a", b"1"), (b"a", b"2"), (b"b", b"3"), (b"b", None)):
        write(cluster, partition, key, value)
    topic = cluster.topic("letters")
    for _ in range(2):
        cluster.housekeeping.compact(topic)
        assert offsets(partition) == [1, 3]
    write(cluster, partition, b"a", b"4", pause=2)
    cluster.housekeeping.compact(topic)
    assert (offsets(partition), partition.log.end_offset) == ([4], 5)


def test_a_topic_with_another_policy_is_not_compacted():
    cluster = virtual_cluster()
    write(cluster, created(cluster), b"a")
    with pytest.raises(Refused) as refused:
        cluster.housekeeping.compact(cluster.topic("letters"))
    assert refused.value.code is ErrorCode.POLICY_VIOLATION


# --- rest ---


def test_without_records_no_timer_is_set():
    cluster = virtual_cluster()
    created(cluster, cleanup_policy="compact,delete")
    assert waits(cluster) == []


def test_a_quiet_broker_waits_for_the_end_of_the_first_retention_only():
    cluster = virtual_cluster()
    partition = created(cluster, retention_ms=86_400_000)
    for _ in range(3):
        write(cluster, partition, b"k")
    assert waits(cluster) == [CHECK]
    cluster.clock.advance(CHECK)
    assert waits(cluster) == [pytest.approx(86_400 - CHECK, abs=0.1)]


@pytest.mark.parametrize("configs", [{"retention_ms": -1}, {"retention_ms": -1, "retention_bytes": 1 << 30}])
def test_where_records_are_kept_for_ever_there_is_one_look_and_no_more(configs: dict[str, object]):
    cluster = virtual_cluster()
    partition = created(cluster, **configs)
    write(cluster, partition, b"k")
    cluster.clock.advance(CHECK)
    assert waits(cluster) == []
    write(cluster, partition, b"k")
    assert waits(cluster) == [CHECK]


def test_a_clean_log_waits_for_nothing():
    cluster = virtual_cluster()
    partition = created(cluster, cleanup_policy="compact", segment_ms=1000)
    for _ in range(3):
        write(cluster, partition, b"k", pause=2)
    cluster.clock.advance(BACKOFF)
    assert waits(cluster) == []


def test_what_fails_with_one_partition_leaves_the_others_their_turn(monkeypatch: pytest.MonkeyPatch):
    cluster = virtual_cluster()
    topic = cluster.create_topic(cluster.plan_topic("letters", 3, configs={"retention.ms": "1000"}))
    for partition in topic.partitions:
        write(cluster, partition, b"k")
    monkeypatch.setattr(topic.partitions[0], "topic", None)
    with pytest.raises(AssertionError):
        cluster.clock.advance(CHECK)
    cluster.clock.advance(CHECK)
    assert [offsets(partition) for partition in topic.partitions] == [[0], [], []]


def test_a_topic_that_is_deleted_is_forgotten():
    cluster = virtual_cluster()
    partition = created(cluster)
    write(cluster, partition, b"k")
    cluster.delete_topic(cluster.topic("letters"))
    cluster.clock.advance(CHECK)
    assert waits(cluster) == []
