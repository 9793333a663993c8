"""Batches of which compaction has taken records away."""

import pytest

from felice.types import TimestampType
from felice.wire.records import BatchBuilder, Codec, Record, read_header, read_records, verify
from felice.wire.records.rewriting import emptied, rewritten

HEADERS = (("name", b"value"), ("", None), ("bad \udcff", b""))


def made(codec: Codec = Codec.NONE, stamped: TimestampType = TimestampType.CREATE) -> bytes:
    """Return a batch of five records at offset 100, of a producer's transaction."""
    builder = BatchBuilder()
    for number, time in enumerate((5000, 4000, 9000, 4500, 1)):
        builder.append(b"x" * number * 100 or None, b"k%d" % number, HEADERS, time)
    return bytes(
        builder.seal(
            codec=codec, base_offset=100, leader_epoch=3, producer_id=7, producer_epoch=2, base_sequence=40,
            transactional=True, timestamp_type=stamped,
        )
    )  # fmt: skip


def kept(batch: bytes, *numbers: int, horizon: int | None = None) -> tuple[bytes, list[Record]]:
    """Return the batch with some of its records, and those."""
    records = [read_records(batch)[number] for number in numbers]
    return rewritten(read_header(batch), records, horizon), records


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("numbers", [(0,), (1, 3), (4,), (0, 2, 4), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("horizon", [None, 77_000])
def test_records_stay_as_they_were(codec: Codec, numbers: tuple[int, ...], horizon: int | None) -> None:
    """Offsets, times, keys, values and headers do; and the batch stands for the same offsets and sequences."""
    batch = made(codec)
    left, records = kept(batch, *numbers, horizon=horizon)
    before, after = read_header(batch), read_header(left)
    verify(after, left)
    assert read_records(left) == records
    assert (after.size, after.count, after.codec) == (len(left), len(numbers), codec)
    assert after.max_timestamp == max(record.timestamp_ms for record in records)
    assert after.delete_horizon == horizon
    for name in ("base_offset", "last_offset", "leader_epoch", "producer_id", "producer_epoch", "base_sequence"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.is_transactional


def test_a_batch_that_was_left_whole_is_the_same_bytes() -> None:
    """The encoding is the producer's, down to the checksum."""
    batch = made()
    assert kept(batch, 0, 1, 2, 3, 4)[0] == batch


def test_a_delete_horizon_is_kept_when_more_records_go() -> None:
    left, _ = kept(made(), 0, 2, horizon=77_000)
    again, records = kept(left, 1, horizon=read_header(left).delete_horizon)
    assert (read_records(again), read_header(again).delete_horizon) == (records, 77_000)


def test_what_the_broker_stamped_keeps_its_stamp() -> None:
    """All records have the batch's largest timestamp, whichever of them is left."""
    batch = made(stamped=TimestampType.LOG_APPEND)
    left, records = kept(batch, 4)
    assert read_header(left).max_timestamp == read_header(batch).max_timestamp == 9000
    assert read_records(left) == records
    assert records[0].timestamp_ms == 9000


@pytest.mark.parametrize("codec", Codec)
def test_an_empty_batch_tells_of_offsets_and_sequences_only(codec: Codec) -> None:
    batch = made(codec)
    left = emptied(read_header(batch))
    header = read_header(left)
    verify(header, left)
    assert (read_records(left), header.count, header.codec, len(left)) == ([], 0, Codec.NONE, 61)
    assert (header.base_offset, header.last_offset, header.base_sequence) == (100, 104, 40)
    assert (header.base_timestamp, header.max_timestamp, header.is_transactional) == (-1, 9000, True)
