"""The log of one partition."""

import random
from bisect import bisect_right

import pytest

from asking import batch
from felice.broker.block import FIRST_BLOCK
from felice.broker.log import PartitionLog
from felice.wire.records import read_header, read_records, split

EVERYTHING = 1 << 40


def append(
    log: PartitionLog, *values: bytes, time: int = 1000, time_deltas: tuple[int, ...] = (), epoch: int = 0
) -> int:
    """Append a batch of these values; return its offset."""
    made = batch(*values, time=time, time_deltas=time_deltas)
    return log.append(made, count=len(values), leader_epoch=epoch, max_timestamp=time + max(time_deltas, default=0))


def read(log: PartitionLog, offset: int, *, until: int = EVERYTHING, most: int = EVERYTHING, one: bool = True) -> bytes:
    """Read from an offset on."""
    return bytes(log.read(offset, until=until, max_bytes=most, at_least_one=one))


def test_offsets_count_up_and_are_written_into_the_batches() -> None:
    """A batch keeps its bytes, but for its base offset and leader epoch; its checksum still holds."""
    log = PartitionLog()
    assert [append(log, b"a", b"b"), append(log, b"c", epoch=3)] == [0, 2]
    first, second = log.batches()
    assert (read_header(second).base_offset, read_header(second).leader_epoch) == (2, 3)
    assert bytes(second[16:]) == batch(b"c", time=1000)[16:]
    assert [record.value for record in read_records(first)] == [b"a", b"b"]
    assert (log.start_offset, log.end_offset, log.size) == (0, 3, len(first) + len(second))


def test_reading_begins_with_the_batch_that_holds_the_offset() -> None:
    """In the middle of a batch the whole batch comes; at the end nothing does."""
    log = PartitionLog()
    for values in ((b"a", b"b", b"c"), (b"d",)):
        append(log, *values)
    first, second = map(bytes, log.batches())
    assert read(log, 0) == read(log, 2) == first + second
    assert read(log, 3) == second
    assert read(log, 4) == b""


def test_byte_limits_cut_the_last_batch_and_never_the_first() -> None:
    """The first batch is whole or left out, the last one may be cut off, as Kafka does (KIP-74)."""
    log = PartitionLog()
    append(log, b"a")
    append(log, b"b")
    first, second = map(bytes, log.batches())
    assert read(log, 0, most=1) == first
    assert read(log, 0, most=1, one=False) == b""
    assert read(log, 0, most=len(first), one=False) == first
    assert read(log, 0, most=len(first) + 10) == first + second[:10]
    assert read(log, 0, most=0, one=False) == b""


def test_nothing_is_read_behind_what_is_decided() -> None:
    """Batches that begin at or behind `until` stay out."""
    log = PartitionLog()
    for value in (b"a", b"b", b"c"):
        append(log, value)
    first, second, _ = map(bytes, log.batches())
    assert read(log, 0, until=2) == first + second
    assert read(log, 2, until=2) == b""
    assert read(log, 0, until=0) == b""


def test_what_was_read_stays_as_it_was() -> None:
    """A slice that is on its way to a client is not touched by what is appended, or deleted, later."""
    log = PartitionLog()
    append(log, b"a")
    kept = log.read(0, until=EVERYTHING, max_bytes=EVERYTHING, at_least_one=True)
    copy = bytes(kept)
    for _ in range(2000):
        append(log, b"x" * 100)
    log.delete_before(1000)
    assert bytes(kept) == copy


def test_deleting_moves_the_start_and_frees_memory() -> None:
    """Whole segments go; records before the start are not found any more."""
    log = PartitionLog()
    for number in range(200):
        append(log, b"x" * 1000, time=number)
    before = log.size
    log.delete_before(150)
    assert log.start_offset == 150
    assert log.size < before
    assert log.first_since(0) == (150, 150)
    log.delete_before(100)
    assert log.start_offset == 150
    log.delete_before(200)
    assert (log.size, list(log.batches()), log.first_since(0)) == (0, [], None)
    assert append(log, b"new") == 200


def test_a_batch_larger_than_any_segment_fits() -> None:
    """Size is not the log's concern."""
    log = PartitionLog()
    append(log, b"x" * (20 * FIRST_BLOCK))
    append(log, b"y")
    assert read(log, 1) == bytes(list(log.batches())[1])


def test_records_are_found_by_time() -> None:
    """The first that is not older, though times go up and down; the first of the latest ones."""
    log = PartitionLog()
    append(log, b"a", b"b", b"c", time=1000, time_deltas=(0, 10, 5))
    append(log, b"d", time=900)
    append(log, b"e", b"f", time=2000, time_deltas=(0, 0))
    found = {time: log.first_since(time) for time in (0, 1001, 1006, 1011, 2000, 2001)}
    assert found == {
        0: (0, 1000), 1001: (1, 1010), 1006: (1, 1010), 1011: (4, 2000), 2000: (4, 2000), 2001: None,
    }  # fmt: skip
    assert log.latest_stamped() == (4, 2000)
    assert PartitionLog().latest_stamped() is None


@pytest.mark.parametrize("run", range(20))
def test_any_log_reads_like_a_list_of_batches(run: int, seed: int) -> None:
    """Against the simplest model, with random batches, reads, limits and deletions."""
    chance = random.Random(seed + run)
    log = PartitionLog()
    bases: list[int] = []
    batches: list[bytes] = []
    for _ in range(300):
        values = [chance.randbytes(chance.choice([1, 50, 3000])) for _ in range(chance.randrange(1, 5))]
        bases.append(append(log, *values))
        batches.append(bytes(list(log.batches())[-1]))
        if chance.random() < 0.02:
            log.delete_before(chance.randint(log.start_offset, log.end_offset))
        offset = chance.randint(log.start_offset, log.end_offset)
        most = chance.choice([0, 100, 5000, 1 << 20])
        got = read(log, offset, most=most)
        place = bisect_right(bases, offset) - 1
        expected = b"".join(batches[place:]) if offset < log.end_offset else b""
        assert expected.startswith(got)
        whole = split(got)
        assert bool(whole) == (offset < log.end_offset)
        assert len(got) <= max(most, len(batches[place]))
        if whole:
            assert whole[0][0].base_offset == bases[place]


def test_a_shorter_log_leaves_the_longer_one_as_it_is() -> None:
    """Wherever it ends, it has the batches up to there, and both go on by themselves."""
    log = PartitionLog()
    ends = [0]
    for number in range(40):
        append(log, bytes(2000), time=number)
        ends.append(log.end_offset)
    everything = [bytes(piece) for piece in log.batches()]
    for count, end in enumerate(ends):
        made = log.prefix(end)
        assert [bytes(piece) for piece in made.batches()] == everything[:count]
        assert (made.end_offset, made.size) == (end, sum(map(len, everything[:count])))
        assert made.latest_stamped() == ((count - 1, count - 1) if count else None)
        assert append(made, b"else", time=500) == end
        assert made.latest_stamped() == (end, 500)
    assert [bytes(piece) for piece in log.batches()] == everything
    assert log.first_since(39) == (39, 39)


def test_a_shorter_log_may_end_before_the_start() -> None:
    """Then it is empty."""
    log = PartitionLog()
    for value in (b"a", b"b", b"c"):
        append(log, value)
    log.delete_before(2)
    made = log.prefix(1)
    assert (made.start_offset, made.end_offset, list(made.batches())) == (1, 1, [])
    assert append(made, b"d") == 1
    assert [record.value for piece in made.batches() for record in read_records(piece)] == [b"d"]
