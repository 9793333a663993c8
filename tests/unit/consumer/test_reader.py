"""Reading record sets: what is handed out, what is left out, and where reading goes on."""

from types import ModuleType
from typing import Any

import pytest

from felice.errors import CorruptBatch, DecompressionLimit
from felice.wire.records import Codec
from wire_batches import batch, compacted, marker, sealed_again

EVERYTHING = 10**6


def reader_of(twin: ModuleType, *pieces: bytes, position: int = 0, aborted: Any = None, **options: Any) -> Any:
    reader = twin.Reader("letters", 3, 0, position, **options)
    for piece in pieces:
        reader.add(piece, aborted)
    return reader


def read_all(reader: Any, want: int = EVERYTHING) -> tuple[list[bytes | None], int]:
    """Return all values, and the position at the end."""
    values: list[bytes | None] = []
    while reader.decode(want):
        taken = reader.take(want)
        values += taken.values()
        assert reader.position == taken.next_offset
    return values, reader.position


def test_records_below_the_position_are_left_out(twin: ModuleType) -> None:
    """Brokers answer with whole batches, so the first one usually begins below what was asked for."""
    for codec in (Codec.NONE, Codec.ZSTD):
        pieces = batch(0, [b"0", b"1"], codec=codec) + batch(2, [b"2", b"3", b"4"], codec=codec) + batch(5, [b"5"])
        assert read_all(reader_of(twin, pieces, position=3)) == ([b"3", b"4", b"5"], 6)
        assert read_all(reader_of(twin, pieces, position=6)) == ([], 6)


@pytest.mark.parametrize("want", [1, 2, 3, 4, 100])
def test_any_number_at_a_time_gives_the_same_records(twin: ModuleType, want: int) -> None:
    pieces = batch(0, [b"0", b"1", b"2"]) + batch(3, [b"3"]) + batch(4, [b"4", b"5", b"6", b"7"])
    values, position = read_all(reader_of(twin, pieces, pieces[:0], batch(8, [b"8"])), want)
    assert (values, position) == ([b"%d" % n for n in range(9)], 9)


def test_no_more_than_wanted_but_whole_batches(twin: ModuleType) -> None:
    """Batches are not taken apart while others fit, and one that is too large is handed out in parts."""
    reader = reader_of(twin, batch(0, [b"0", b"1"]) + batch(2, [b"2", b"3"]) + batch(4, [b"4"] * 5))
    assert reader.decode(3) == 2
    assert reader.take(3).offsets() == [0, 1]
    assert reader.decode(3) == 2
    assert reader.take(3).offsets() == [2, 3]
    assert reader.decode(3) == 5
    assert reader.take(3).offsets() == [4, 5, 6]
    assert (reader.pending, reader.dry) == (2, False)
    assert reader.take(3).offsets() == [7, 8]
    assert reader.decode(3) == 0
    assert reader.dry


def test_small_pieces_are_read_together(twin: ModuleType) -> None:
    reader = reader_of(twin, *(batch(n, [b"%d" % n]) for n in range(10)))
    assert reader.decode(EVERYTHING) == 10
    assert reader.take(EVERYTHING).values() == [b"%d" % n for n in range(10)]


def test_an_incomplete_last_batch_is_left_for_another_answer(twin: ModuleType) -> None:
    first, second = batch(0, [b"0"]), batch(1, [b"1" * 50])
    for cut in (1, 11, 12, 16, 17, 60, 61, len(second) - 1):
        reader = reader_of(twin, first + second[:cut])
        assert read_all(reader) == ([b"0"], 1)
        reader.add(second)
        assert read_all(reader) == ([b"1" * 50], 2)


def test_10_empty_and_compacted_batches_are_moved_past(twin: ModuleType) -> None:
    """Row 10: the position becomes the last offset of the batch plus one, even when nothing is delivered."""
    assert read_all(reader_of(twin, compacted(0, 99, []))) == ([], 100)
    assert read_all(reader_of(twin, compacted(0, 99, [(5, b"kept")]))) == ([b"kept"], 100)
    assert read_all(reader_of(twin, compacted(0, 99, [(5, b"below")]), position=6)) == ([], 100)
    assert read_all(reader_of(twin, compacted(0, 9, []) + batch(10, [b"10"]))) == ([b"10"], 11)


def test_10_control_batches_are_moved_past(twin: ModuleType) -> None:
    """Row 10: markers are not for users, and reading does not stop at them."""
    pieces = batch(0, [b"0"], producer_id=7, transactional=True) + marker(1, 7, abort=False)
    assert read_all(reader_of(twin, pieces)) == ([b"0"], 2)
    assert read_all(reader_of(twin, pieces, aborted=[])) == ([b"0"], 2)
    assert read_all(reader_of(twin, marker(1, 7, abort=True), position=1)) == ([], 2)


def test_aborted_transactions_are_left_out_and_others_are_not(twin: ModuleType) -> None:
    pieces = b"".join(
        [
            batch(0, [b"aborted 0"], producer_id=7, transactional=True),
            batch(1, [b"plain 1"]),
            batch(2, [b"committed 2"], producer_id=8, transactional=True),
            batch(3, [b"aborted 3", b"aborted 4"], producer_id=7, transactional=True, codec=Codec.LZ4),
            batch(5, [b"idempotent 5"], producer_id=7),
            marker(6, 7, abort=True),
            batch(7, [b"committed 7"], producer_id=7, transactional=True),
            marker(8, 8, abort=False),
            batch(9, [b"aborted 9"], producer_id=7, transactional=True),
            marker(10, 7, abort=False),
            batch(11, [b"aborted 11"], producer_id=8, transactional=True),
            marker(12, 8, abort=True),
        ]
    )
    # Producer 7 committed from 7 to 10; what is at 9 belongs to that transaction too, whatever its text says.
    aborted = [(8, 11), (7, 0)]
    expected = [b"plain 1", b"committed 2", b"idempotent 5", b"committed 7", b"aborted 9"]
    for want in (1, 3, EVERYTHING):
        assert read_all(reader_of(twin, pieces, aborted=aborted), want) == (expected, 13)
    everything, position = read_all(reader_of(twin, pieces))
    assert (len(everything), position) == (9, 13)


def test_each_answer_has_a_list_of_aborted_transactions_of_its_own(twin: ModuleType) -> None:
    """A transaction that is still listed in a later answer is left out there from that answer's beginning."""
    reader = twin.Reader("letters", 0, 0, 0)
    reader.add(batch(0, [b"0"], producer_id=7, transactional=True), [(7, 0)])
    reader.add(batch(1, [b"1"], producer_id=7, transactional=True) + marker(2, 7, abort=True), [(7, 0)])
    reader.add(batch(3, [b"3"], producer_id=7, transactional=True), [])
    assert read_all(reader) == ([b"3"], 4)


def test_an_aborted_transaction_of_which_only_the_marker_is_read_ends_with_it(twin: ModuleType) -> None:
    """Reading began behind its records: what its producer writes next is another transaction."""
    pieces = marker(5, 7, abort=True) + batch(6, [b"committed"], producer_id=7, transactional=True)
    assert read_all(reader_of(twin, pieces, position=5, aborted=[(7, 0)])) == ([b"committed"], 7)
    tail = batch(3, [b"aborted 3", b"aborted 4"], producer_id=7, transactional=True) + pieces
    assert read_all(reader_of(twin, tail, position=4, aborted=[(7, 0)])) == ([b"committed"], 7)


def test_a_marker_of_an_unknown_kind_ends_no_aborted_transaction(twin: ModuleType) -> None:
    unknown = bytearray(marker(1, 7, abort=True))
    at = unknown.index(b"\0\0\0\0", 66)
    unknown[at + 3] = 9
    pieces = sealed_again(unknown) + batch(2, [b"2"], producer_id=7, transactional=True)
    assert read_all(reader_of(twin, pieces, aborted=[(7, 0)])) == ([], 3)


# -- damage -----------------------------------------------------------------------------------------------------------


def damaged(where: int = -1) -> bytes:
    wire = bytearray(batch(2, [b"2", b"3"]))
    wire[where] ^= 0xFF
    return bytes(wire)


def test_16_a_wrong_checksum_stops_at_the_batch_after_all_before_it(twin: ModuleType) -> None:
    """Row 16: verified by default; the position does not move; the offset behind it is told."""
    reader = reader_of(twin, batch(0, [b"0", b"1"]) + damaged() + batch(4, [b"4"]))
    assert reader.decode(EVERYTHING) == 2
    assert reader.take(EVERYTHING).values() == [b"0", b"1"]
    for _ in range(3):
        with pytest.raises(CorruptBatch, match="letters-3 at offset 2 is damaged: its checksum"):
            reader.decode(EVERYTHING)
        assert (reader.position, reader.failed_next) == (2, 4)


def test_checksums_can_be_left_unverified(twin: ModuleType) -> None:
    wire = bytearray(batch(0, [b"abc"]))
    wire[17] ^= 0xFF
    assert read_all(reader_of(twin, bytes(wire), check_crc=False)) == ([b"abc"], 1)


def change(at: int, content: bytes) -> bytes:
    wire = bytearray(batch(0, [b"a", b"b"]))
    wire[at : at + len(content)] = content
    return sealed_again(wire)


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (change(8, b"\0\0\0\x30"), "length is less"),
        (change(8, b"\xff\xff\xff\xff"), "length is less"),
        (change(16, b"\x01"), "another format"),
        (change(57, b"\x7f\xff\xff\xff"), "count of records"),
        (change(57, b"\xff\xff\xff\xff"), "count of records"),
        (change(23, b"\xff\xff\xff\xff"), "count of records"),
        (change(0, b"\xff" * 8), "count of records"),
        (change(0, b"\x7f" + b"\xff" * 7), "count of records"),
        (change(57, b"\0\0\0\x01"), "records do not fit"),
        (change(61, b"\x7e"), "records do not fit"),
        (change(64, b"\x06"), "records do not fit"),
        (change(22, b"\x07"), "codec 7"),
    ],
)
def test_14_batches_that_make_no_sense_are_refused_with_the_reason(twin: ModuleType, wire: bytes, reason: str) -> None:
    """Row 14: every length and count is checked against the bytes that are there."""
    reader = reader_of(twin, wire)
    with pytest.raises(CorruptBatch, match=reason):
        reader.decode(EVERYTHING)
    assert reader.position == 0
    assert twin.scan(wire, 0)[0] == len(wire)


def test_a_compressed_batch_that_is_damaged_inside_is_refused(twin: ModuleType) -> None:
    wire = bytearray(batch(0, [b"abc" * 100], codec=Codec.ZSTD))
    wire[-10:] = b"\xff" * 10
    reader = reader_of(twin, sealed_again(wire))
    with pytest.raises(CorruptBatch):
        reader.decode(EVERYTHING)
    assert reader.failed_next == 1


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_17_a_compression_bomb_is_refused_after_all_before_it(twin: ModuleType, codec: Codec) -> None:
    """Row 17: the limit holds, the position stays, and the offset behind the bomb is told."""
    bomb = batch(1, [b"\0" * 1_000_000], codec=codec)
    reader = reader_of(twin, batch(0, [b"0"], codec=codec) + bomb, max_batch_bytes=100_000)
    assert reader.decode(EVERYTHING) == 1
    assert reader.take(1).values() == [b"0"]
    with pytest.raises(DecompressionLimit):
        reader.decode(EVERYTHING)
    assert (reader.position, reader.failed_next) == (1, 2)
    allowed = reader_of(twin, bomb, position=1, max_batch_bytes=2_000_000)
    assert read_all(allowed) == ([b"\0" * 1_000_000], 2)


def test_unpacked_batches_do_not_pile_up(twin: ModuleType) -> None:
    """A table holds a few megabytes of unpacked data, however many records are wanted."""
    piece = b"".join(batch(n, [b"\0" * 1_000_000], codec=Codec.ZSTD) for n in range(20))
    reader = reader_of(twin, piece)
    assert reader.decode(EVERYTHING) == 5
    assert len(reader.take(EVERYTHING)) == 5
    assert reader.decode(EVERYTHING) == 5


# -- looking ahead ----------------------------------------------------------------------------------------------------


def test_scan_says_what_is_whole_and_where_to_go_on(twin: ModuleType) -> None:
    first, second = batch(0, [b"0", b"1"], leader_epoch=4), batch(2, [b"2" * 50], leader_epoch=5)
    assert twin.scan(first + second, 0) == (len(first + second), 3, 0, 5)
    assert twin.scan(first + second[:-1], 0) == (len(first), 2, len(second), 4)
    assert twin.scan(first + second[:11], 0) == (len(first), 2, 0, 4)
    assert twin.scan(first[:20], 0) == (0, 0, len(first), -1)
    assert twin.scan(b"", 17) == (0, 17, 0, -1)
    assert twin.scan(memoryview(first), 10) == (len(first), 10, 0, 4)


def test_scan_leaves_nonsense_to_the_reader(twin: ModuleType) -> None:
    pieces = batch(0, [b"0"]) + change(16, b"\x01")
    assert twin.scan(pieces, 0) == (len(pieces), 1, -1, 3)
