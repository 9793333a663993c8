"""A share group's state against a model that knows each record by itself."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from felice.broker.coordination import Kind
from felice.broker.shares.progress import Known
from felice.broker.shares.reading import read_changes
from felice.broker.shares.share_partition import SharePartition
from felice.broker.shares.state_batch import KEPT, StateBatch, combined
from felice.broker.shares.upkeep import INTERVAL
from virtual_cluster import virtual_cluster

LAST = 14
FENCES = {"leader_epoch", "state_epoch", "updates"}

batches = st.builds(
    lambda first, length, count, state: StateBatch(first, min(first + length, LAST), count, state),
    st.integers(0, LAST),
    st.integers(0, LAST),
    st.integers(1, 3),
    st.sampled_from([0, 2, 4]),
)
starts = st.integers(KEPT, LAST + 1)
writes = st.tuples(starts, st.lists(batches, max_size=5))


def each(found):
    """Return what each record's delivery and state is."""
    return {offset: batch.standing for batch in found for offset in range(batch.first_offset, batch.last_offset + 1)}


def laid_over(known, found):
    """Lay batches over what is known: the later delivery counts, and of one delivery the later state."""
    for batch in found:
        for offset in range(batch.first_offset, batch.last_offset + 1):
            known[offset] = max(known.get(offset, batch.standing), batch.standing)


@given(st.lists(batches, max_size=8), st.lists(batches, max_size=8), starts)
def test_combined_batches_tell_of_each_record_the_furthest_it_came(known, news, start):
    """They are in order, do not overlap, and say nothing of what lies before the start."""
    found = combined(known, news, start)
    expected = {}
    laid_over(expected, [*known, *news])
    assert each(found) == {offset: standing for offset, standing in expected.items() if offset >= start}
    if len(known) + len(news) > 1:
        assert all(left.last_offset < right.first_offset for left, right in itertools.pairwise(found))


@given(st.lists(batches, max_size=8), starts)
def test_combining_once_more_changes_no_record(news, start):
    """Nor does it leave more batches."""
    once = combined((), news, start)
    twice = combined(once, (), start)
    assert each(twice) == each(once)
    assert len(twice) <= len(once)


@given(st.lists(st.one_of(writes, st.sampled_from(["begin", "lead", "delete", "wait"])), max_size=30))
def test_the_log_tells_what_was_written(steps):
    """A record is what the model says, and all of it is found in the log again, whatever was deleted from that.

    What fences those who are late is found where nothing was deleted.
    """
    cluster = virtual_cluster(1, share_coordinator_snapshot_update_records_per_snapshot=3)
    topic = cluster.create_topic(cluster.plan_topic("letters", 1))
    where = SharePartition("group", topic.id, 0)
    state = cluster.share_state
    state.initialize(*where, 0, 0)
    epoch, start, expected = 0, 0, {}
    for step in steps:
        if step == "begin":
            epoch, start, expected = epoch + 1, 5, {}
            state.initialize(*where, epoch, start)
        elif step == "lead":
            state.read(*where, state._known[where].leader_epoch + 1)
        elif step == "wait":
            cluster.clock.advance(INTERVAL)
        elif step == "delete":
            state.delete(*where)
            state.initialize(*where, 0, 0)
            epoch, start, expected = 0, 0, {}
        else:
            start = start if step[0] == KEPT else step[0]
            # What a write moves the start over is gone, also from the write itself.
            laid_over(expected, step[1])
            expected = {offset: standing for offset, standing in expected.items() if offset >= start}
            state.write(*where, epoch, -1, *step[:1], 0, step[1])
        progress = state.summary(*where, -1)
        assert (progress.state_epoch, progress.start_offset, each(progress.batches)) == (epoch, start, expected)
    again = Known()
    for _, change, offset in read_changes(cluster.coordination.partition(Kind.SHARE, where.coordinator_key).log):
        if change is None:
            again = Known()
        else:
            again.take(change, offset, 3)
    kept = state._known[where]
    told = set(Known.__slots__) - (FENCES if "wait" in steps else set())
    assert {name: getattr(again, name) for name in told} == {name: getattr(kept, name) for name in told}
