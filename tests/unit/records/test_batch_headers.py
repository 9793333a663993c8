"""Headers of batches, and cutting a record set into its batches."""

import struct

import pytest

import record_bytes as by_hand
from felice.errors import CorruptBatch, WireError
from felice.types import TimestampType
from felice.wire.records import Codec, read_header, split

ONE = by_hand.batch([by_hand.record(0, b"one")], base_offset=10)
TWO = by_hand.batch([by_hand.record(0, b"two"), by_hand.record(1, b"three")], base_offset=11)


def test_a_header_says_all_that_is_in_it() -> None:
    """Each field by its name, and what follows from them."""
    batch = by_hand.batch(
        [by_hand.record(0), by_hand.record(4)],
        base_offset=100,
        leader_epoch=7,
        attributes=Codec.ZSTD | by_hand.LOG_APPEND | by_hand.TRANSACTIONAL | by_hand.CONTROL,
        last_offset_delta=9,
        max_timestamp=by_hand.BASE_TIME + 3,
        producer_id=2**50,
        producer_epoch=12,
        base_sequence=99,
    )
    header = read_header(b"???" + batch, 3)
    assert (header.base_offset, header.batch_length, header.leader_epoch) == (100, len(batch) - 12, 7)
    assert (header.magic, header.crc) == (2, struct.unpack_from(">I", batch, 17)[0])
    assert (header.last_offset_delta, header.count) == (9, 2)
    assert (header.base_timestamp, header.max_timestamp) == (by_hand.BASE_TIME, by_hand.BASE_TIME + 3)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (2**50, 12, 99)
    assert (header.size, header.last_offset, header.next_offset) == (len(batch), 109, 110)
    assert (header.codec, header.timestamp_type) == (Codec.ZSTD, TimestampType.LOG_APPEND)
    assert header.is_transactional
    assert header.is_control


def test_a_header_without_attributes() -> None:
    """No codec, the producer's timestamps, no transaction, no control record."""
    header = read_header(ONE)
    assert (header.codec, header.timestamp_type) == (Codec.NONE, TimestampType.CREATE)
    assert not header.is_transactional
    assert not header.is_control


@pytest.mark.parametrize("number", [5, 6, 7])
def test_a_codec_that_does_not_exist_is_told(number: int) -> None:
    """As damage, when somebody asks for it; the rest of the header can be read."""
    header = read_header(by_hand.batch([by_hand.record()], attributes=number))
    assert header.next_offset == 1
    with pytest.raises(CorruptBatch, match=f"no codec {number}"):
        _ = header.codec


@pytest.mark.parametrize("size", [0, 1, 60])
def test_fewer_bytes_than_a_header_are_no_batch(size: int) -> None:
    """Also where they are the end of more."""
    with pytest.raises(CorruptBatch):
        read_header(ONE[:size])
    with pytest.raises(CorruptBatch):
        read_header(ONE + ONE[:size], len(ONE))


@pytest.mark.parametrize("start", [-1, -61, len(ONE), 2**62])
def test_a_header_begins_inside_the_buffer(start: int) -> None:
    """A place before or behind it is damage, not somewhere else."""
    with pytest.raises(CorruptBatch):
        read_header(ONE, start)


@pytest.mark.parametrize("magic", [0, 1, 3, 127, -1])
def test_another_format_is_told(magic: int) -> None:
    """Not as damage: the bytes may be good, but nobody here reads them."""
    with pytest.raises(WireError, match=f"format {magic} ") as raised:
        read_header(by_hand.batch([by_hand.record()], magic=magic))
    assert not isinstance(raised.value, CorruptBatch)


@pytest.mark.parametrize(
    "lie",
    [
        {"length": 48},
        {"length": 0},
        {"length": -1},
        {"length": -(2**31)},
        {"count": -1},
        {"count": 2},
        {"count": 2**31 - 1},
        {"last_offset_delta": -1},
        {"last_offset_delta": -(2**31)},
        {"base_offset": -1},
        {"base_offset": 2**63 - 1},
        {"base_offset": 2**63 - 2, "last_offset_delta": 1},
    ],
    ids=repr,
)
def test_row_14_a_header_that_cannot_be_is_refused(lie: dict[str, int]) -> None:
    """Lengths, counts and offsets that contradict each other or leave 64 bits."""
    with pytest.raises(CorruptBatch):
        read_header(by_hand.batch([by_hand.record()], **{"last_offset_delta": 0, **lie}))


def test_the_last_offset_there_is() -> None:
    """2**63 - 2: reading goes on at 2**63 - 1, which still is a number of 64 bits."""
    assert read_header(by_hand.batch([by_hand.record()], base_offset=2**63 - 2)).next_offset == 2**63 - 1


def test_row_10_a_batch_without_records_moves_on() -> None:
    """What the cleaner leaves of a batch stands for its offsets: reading goes on behind the last of them."""
    header = read_header(by_hand.batch([], base_offset=100, last_offset_delta=41))
    assert (header.count, header.last_offset, header.next_offset) == (0, 141, 142)


# Record sets


def test_a_record_set_is_its_batches() -> None:
    """As views of it, one after another, without copies."""
    held = bytearray(ONE + TWO + ONE)
    found = split(held)
    assert [header.base_offset for header, _ in found] == [10, 11, 10]
    assert [bytes(view) for _, view in found] == [ONE, TWO, ONE]
    held[61] ^= 0xFF
    assert bytes(found[0][1]) != ONE


def test_nothing_is_no_batch() -> None:
    """An empty record set is one."""
    assert split(b"") == []


@pytest.mark.parametrize("cut", range(len(TWO)))
def test_a_last_batch_that_is_cut_off_is_left_out(cut: int) -> None:
    """Brokers fill the bytes that were asked for; what is cut comes again with the next fetch."""
    assert [bytes(view) for _, view in split(ONE + TWO[:cut])] == [ONE]


def test_a_batch_that_says_to_be_huge_is_one_that_is_cut_off() -> None:
    """Nothing is allocated for the two gigabytes."""
    assert split(by_hand.batch([by_hand.record()], length=2**31 - 1)) == []


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("value", [b"", b"old", bytes(100)])
@pytest.mark.parametrize("cut", [0, 1])
def test_messages_of_the_formats_before_are_told_where_they_are(magic: int, value: bytes, cut: int) -> None:
    """Of any size, also where the last of them is cut off: they are shorter than a batch's header can be."""
    old = by_hand.message_set(magic, value)
    with pytest.raises(WireError, match=f"format {magic} ") as raised:
        split(ONE + old[: len(old) - cut])
    assert raised.value.position == len(ONE)
    assert not isinstance(raised.value, CorruptBatch)


@pytest.mark.parametrize("length", [48, 0, -1, -12, -(2**31)])
def test_a_length_that_leads_nowhere_is_told(length: int) -> None:
    """It would go over the same bytes for ever, or back."""
    with pytest.raises(CorruptBatch) as raised:
        split(ONE + by_hand.batch([by_hand.record()], length=length))
    assert raised.value.position == len(ONE)
