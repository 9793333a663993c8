"""Reading batches: every record as it was written, every position moved on, and damage told as what it is."""

from typing import Any

import pytest

import record_bytes as by_hand
from felice.errors import CorruptBatch, DecompressionLimit, WireError
from felice.wire.records import Codec, Record, check, compress, read_header, read_records, unpack, verify

pytestmark = pytest.mark.usefixtures("twin")

VALUES: list[bytes | None] = [b"value", None, b"", bytes(range(256)), b"x" * 20_000]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: "null" if value is None else len(value))
@pytest.mark.parametrize("key", VALUES, ids=lambda key: "null" if key is None else len(key))
def test_keys_and_values_are_read(key: bytes | None, value: bytes | None) -> None:
    """Null and empty told apart."""
    batch = by_hand.batch([by_hand.record(0, value, key)], base_offset=5)
    assert read_records(batch) == [Record(5, by_hand.BASE_TIME, key, value, ())]


def test_headers_are_read_in_order() -> None:
    """Repeated names, null and empty values, names beyond ASCII, more of them than one byte counts."""
    headers: list[tuple[str, bytes | None]] = [("a", b"1"), ("a", None), ("", b""), ("přání", b"\xff")]
    headers += [(f"h{n}", b"%d" % n) for n in range(200)]
    (record,) = read_records(by_hand.batch([by_hand.record(0, b"v", None, headers)]))
    assert record.headers == tuple(headers)


def test_a_record_reads_as_a_tuple_of_names() -> None:
    """Offset, timestamp, key, value and headers, which are none where nothing is said of them."""
    record = Record(1, 2, b"k", b"v")
    assert (record.offset, record.timestamp_ms, record.key, record.value, record.headers) == (1, 2, b"k", b"v", ())


def test_create_times_are_each_records_own() -> None:
    """Relative to the batch's first, before and behind it."""
    deltas = [0, 1, -5000, 2**40]
    batch = by_hand.batch([by_hand.record(n, timestamp_delta=delta) for n, delta in enumerate(deltas)])
    assert [record.timestamp_ms for record in read_records(batch)] == [by_hand.BASE_TIME + delta for delta in deltas]


@pytest.mark.parametrize("stamped", [by_hand.BASE_TIME + 9, 0, -1])
def test_append_time_is_the_brokers_for_all(stamped: int) -> None:
    """Whatever the producer wrote into the records: the header's largest timestamp counts."""
    batch = by_hand.batch(
        [by_hand.record(0, timestamp_delta=3), by_hand.record(1, timestamp_delta=2**63 - 1)],
        attributes=by_hand.LOG_APPEND,
        max_timestamp=stamped,
    )
    assert [record.timestamp_ms for record in read_records(batch)] == [stamped, stamped]


def test_row_10_offsets_have_gaps_where_a_topic_was_cleaned() -> None:
    """Records keep their offsets when those around them are gone, also the first one and the last one."""
    batch = by_hand.batch(
        [by_hand.record(3, b"a"), by_hand.record(4, b"b"), by_hand.record(900, b"c")],
        base_offset=1000,
        last_offset_delta=999,
    )
    assert [(record.offset, record.value) for record in read_records(batch)] == [
        (1003, b"a"),
        (1004, b"b"),
        (1900, b"c"),
    ]
    assert read_header(batch).next_offset == 2000


def test_row_10_an_empty_batch_has_no_records() -> None:
    """What the cleaner leaves for the sake of the offsets and the producer's numbers; also of a compressed one."""
    for codec in Codec:
        batch = by_hand.batch([], base_offset=7, last_offset_delta=2, attributes=codec)
        assert read_records(batch) == []


@pytest.mark.parametrize("codec", list(Codec))
def test_what_every_codec_packed_is_read(codec: Codec) -> None:
    """Batches put together by hand around the packed records."""
    rows = [by_hand.record(n, b"value %d" % n * n, b"k", [("h", None)]) for n in range(50)]
    batch = by_hand.batch(compress(codec, b"".join(rows)), count=50, attributes=codec)
    assert [record.value for record in read_records(batch)] == [b"value %d" % n * n for n in range(50)]
    assert check(batch).codec is codec


def test_attributes_of_a_record_mean_nothing_yet() -> None:
    """They are kept for later versions, so a reader passes over them."""
    (record,) = read_records(by_hand.batch([by_hand.record(0, b"v", attributes=0xFF)]))
    assert record.value == b"v"


def test_varints_may_be_longer_than_they_need_to_be() -> None:
    """As Kafka reads them: up to five bytes, ten for a timestamp."""
    body = b"\0" + b"\x84\x80\x80\x80\x80\x80\x80\x80\x80\x00" + b"\x80\x80\x80\x80\x00" + b"\x81\x80\x00"
    body += b"\x82\x80\x80\x80\x00" + b"v" + b"\x80\x00"
    (record,) = read_records(by_hand.batch(by_hand.varint(len(body)) + body, count=1))
    assert record == Record(0, by_hand.BASE_TIME + 2, None, b"v", ())


@pytest.mark.parametrize("length", [-1, -2, -(2**31)])
def test_any_negative_length_is_null(length: int) -> None:
    """Of keys, values and headers' values, as in Kafka's own reader."""
    null = by_hand.varint(length)
    body = b"\0\0\0" + null + null + by_hand.varint(1) + by_hand.field(b"h") + null
    (record,) = read_records(by_hand.batch(by_hand.varint(len(body)) + body, count=1))
    assert record == Record(0, by_hand.BASE_TIME, None, None, (("h", None),))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_batches_are_read_from_any_buffer(kind: type) -> None:
    """And what is read is bytes of its own."""
    batch = kind(by_hand.batch([by_hand.record(0, b"v", b"k")]))
    (record,) = read_records(batch)
    assert (type(record.value), type(record.key)) == (bytes, bytes)
    assert check(batch).count == 1


# Damage

GOOD = by_hand.batch([by_hand.record(0, b"value", b"key", [("h", b"x")]), by_hand.record(1, b"more")])


@pytest.mark.parametrize("at", range(17, len(GOOD)))
def test_row_16_no_changed_byte_passes_the_checksum(at: int) -> None:
    """Reading, checking and verifying all tell it."""
    spoiled = bytearray(GOOD)
    spoiled[at] ^= 0x10
    with pytest.raises(CorruptBatch):
        read_records(spoiled)
    with pytest.raises(CorruptBatch):
        check(spoiled)


def test_row_16_the_error_names_the_offset() -> None:
    """So that somebody can look at the place, or skip it."""
    batch = by_hand.batch([by_hand.record()], base_offset=4711, crc=1)
    with pytest.raises(CorruptBatch, match=r"offset 4711 .*0x1"):
        read_records(batch)


def test_row_16_the_checksum_may_be_left_unasked() -> None:
    """For who has verified it before: then only sense is asked for."""
    batch = by_hand.batch([by_hand.record(0, b"v")], crc=1)
    assert read_records(batch, check_crc=False)[0].value == b"v"
    with pytest.raises(CorruptBatch):
        verify(read_header(batch), batch)


@pytest.mark.parametrize("size", range(len(GOOD)))
def test_a_batch_that_is_cut_off_is_damage(size: int) -> None:
    """At every place."""
    with pytest.raises(CorruptBatch):
        read_records(GOOD[:size])
    with pytest.raises(CorruptBatch):
        check(GOOD[:size])


def test_a_batch_is_read_alone_or_with_others_behind_it_but_checked_alone() -> None:
    """A broker takes one batch, and nothing else."""
    assert read_records(GOOD + GOOD) == read_records(GOOD)
    with pytest.raises(CorruptBatch):
        check(GOOD + GOOD)


@pytest.mark.parametrize("size", range(len(GOOD) - by_hand.HEADER_BYTES))
def test_records_that_end_too_early_are_damage(size: int) -> None:
    """With a checksum that holds: the header counts more than there is."""
    batch = by_hand.batch(GOOD[by_hand.HEADER_BYTES :][:size], count=2)
    with pytest.raises(CorruptBatch):
        read_records(batch)
    with pytest.raises(CorruptBatch):
        check(batch)


def one(body: bytes, length: int | None = None) -> bytes:
    """A record of this body, whatever its length says."""
    return by_hand.varint(len(body) if length is None else length) + body


NOT_RECORDS = {
    "a length of zero": one(b"", 0) + bytes(7),
    "a negative length": one(b"\0\0\0\1\1\0", -6),
    "a length beyond the end": one(b"\0\0\0\1\1\0", 7),
    "a length within the record": one(b"\0\0\0\1\1\0", 5),
    "a length of six bytes": b"\x8c\x80\x80\x80\x80\x00" + b"\0\0\0\1\1\0",
    "a length of 33 bits": b"\x8c\x80\x80\x80\x10" + b"\0\0\0\1\1\0",
    "a varint that never ends": b"\xff" * 12,
    "a timestamp of eleven bytes": one(b"\0" + b"\x80" * 10 + b"\0" + b"\0\1\1\0"),
    "a timestamp of 65 bits": one(b"\0" + b"\x80" * 9 + b"\x02" + b"\0\1\1\0"),
    "a negative offset": one(b"\0\0" + by_hand.varint(-1) + b"\1\1\0"),
    "an offset of 33 bits": one(b"\0\0" + by_hand.varint(2**32) + b"\1\1\0"),
    "a key beyond the end": one(b"\0\0\0" + by_hand.varint(4) + b"abc"),
    "a key of two gigabytes": one(b"\0\0\0" + by_hand.varint(2**31 - 1) + b"abc\1\0"),
    "a value beyond the end": one(b"\0\0\0\1" + by_hand.varint(3) + b"ab"),
    "no value": one(b"\0\0\0\1") + bytes(2),
    "no headers": one(b"\0\0\0\1\1") + b"\0",
    "something behind the headers": one(b"\0\0\0\1\1\0\0"),
    "a negative count of headers": one(b"\0\0\0\1\1" + by_hand.varint(-1)),
    "more headers than bytes": one(b"\0\0\0\1\1" + by_hand.varint(2) + b"\0\1"),
    "two billion headers": one(b"\0\0\0\1\1" + by_hand.varint(2**31 - 1) + b"\0\1"),
    "a header without a name": one(b"\0\0\0\1\1" + by_hand.varint(1) + b"\1\1"),
    "a header's name beyond the end": one(b"\0\0\0\1\1" + by_hand.varint(1) + b"\x08ab"),
    "a header's value beyond the end": one(b"\0\0\0\1\1" + by_hand.varint(1) + b"\0\x08ab"),
    "a header without a value": one(b"\0\0\0\1\1" + by_hand.varint(1) + b"\x02a"),
    "bytes behind the records": by_hand.record() + b"\0",
}


@pytest.mark.parametrize("records", NOT_RECORDS.values(), ids=NOT_RECORDS)
def test_row_14_records_that_make_no_sense_are_damage(records: bytes) -> None:
    """With a checksum that holds, as a broken or a hostile writer makes them."""
    batch = by_hand.batch(records, count=1)
    with pytest.raises(CorruptBatch):
        read_records(batch)
    with pytest.raises(CorruptBatch):
        check(batch)


def test_a_batch_that_counts_no_records_has_none() -> None:
    """Whatever else is in it, as in Kafka's own reader; but no broker would take it."""
    batch = by_hand.batch([by_hand.record(0)], count=0, last_offset_delta=0)
    assert read_records(batch) == []
    with pytest.raises(CorruptBatch):
        check(batch)


@pytest.mark.parametrize("count", [1, 3, 2**31 - 1])
def test_row_14_a_count_that_lies_is_damage(count: int) -> None:
    """Too few as well as too many, and nothing is allocated for the two billion."""
    batch = by_hand.batch([by_hand.record(0), by_hand.record(1)], count=count, last_offset_delta=max(count - 1, 0))
    with pytest.raises(CorruptBatch):
        read_records(batch)
    with pytest.raises(CorruptBatch):
        check(batch)


@pytest.mark.parametrize("deltas", [(0, 0), (1, 0), (0, 2), (0, 2**31 - 1)])
def test_offsets_that_go_back_or_leave_the_batch_are_damage(deltas: tuple[int, int]) -> None:
    """A reader's position must only ever go forward."""
    with pytest.raises(CorruptBatch):
        read_records(by_hand.batch([by_hand.record(delta) for delta in deltas]))


@pytest.mark.parametrize("base", [2**63 - 1, -(2**63)])
def test_a_timestamp_beyond_64_bits_is_damage(base: int) -> None:
    """It is neither wrapped nor cut."""
    batch = by_hand.batch(
        [by_hand.record(0), by_hand.record(1, timestamp_delta=1 if base > 0 else -1)], base_timestamp=base
    )
    with pytest.raises(CorruptBatch, match="64 bits"):
        read_records(batch)
    with pytest.raises(CorruptBatch, match="64 bits"):
        check(batch)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_packed_records_that_make_no_sense_are_damage(codec: Codec) -> None:
    """Bytes that are no packed ones, and good ones that unpack to no records."""
    for packed in (b"", b"\0", b"nothing of that kind at all", compress(codec, b"\xff" * 20)):
        batch = by_hand.batch(packed, count=1, attributes=codec)
        with pytest.raises(CorruptBatch):
            read_records(batch)
        with pytest.raises(CorruptBatch):
            check(batch)


@pytest.mark.parametrize("number", [5, 6, 7])
def test_a_codec_that_does_not_exist_is_damage(number: int) -> None:
    """Not an error of Python's."""
    batch = by_hand.batch([by_hand.record()], attributes=number)
    with pytest.raises(CorruptBatch, match=f"codec {number}"):
        read_records(batch)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_row_17_a_batch_unpacks_to_its_limit_and_no_further(codec: Codec) -> None:
    """To the byte, and the error is one of its own: the batch may be good."""
    row = by_hand.record(0, bytes(100_000))
    batch = by_hand.batch(compress(codec, row), count=1, attributes=codec)
    assert len(read_records(batch, limit=len(row))) == 1
    for limit in (0, 1, len(row) - 1):
        with pytest.raises(DecompressionLimit, match=f"{limit} bytes") as raised:
            read_records(batch, limit=limit)
        assert isinstance(raised.value, WireError)
        assert not isinstance(raised.value, CorruptBatch)
        with pytest.raises(DecompressionLimit):
            check(batch, limit=limit)


def test_what_is_not_packed_has_no_limit() -> None:
    """Its size was paid for on the wire, and is bounded there."""
    batch = by_hand.batch([by_hand.record(0, bytes(1000))])
    assert len(read_records(batch, limit=1)) == 1


def test_the_bytes_of_records_are_not_copied_where_they_are_not_packed() -> None:
    """`unpack` gives a view of the batch."""
    batch = bytearray(by_hand.batch([by_hand.record(0, b"v")]))
    view = unpack(read_header(batch), batch)
    batch[-2] ^= 0xFF
    assert bytes(view) == bytes(batch[by_hand.HEADER_BYTES :])


# A broker's checks


def test_a_batch_as_producers_write_it_passes() -> None:
    """And its header comes back."""
    header = check(GOOD)
    assert (header.count, header.last_offset_delta) == (2, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        by_hand.batch([], last_offset_delta=0),
        by_hand.batch([by_hand.record(0)], last_offset_delta=1),
        by_hand.batch([by_hand.record(1)], last_offset_delta=1),
        by_hand.batch([by_hand.record(0), by_hand.record(2)], last_offset_delta=2),
        by_hand.batch([by_hand.record(0), by_hand.record(0)]),
        by_hand.batch([by_hand.record(1), by_hand.record(0)]),
    ],
    ids=["no records", "an offset behind", "an offset before", "an offset between", "one offset twice", "backwards"],
)
def test_a_batch_from_a_producer_has_an_offset_for_each_record(wrong: bytes) -> None:
    """From 0 on and without gaps: gaps come from cleaning, which is the broker's own work."""
    with pytest.raises(CorruptBatch):
        check(wrong)


@pytest.mark.parametrize("wrong", ["text" * 20, 5, None])
def test_what_is_no_buffer_is_a_type_error(wrong: Any) -> None:
    """Wrong arguments are not the peer's fault."""
    with pytest.raises(TypeError):
        read_records(wrong)
