"""Building batches: what is written is what Kafka's format asks for, and nobody's bytes move while they are read."""

import mmap
import random
import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import record_bytes as by_hand
from felice.errors import ConfigError, RecordTooLarge, UsageError
from felice.wire.records import Codec, read_header, read_records

HEADERS: list[list[by_hand.HeaderPair]] = [
    [],
    [("trace", b"abc")],
    [("", b"")],
    [("null", None), ("empty", b""), ("null", b"again")],
    [("přání", b"\xff\x00")],
    [("long" * 100, bytes(3000))],
    [(f"h{n}", str(n).encode()) for n in range(300)],
]


@pytest.mark.parametrize(
    ("value", "key"),
    [(b"value", b"key"), (None, b"key"), (b"value", None), (None, None), (b"", b""), (bytes(70_000), b"k" * 200)],
)
def test_a_record_is_written_as_the_format_says(twin: ModuleType, value: bytes | None, key: bytes | None) -> None:
    """Byte for byte: key and value, null and empty told apart."""
    builder = twin.BatchBuilder()
    assert builder.append(value, key, None, by_hand.BASE_TIME) == 0
    assert bytes(builder.seal()) == by_hand.batch([by_hand.record(0, value, key)])


@pytest.mark.parametrize("headers", HEADERS)
@pytest.mark.parametrize("series", [list, tuple, iter])
def test_headers_are_written_in_order(
    twin: ModuleType, headers: list[by_hand.HeaderPair], series: Callable[[Any], Any]
) -> None:
    """Repeated names, null and empty values, names beyond ASCII; from any series of pairs."""
    builder = twin.BatchBuilder()
    builder.append(b"v", b"k", series(headers), by_hand.BASE_TIME)
    assert bytes(builder.seal()) == by_hand.batch([by_hand.record(0, b"v", b"k", headers)])


def test_a_name_that_is_no_text_goes_out_as_it_came_in(twin: ModuleType) -> None:
    """A reader gives such a header's name with surrogates, and a forwarder writes the same bytes again."""
    arrived = by_hand.batch([by_hand.record(0, b"v", None, [(b"caf\xe9", b"x"), (b"plain", None)])])
    (record,) = read_records(arrived)
    assert record.headers == (("caf\udce9", b"x"), ("plain", None))
    builder = twin.BatchBuilder()
    builder.append(record.value, record.key, record.headers, record.timestamp_ms)
    assert bytes(builder.seal()) == arrived


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_key_and_value_are_anything_bytes_like(twin: ModuleType, kind: type) -> None:
    """Buffers are copied at once: what becomes of them later does not matter."""
    source = bytearray(b"letter")
    builder = twin.BatchBuilder()
    builder.append(kind(source), kind(source), None, by_hand.BASE_TIME)
    source[:] = b"xxxxxx"
    assert bytes(builder.seal()) == by_hand.batch([by_hand.record(0, b"letter", b"letter")])


def test_a_buffer_of_wider_items_counts_in_bytes(twin: ModuleType) -> None:
    """A view of 32-bit numbers is written with the length of its bytes, not of its items."""
    wide = memoryview(bytes(range(16))).cast("I")
    builder = twin.BatchBuilder()
    builder.append(wide, wide, None, by_hand.BASE_TIME)
    assert bytes(builder.seal()) == by_hand.batch([by_hand.record(0, bytes(range(16)), bytes(range(16)))])


def test_timestamps_are_deltas_to_the_first_one(twin: ModuleType) -> None:
    """They may go back; the largest one stands in the header."""
    times = [by_hand.BASE_TIME, by_hand.BASE_TIME + 5, by_hand.BASE_TIME - 10, by_hand.BASE_TIME + 2]
    builder = twin.BatchBuilder()
    for time in times:
        builder.append(b"v", None, None, time)
    assert (builder.base_timestamp, builder.max_timestamp) == (times[0], times[1])
    assert bytes(builder.seal()) == by_hand.batch(
        [by_hand.record(n, b"v", timestamp_delta=time - times[0]) for n, time in enumerate(times)],
        max_timestamp=times[1],
    )


def test_records_without_timestamps(twin: ModuleType) -> None:
    """-1 stands for none, in the records as in the header."""
    builder = twin.BatchBuilder()
    builder.append(b"a")
    builder.append(b"b")
    header = read_header(builder.seal())
    assert (header.base_timestamp, header.max_timestamp) == (-1, -1)
    assert [record.timestamp_ms for record in read_records(builder.seal())] == [-1, -1]


@pytest.mark.parametrize("times", [(0, 2**63 - 2), (2**63 - 2, 0), (-1, 2**63 - 2)])
def test_the_farthest_timestamps_come_back(twin: ModuleType, times: tuple[int, int]) -> None:
    """Deltas of 63 bits, forth and back."""
    builder = twin.BatchBuilder()
    for time in times:
        builder.append(b"", None, None, time)
    assert [record.timestamp_ms for record in read_records(builder.seal())] == list(times)


def test_offset_deltas_count_the_records(twin: ModuleType) -> None:
    """Also where they need more than one byte; `append` returns them, `count` and `len` are their number."""
    builder = twin.BatchBuilder()
    assert [builder.append(b"") for _ in range(20_000)] == list(range(20_000))
    assert builder.count == len(builder) == 20_000
    assert [record.offset for record in read_records(builder.seal(base_offset=7))] == list(range(7, 20_007))


def test_all_that_the_header_says(twin: ModuleType) -> None:
    """Offsets, epochs, the producer's numbers and every attribute come to their places."""
    builder = twin.BatchBuilder()
    builder.append(b"v", None, None, by_hand.BASE_TIME)
    sealed = builder.seal(
        base_offset=2**62,
        leader_epoch=2**31 - 1,
        producer_id=2**61,
        producer_epoch=2**15 - 1,
        base_sequence=2**31 - 1,
        transactional=True,
        control=True,
        timestamp_type=1,
    )
    assert bytes(sealed) == by_hand.batch(
        [by_hand.record(0, b"v")],
        base_offset=2**62,
        leader_epoch=2**31 - 1,
        producer_id=2**61,
        producer_epoch=2**15 - 1,
        base_sequence=2**31 - 1,
        attributes=by_hand.TRANSACTIONAL | by_hand.CONTROL | by_hand.LOG_APPEND,
    )


def test_a_buffer_grows_as_records_need_it(twin: ModuleType) -> None:
    """From the smallest capacity, and past a record far larger than twice of it; what was written stays."""
    builder = twin.BatchBuilder(0)
    values = [b"a", bytes(50_000), b"c" * 1000, b""]
    for value in values:
        builder.append(value)
    assert builder.capacity >= builder.size == len(builder.seal())
    assert [record.value for record in read_records(builder.seal())] == values


def test_a_builder_that_is_emptied_starts_anew(twin: ModuleType) -> None:
    """`reset` leaves nothing of the records before."""
    builder = twin.BatchBuilder()
    builder.append(b"first", b"k", [("h", b"x")], 1)
    builder.reset()
    assert (builder.count, builder.size, builder.base_timestamp, builder.max_timestamp) == (0, 61, -1, -1)
    builder.append(b"second", None, None, by_hand.BASE_TIME)
    assert bytes(builder.seal()) == by_hand.batch([by_hand.record(0, b"second")])


# Buffers in use


@pytest.mark.parametrize("change", [lambda builder: builder.append(b"more"), lambda builder: builder.reset()])
def test_row_20_no_byte_moves_while_somebody_reads_the_batch(twin: ModuleType, change: Callable[[Any], object]) -> None:
    """Neither a record more nor a reset: BufferError, and the batch is as it was; let go, both work."""
    builder = twin.BatchBuilder(1 << 16)
    builder.append(b"mine", None, None, by_hand.BASE_TIME)
    sealed = builder.seal()
    before = bytes(sealed)
    assert builder.exports == 1
    with pytest.raises(BufferError):
        change(builder)
    assert bytes(sealed) == before
    assert (builder.count, builder.size, builder.max_timestamp) == (1, len(before), by_hand.BASE_TIME)
    sealed.release()
    assert builder.exports == 0
    change(builder)


def test_row_20_no_byte_moves_while_a_slice_of_the_batch_is_read(twin: ModuleType) -> None:
    """A view that was made of the batch's view counts as well, when that one is gone."""
    builder = twin.BatchBuilder()
    builder.append(b"mine")
    with builder.seal() as sealed:
        part = sealed[61:]
    with pytest.raises(BufferError):
        builder.reset()
    part.release()
    builder.reset()


def test_a_sealed_batch_outlives_its_builder(twin: ModuleType) -> None:
    """Its bytes keep what they stand on."""
    builder = twin.BatchBuilder()
    builder.append(b"v" * 5000, None, None, by_hand.BASE_TIME)
    sealed = builder.seal()
    del builder
    assert bytes(sealed) == by_hand.batch([by_hand.record(0, b"v" * 5000)])


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_a_compressed_batch_is_memory_of_its_own(twin: ModuleType, codec: Codec) -> None:
    """The builder is free again at once."""
    builder = twin.BatchBuilder()
    builder.append(b"v" * 500)
    sealed = builder.seal(codec=codec)
    builder.reset()
    builder.append(b"other")
    assert [record.value for record in read_records(sealed)] == [b"v" * 500]


def test_row_20_no_byte_moves_while_the_batch_is_compressed(twin: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GIL is let go then, and another thread may come with a record: it is refused, and not half in the batch."""
    builder = twin.BatchBuilder(1 << 16)
    builder.append(b"first", None, None, by_hand.BASE_TIME)
    refused = []

    def compress(codec: Codec, data: memoryview, level: int | None) -> bytes:
        for change in (lambda: builder.append(b"second"), builder.reset):
            with pytest.raises(BufferError) as raised:
                change()
            refused.append(raised)
        return bytes(data)

    monkeypatch.setattr(twin, "compress", compress)
    sealed = builder.seal(codec=Codec.LZ4)
    assert len(refused) == 2
    assert bytes(sealed) == by_hand.batch([by_hand.record(0, b"first")], attributes=Codec.LZ4)
    assert builder.append(b"second") == 1


@pytest.mark.parametrize("codec", list(Codec))
def test_a_sealed_batch_can_be_written_to(twin: ModuleType, codec: Codec) -> None:
    """For the producer's numbers, which come later."""
    builder = twin.BatchBuilder()
    builder.append(b"v")
    sealed = memoryview(builder.seal(codec=codec))
    assert not sealed.readonly
    assert sealed.format == "B"


# The producer's numbers


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("size", [5, 100_000])
def test_stamping_is_sealing_with_these_numbers(twin: ModuleType, codec: Codec, size: int) -> None:
    """Byte for byte, the checksum included, also where the same batch is stamped a second time."""
    builder = twin.BatchBuilder()
    builder.append(random.Random(size).randbytes(size), b"key", [("h", None)], by_hand.BASE_TIME)
    numbers = {"producer_id": 2**40, "producer_epoch": 9, "base_sequence": 2**31 - 1}
    wanted = bytes(builder.seal(codec=codec, **numbers))
    batch = bytearray(builder.seal(codec=codec))
    twin.stamp(batch, producer_id=5, producer_epoch=5, base_sequence=5)
    twin.stamp(memoryview(batch), **numbers)
    assert bytes(batch) == wanted


def test_a_batch_is_stamped_where_it_lies(twin: ModuleType) -> None:
    """In the builder's own bytes, without a copy."""
    builder = twin.BatchBuilder()
    builder.append(b"v")
    sealed = builder.seal()
    twin.stamp(sealed, producer_id=77, producer_epoch=3, base_sequence=10)
    header = read_header(sealed)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (77, 3, 10)
    assert read_records(sealed)[0].value == b"v"


@pytest.mark.parametrize("size", [0, 1, 60])
def test_what_is_no_batch_cannot_be_stamped(twin: ModuleType, size: int) -> None:
    """Fewer bytes than a header has are refused, and nothing is written."""
    with pytest.raises(UsageError, match=f"{size} bytes"):
        twin.stamp(bytearray(size), producer_id=1, producer_epoch=1, base_sequence=1)


@pytest.mark.parametrize("more", [-1, 1])
def test_only_one_whole_batch_can_be_stamped(twin: ModuleType, more: int) -> None:
    """A buffer that is longer or shorter than its batch would get a checksum of something else."""
    whole = bytearray(by_hand.batch([by_hand.record(0, b"v")])) + b"\0" * max(more, 0)
    wrong = whole[: len(whole) + min(more, 0)]
    before = bytes(wrong)
    with pytest.raises(UsageError, match="one whole record batch"):
        twin.stamp(wrong, producer_id=1, producer_epoch=1, base_sequence=1)
    assert bytes(wrong) == before


def test_bytes_that_cannot_be_written_are_not_stamped(twin: ModuleType) -> None:
    """BufferError, as of every buffer that is not writable."""
    with pytest.raises(BufferError):
        twin.stamp(by_hand.batch([by_hand.record(0, b"v")]), producer_id=1, producer_epoch=1, base_sequence=1)


# Wrong arguments

STRIDED = memoryview(bytes(8))[::2]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (("text",), TypeError),
        ((5,), TypeError),
        ((b"v", "text"), TypeError),
        ((b"v", [b"k"]), TypeError),
        ((STRIDED,), BufferError),
        ((b"v", STRIDED), BufferError),
        ((b"v", None, 5), TypeError),
        ((b"v", None, "ab"), TypeError),
        ((b"v", None, {"name": b"x"}), TypeError),
        ((b"v", None, [("name",)]), TypeError),
        ((b"v", None, [("name", b"x", b"y")]), TypeError),
        ((b"v", None, [(b"name", b"x")]), TypeError),
        ((b"v", None, [(None, b"x")]), TypeError),
        ((b"v", None, [("name", "text")]), TypeError),
        ((b"v", None, [("name", 5)]), TypeError),
        ((b"v", None, [("name", b"x"), None]), TypeError),
        ((b"v", None, [("\udc80", b"x"), [("h",)]]), TypeError),
        ((b"v", None, [("\ud800", b"x")]), UsageError),
        ((b"v", None, None, None), TypeError),
        ((b"v", None, None, "now"), TypeError),
        ((b"v", None, None, 1.5), TypeError),
        ((b"v", None, None, -2), UsageError),
        ((b"v", None, None, 2**63 - 1), UsageError),
        ((b"v", None, None, 2**70), UsageError),
        ((b"v", None, None, -(2**70)), UsageError),
    ],
)
def test_a_record_that_cannot_be_is_refused_and_changes_nothing(
    twin: ModuleType, wrong: tuple[Any, ...], error: type[Exception]
) -> None:
    """With records before and behind it, as with none."""
    empty = twin.BatchBuilder()
    with pytest.raises(error):
        empty.append(*wrong)
    assert (empty.count, empty.size, empty.base_timestamp, empty.max_timestamp, empty.exports) == (0, 61, -1, -1, 0)
    builder = twin.BatchBuilder()
    builder.append(b"before", None, None, by_hand.BASE_TIME)
    with pytest.raises(error):
        builder.append(*wrong)
    builder.append(b"behind", None, None, by_hand.BASE_TIME)
    assert bytes(builder.seal()) == by_hand.batch([by_hand.record(0, b"before"), by_hand.record(1, b"behind")])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"codec": 5}, ConfigError),
        ({"codec": -1}, ConfigError),
        ({"codec": None}, ConfigError),
        ({"codec": Codec.GZIP, "level": 10}, ConfigError),
        ({"codec": Codec.GZIP, "level": 0}, ConfigError),
        ({"codec": Codec.SNAPPY, "level": 1}, ConfigError),
        ({"codec": Codec.NONE, "level": 1}, ConfigError),
        ({"base_offset": -1}, UsageError),
        ({"base_offset": 2**63}, UsageError),
        ({"leader_epoch": -2}, UsageError),
        ({"leader_epoch": 2**31}, UsageError),
        ({"producer_id": -2}, UsageError),
        ({"producer_id": 2**63}, UsageError),
        ({"producer_epoch": 2**15}, UsageError),
        ({"producer_epoch": -2}, UsageError),
        ({"base_sequence": 2**31}, UsageError),
        ({"base_sequence": -2}, UsageError),
        ({"producer_id": "1"}, TypeError),
        ({"producer_epoch": 1.0}, TypeError),
    ],
    ids=repr,
)
def test_a_header_that_cannot_be_is_refused(twin: ModuleType, wrong: dict[str, Any], error: type[Exception]) -> None:
    """Numbers that do not fit their fields are not cut to size, and the builder goes on as before."""
    builder = twin.BatchBuilder()
    builder.append(b"v", None, None, by_hand.BASE_TIME)
    with pytest.raises(error):
        builder.seal(**wrong)
    assert builder.exports == 0
    builder.append(b"w", None, None, by_hand.BASE_TIME)
    assert bytes(builder.seal()) == by_hand.batch([by_hand.record(0, b"v"), by_hand.record(1, b"w")])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"producer_id": 2**63}, UsageError),
        ({"producer_epoch": 2**15}, UsageError),
        ({"base_sequence": -2}, UsageError),
        ({"base_sequence": "1"}, TypeError),
    ],
    ids=repr,
)
def test_numbers_that_do_not_fit_are_not_stamped(
    twin: ModuleType, wrong: dict[str, Any], error: type[Exception]
) -> None:
    """And the batch keeps those it has."""
    batch = bytearray(by_hand.batch([by_hand.record(0, b"v")]))
    with pytest.raises(error):
        twin.stamp(batch, **{"producer_id": 1, "producer_epoch": 1, "base_sequence": 1, **wrong})
    assert bytes(batch) == by_hand.batch([by_hand.record(0, b"v")])


@pytest.mark.parametrize("wrong", ["value", "key", "both"])
def test_a_batch_never_grows_beyond_what_its_length_can_say(twin: ModuleType, wrong: str) -> None:
    """2 GiB: told before a byte is copied, and the batch is as it was."""
    builder = twin.BatchBuilder()
    builder.append(b"v", None, None, by_hand.BASE_TIME)
    huge = mmap.mmap(-1, 2**31 if wrong != "both" else 2**30)  # of which no page is ever touched
    with huge, pytest.raises(RecordTooLarge, match="2 GiB"):
        builder.append(None if wrong == "key" else huge, None if wrong == "value" else huge)
    with pytest.raises(UsageError, match="2 GiB"):
        twin.BatchBuilder(2**31)
    assert bytes(builder.seal()) == by_hand.batch([by_hand.record(0, b"v")])


def test_a_batch_without_records_cannot_be_sealed(twin: ModuleType) -> None:
    """No broker takes one."""
    with pytest.raises(UsageError, match="without records"):
        twin.BatchBuilder().seal()


def test_a_level_that_there_is_not_names_those_that_there_are(twin: ModuleType) -> None:
    """The error says what to give instead."""
    builder = twin.BatchBuilder()
    builder.append(b"v")
    with pytest.raises(ConfigError, match=r"level 99 of zstd .*1 to 22"):
        builder.seal(codec=Codec.ZSTD, level=99)


def test_the_checksum_covers_the_batch_from_its_attributes_on(twin: ModuleType) -> None:
    """Neither the offset nor the leader's epoch, which a broker writes into it."""
    builder = twin.BatchBuilder()
    builder.append(b"v", None, None, by_hand.BASE_TIME)
    first = bytes(builder.seal(base_offset=1, leader_epoch=1))
    second = bytes(builder.seal(base_offset=2, leader_epoch=2))
    assert struct.unpack_from(">I", first, 17) == struct.unpack_from(">I", second, 17)
