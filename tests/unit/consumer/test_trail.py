"""What a reader knows of the leader epochs it has read, held against a leader's log (KIP-320)."""

from random import Random

from felice.consumer.trail import Mark, Trail
from wire_batches import batch

Log = list[int]
"""The leader epochs of a log's records."""


def wire(log: Log, start: int = 0) -> bytes:
    """Return batches of one record each."""
    return b"".join(batch(offset, [b"x"], leader_epoch=log[offset]) for offset in range(start, len(log)))


def trail_of(log: Log, start: int = 0) -> Trail:
    """Return what is known to who has read all of a log from an offset on."""
    trail = Trail()
    trail.read(wire(log, start), start, log[-1])
    return trail


def end_of(log: Log, epoch: int) -> Mark:
    """Answer as a leader does that knows a newer epoch than all that were asked for."""
    known = [each for each in log if each <= epoch]
    if not known:
        return Mark(epoch, 0)
    return Mark(max(known), sum(each <= max(known) for each in log))


def agreement(trail: Trail, offset: int, leader: Log) -> Mark:
    """Ask until it is certain how far a leader's log is the one that was read."""
    mark, certain, asked = Mark(trail.latest, offset), False, 0
    while not certain:
        mark, certain = trail.compare(mark, end_of(leader, mark.epoch))
        asked += 1
        assert asked <= 1 + len(set(leader))
    return mark


def test_the_epochs_of_fetched_batches_are_known_with_their_offsets() -> None:
    trail = trail_of([1, 1, 1, 4, 4, 7])
    assert trail.latest == 7
    for offset, epoch in ((6, 7), (5, 4), (4, 4), (3, 1), (1, 1), (0, -1)):
        trail.cut(offset)
        assert trail.latest == epoch, offset


def test_an_epoch_that_goes_on_in_the_next_answer_is_one() -> None:
    trail = trail_of([1, 1])
    trail.read(wire([1, 1, 1, 2], 2), 2, 2)
    trail.read(wire([1, 1, 1, 2, 2], 4), 4, 2)
    assert trail.compare(Mark(2, 5), Mark(1, 9)) == (Mark(1, 3), True)


def test_batches_that_begin_below_the_offset_count_from_it() -> None:
    """Brokers answer with whole batches."""
    trail = Trail()
    trail.read(batch(0, [b"x"] * 10, leader_epoch=3) + batch(10, [b"x"], leader_epoch=4), 5, 4)
    trail.cut(6)
    assert trail.latest == 3
    trail.cut(5)
    assert trail.latest == -1


def test_where_epochs_are_not_known_nothing_is() -> None:
    """Batches without an epoch, a seek, and epochs that go back, which no log has."""
    trail = trail_of([2, 2])
    trail.read(batch(2, [b"x"], leader_epoch=-1), 2, -1)
    assert trail.latest == -1
    trail = trail_of([2, 2])
    trail.clear()
    assert trail.latest == -1
    trail = trail_of([2, 2])
    trail.read(batch(2, [b"x"], leader_epoch=1), 2, 1)
    assert trail.latest == 1
    trail.cut(2)
    assert trail.latest == -1


def test_nonsense_behind_a_good_batch_is_left_to_the_reader() -> None:
    trail = Trail()
    trail.read(batch(0, [b"x"], leader_epoch=1) + bytes(100), 0, 1)
    trail.read(batch(1, [b"x"], leader_epoch=1) + batch(2, [b"x"], leader_epoch=2) + bytes(100), 1, 2)
    assert trail.latest == 2


def test_only_so_many_epochs_are_remembered() -> None:
    """A log that was cut off further back is read again from where the memory begins."""
    log = list(range(100))
    mark = agreement(trail_of(log), 100, log[:10] + [200] * 100)
    assert 10 <= mark.offset <= 100 - 32


def test_one_answer_is_enough_where_nothing_was_cut_off() -> None:
    trail = trail_of([1, 1, 2])
    assert trail.compare(Mark(2, 3), Mark(2, 3)) == (Mark(2, 3), True)
    assert trail.compare(Mark(2, 3), Mark(2, 7)) == (Mark(2, 3), True)


def test_8_how_far_back_a_log_was_cut_off_is_found_exactly(seed: int) -> None:
    """Row 8: whatever was elected in whatever order, reading goes on at the first offset that is another record's.

    Two logs that share a beginning; after it each has epochs of its own, for an epoch has one leader. Who began to read
    after the logs parted learns that nothing of it is left.
    """
    random = Random(seed)
    for _ in range(2000):
        shared = sorted(random.choices(range(4), k=random.randrange(6)))
        epochs = random.sample(range(max(shared, default=0) + 1, 12), 6)
        ours, theirs = epochs[:3], epochs[3:]
        # One of both logs may go on in the last epoch that they share.
        random.choice((ours, theirs)).append(max(shared, default=0))
        read = shared + sorted(random.choices(ours, k=random.randrange(5)))
        leader = shared + sorted(random.choices(theirs, k=random.randrange(5)))
        if not read:
            continue
        common = next((n for n, pair in enumerate(zip(read, leader, strict=False)) if pair[0] != pair[1]), None)
        common = min(len(read), len(leader)) if common is None else common
        start = random.randrange(len(read))
        found = agreement(trail_of(read, start), len(read), leader).offset
        if start <= common:
            assert found == common, (read, leader, start)
        else:
            assert common <= found <= start, (read, leader, start)


def test_a_place_that_a_leader_told_is_held_against_the_next_one() -> None:
    """Nothing was read yet; only what is below the place, and is not the next leader's, was lost."""
    trail = Trail()
    trail.begin(Mark(3, 10))
    assert (trail.latest, trail.latest_before(10)) == (3, -1)
    assert trail.compare(Mark(3, 10), Mark(3, 12)) == (Mark(3, 10), True)
    assert trail.compare(Mark(3, 10), Mark(2, 10)) == (Mark(2, 10), True)
    assert trail.compare(Mark(3, 10), Mark(2, 6)) == (Mark(2, 6), True)
    trail.read(batch(10, [b"x"], leader_epoch=4), 10, 4)
    assert (trail.latest, trail.latest_before(11)) == (4, 4)
    trail.begin(Mark(-1, 10))
    assert trail.latest == -1


def test_records_may_be_older_than_the_epoch_that_was_told_with_the_end() -> None:
    """A leader tells its own epoch with the end; what lies behind a last stable offset may have been written before."""
    trail = Trail()
    trail.begin(Mark(5, 10))
    trail.read(batch(10, [b"x"], leader_epoch=4), 10, 4)
    assert trail.latest == 4
    assert trail.compare(Mark(4, 11), Mark(4, 11)) == (Mark(4, 11), True)
