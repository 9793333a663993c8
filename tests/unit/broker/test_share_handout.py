"""Records of a partition as its leader hands them out to a share group."""

import pytest

from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.broker.shares.leaders import _seconds
from felice.broker.shares.log_reader import bytes_from, read_from
from felice.errors import ErrorCode
from share_partition import SharedPartition

GAP, ACCEPT, RELEASE, REJECT, RENEW = range(5)
AVAILABLE, ACKNOWLEDGED, ARCHIVED = 0, 2, 4


def made(*batches, **settings):
    """Return a partition with batches of so many records."""
    shared = SharedPartition(**settings)
    for count in batches:
        shared.append(count)
    return shared


def refusal(shared, *said, **who):
    """Return the code with which an acknowledgement is refused."""
    with pytest.raises(Refused) as caught:
        shared.say(*said, **who)
    return caught.value.code


def test_a_lock_ends_after_its_time():
    """What a member had for too long is another's, once more delivered, and that is written down."""
    shared = made(4)
    assert shared.acquire() == [(0, 3, 1)]
    shared.pass_time(29.9)
    assert shared.acquire("two") == []
    shared.pass_time(0.2)
    assert shared.written == [(0, 3, 1, AVAILABLE)]
    assert shared.acquire("two") == [(0, 3, 2)]
    assert refusal(shared, 0, 3, ACCEPT) == ErrorCode.INVALID_RECORD_STATE


def test_locks_end_each_at_its_own_time():
    """A lock does not end when another one does."""
    shared = made(2)
    shared.acquire()
    shared.pass_time(10)
    shared.append(2)
    assert shared.acquire() == [(2, 3, 1)]
    shared.pass_time(20)
    assert shared.written == [(0, 1, 1, AVAILABLE)]
    shared.pass_time(10)
    assert shared.written == [(0, 3, 1, AVAILABLE)]


def test_a_group_has_its_own_time_for_locks():
    """It counts for what is acquired from then on."""
    shared = made(2, record_lock_duration_ms=15_000)
    shared.acquire()
    shared.configure(record_lock_duration_ms=60_000)
    shared.pass_time(15)
    assert shared.acquire() == [(0, 1, 2)]
    shared.pass_time(59)
    assert shared.acquire() == []


def test_a_renewed_lock_lasts_longer():
    """Also where it is that of one record of a batch only."""
    shared = made(3)
    shared.acquire()
    shared.pass_time(20)
    shared.say(1, 1, RENEW)
    shared.pass_time(10)
    assert shared.acquire("two") == [(0, 0, 2), (2, 2, 2)]
    shared.pass_time(20)
    assert shared.acquire("two") == [(1, 1, 2)]


def test_nothing_is_waited_for_when_everything_is_said():
    """Without records in somebody's hands there is no timer but the one that finds that out."""
    shared = made(3)
    shared.acquire()
    shared.say(0, 2, ACCEPT)
    shared.pass_time(30)
    assert shared.handout._alarm is None


def test_a_record_is_not_delivered_more_often_than_it_may_be():
    """The last delivery that comes to nothing archives it, whoever takes it back."""
    shared = made(1, delivery_count_limit=2)
    shared.acquire()
    shared.pass_time(30)
    shared.acquire()
    shared.pass_time(30)
    assert shared.written == [(0, 0, 2, ARCHIVED)]
    assert shared.acquire() == []
    assert shared.handout.window.start == 1


def test_an_acknowledgement_that_cannot_be_kept_has_not_happened():
    """A group that has begun anew fences the leader: the member still has its records, and nothing is written."""
    shared = made(4)
    handout = shared.handout
    shared.acquire()
    shared.cluster.share_state.initialize(*shared.key, 2, 0)
    assert refusal(shared, 0, 3, [ACCEPT, RELEASE, REJECT, GAP]) == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert {handout.window.batches[0].at(offset).owner for offset in range(4)} == {"one"}
    assert handout.window.complete == 0
    assert shared.written == []


def test_what_cannot_be_written_down_is_said_again_later():
    """While nobody coordinates, the member keeps its records, but only until its locks are over."""
    shared = made(4)
    shared.acquire()
    [home] = shared.cluster.coordination.partitions(Kind.SHARE)
    home.lead(-1)
    assert refusal(shared, 0, 3, ACCEPT) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert refusal(shared, 0, 3, RELEASE) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    home.lead(1, {1})
    shared.say(0, 1, ACCEPT)
    assert shared.written == [(0, 1, 1, ACKNOWLEDGED)]
    home.lead(-1)
    shared.pass_time(30)
    assert shared.acquire("two") == [(2, 3, 2)]


def test_one_wrong_offset_undoes_all_of_an_acknowledgement():
    """What was right before it is the member's again, as if nothing had been said."""
    shared = made(2, 2)
    shared.acquire(most=2)
    shared.acquire("two")
    assert refusal(shared, 0, 3, ACCEPT) == ErrorCode.INVALID_RECORD_STATE
    assert shared.written == []
    shared.say(0, 1, RELEASE)
    assert shared.acquire("two") == [(0, 1, 2)]


def test_who_waits_is_told_of_what_comes_back():
    """An acknowledgement, a member that leaves, and a lock's end all wake those who wait for records."""
    shared = made(6)
    told = []
    shared.handout.watchers.add(lambda: told.append(len(told)))
    shared.acquire()
    shared.say(0, 0, RELEASE)
    assert told == [0]
    shared.handout.release("nobody")
    assert told == [0, 1]
    shared.pass_time(30)
    assert told == [0, 1, 2]


def test_what_was_in_somebodys_hands_when_the_leader_changed_is_delivered_again():
    """Nothing was written of it, so it counts as not delivered yet; around it everything is as it was."""
    shared = made(3, 3, 3, 3)
    shared.acquire()
    shared.say(4, 4, ACCEPT)
    shared.say(7, 9, RELEASE)
    shared.read_anew()
    assert shared.acquire(most=1) == [(0, 2, 1)]
    assert shared.acquire() == [(3, 3, 1), (5, 6, 1), (7, 9, 2), (10, 11, 1)]


def test_a_hole_is_filled_as_far_as_there_is_room():
    """The rest of it stays to be delivered."""
    shared = made(3, 3, 3, 3)
    shared.acquire()
    shared.say(10, 10, REJECT)
    shared.read_anew()
    assert shared.acquire(most=2, strict=True) == [(0, 1, 1)]
    assert shared.acquire(most=4) == [(2, 2, 1), (3, 5, 1)]
    assert shared.acquire(most=500) == [(6, 9, 1), (11, 11, 1)]


def test_records_that_are_deleted_are_not_delivered_again():
    """What a member has then is archived when it comes back, and what nobody has is gone at once."""
    shared = made(4, 4, 4)
    shared.acquire(most=4)
    shared.acquire("two", most=4)
    shared.say(4, 7, RELEASE, "two")
    shared.partition.log.delete_before(6)
    shared.handout.window.log_starts_at(6)
    assert shared.acquire("two", most=4) == [(6, 7, 2), (8, 11, 1)]
    shared.say(6, 11, RELEASE, "two")
    shared.pass_time(30)
    assert shared.written == [(6, 7, 2, AVAILABLE), (8, 11, 1, AVAILABLE)]
    assert shared.acquire(most=1) == [(6, 7, 3)]


@pytest.mark.parametrize("strict", [False, True])
def test_of_a_batch_across_the_logs_start_only_what_is_left_is_delivered(strict):
    """Also while a member still has what lies before it; and whoever comes next gets the rest."""
    shared = made(4)
    shared.acquire()
    shared.append(8)
    shared.partition.log.delete_before(7)
    shared.handout.window.log_starts_at(7)
    acquired = shared.acquire("two", most=2, strict=strict)
    assert acquired == ([(7, 8, 1)] if strict else [(7, 11, 1)])
    shared.say(7, acquired[-1].last, ACCEPT, "two")
    shared.append(1)
    assert shared.acquire("two") == ([(9, 11, 1), (12, 12, 1)] if strict else [(12, 12, 1)])


def test_a_window_that_is_empty_follows_the_logs_start():
    """Also where it lies far ahead."""
    shared = made(4, 4)
    shared.acquire()
    shared.say(0, 7, ACCEPT)
    shared.append(4)
    shared.partition.log.delete_before(10)
    shared.handout.window.log_starts_at(10)
    assert shared.handout.window.start == 10
    assert shared.acquire() == [(10, 11, 1)]


def test_no_more_is_in_flight_than_there_may_be():
    """Until something is done with; but what is free in between is delivered."""
    shared = made(*[50] * 4, partition_max_record_locks=100)
    assert shared.acquire() == [(0, 99, 1)]
    assert shared.acquire() == []
    shared.say(20, 29, RELEASE)
    assert shared.acquire("two") == [(20, 29, 2)]
    shared.say(0, 19, ACCEPT)
    assert shared.acquire() == [(100, 149, 1)]


def test_who_leads_no_more_hands_out_nothing():
    """The next one who asks reads anew what is written, and those who wait hear of it."""
    shared = made(4)
    before, told = shared.handout, []
    before.watchers.add(lambda: told.append("closed"))
    shared.acquire()
    shared.partition.lead(-1)
    assert told == ["closed"]
    assert not before.has_room
    shared.partition.lead(1, {1})
    assert shared.handout is not before
    assert shared.acquire("two") == [(0, 3, 1)]


def test_a_leader_that_stays_goes_on_in_its_next_epoch():
    """Nobody else can have handed out anything."""
    shared = made(4)
    before = shared.handout
    shared.partition.lead(1, {1})
    assert shared.handout is before


def test_what_the_share_coordinator_says_becomes_what_members_are_told():
    """A state that was not initialized is the server's error."""
    shared = made(1)
    shared.cluster.share_state.delete(*shared.key)
    with pytest.raises(Refused) as caught:
        shared.acquire()
    assert caught.value.code == ErrorCode.UNKNOWN_SERVER_ERROR


@pytest.mark.parametrize(("reset", "start"), [("earliest", 2), ("latest", 6), ("by_duration:PT1H", 2)])
def test_a_group_that_was_not_told_begins_by_its_settings(reset, start):
    """At the log's start, at its end, or at the first record of the last so much time."""
    shared = made(4, 2, start=-1, auto_offset_reset=reset)
    shared.partition.log.delete_before(2)
    shared.cluster.clock._base.time_ms = lambda: 1000
    assert shared.handout.window.start == start


def test_a_group_that_begins_at_a_time_without_records_has_to_ask_again():
    """As in Kafka there is no offset for it."""
    shared = made(4, start=-1, auto_offset_reset="by_duration:PT1S")
    with pytest.raises(Refused) as caught:
        shared.acquire()
    assert caught.value.code == ErrorCode.OFFSET_NOT_AVAILABLE


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0S", 0),
        ("P2D", 172_800),
        ("PT1H30M", 5400),
        ("P1DT2S", 86_402),
        ("PT1.5S", 1.5),
        ("-PT1M", -60),
        ("PT-1M", -60),
    ],
)
def test_durations_are_read_as_java_writes_them(text, seconds):
    """Days, hours, minutes and seconds, each with a sign or none."""
    assert _seconds(text) == seconds


def test_bytes_are_counted_from_where_records_are_free():
    """Over all segments, and never more than was asked for."""
    shared = made(*[100] * 60)
    whole = sum(len(batch) for batch in shared.partition.log.batches())
    assert bytes_from(shared.partition, 0, 1 << 30, committed=False) == whole
    assert bytes_from(shared.partition, 0, 10, committed=False) == 10
    assert bytes_from(shared.partition, 6000, 10, committed=False) == 0


def test_only_the_batches_around_what_was_acquired_are_sent():
    """Whole batches, from the first to the last."""
    shared = made(3, 3, 3, 3)
    stretch = read_from(shared.partition, 0, 12, 1 << 20, at_least_one=True, committed=False)
    each = [bytes(batch) for batch in shared.partition.log.batches()]
    acquired = shared.acquire(most=6)
    assert stretch.around(acquired) == each[0] + each[1]
    assert stretch.around([acquired[0]._replace(first=4, last=6)]) == each[1] + each[2]


def test_records_are_read_over_all_segments():
    """As many as may be acquired, and as there is room for."""
    shared = made(1, 400, 400, 400)
    sizes = [len(batch) for batch in shared.partition.log.batches()]
    assert sum(sizes[:2]) > 1 << 14
    assert shared.acquire(most=500) == [(0, 800, 1)]
    stretch = read_from(shared.partition, 0, 10_000, sum(sizes) - 1, at_least_one=True, committed=False)
    assert stretch.spans == [(0, 0), (1, 400), (401, 800)]
    assert read_from(shared.partition, 0, 2, 1 << 20, at_least_one=True, committed=False).spans == [(0, 0), (1, 400)]
    assert read_from(shared.partition, 1, 10_000, 5, at_least_one=True, committed=False).spans == [(1, 400)]
    assert read_from(shared.partition, 1, 10_000, 5, at_least_one=False, committed=False).spans == []
