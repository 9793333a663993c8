"""The codecs: what other clients write is read, and what lies about its size gets no more memory than it may."""

import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import cramjam
import pytest

from felice.errors import ConfigError, CorruptBatch, DecompressionLimit
from felice.wire.compression import Codec, compress, decompress

PACKED = [codec for codec in Codec if codec is not Codec.NONE]
LETTER = b'{"from": "Franz", "to": "Felice", "city": "Prague", "year": 1912}\n'
SKIPPABLE = struct.pack("<II", 0x184D2A5A, 5) + b"notes"


def letters(size: int) -> bytes:
    """Text that packs to about a fifth."""
    chance = random.Random(size)
    made = bytearray()
    while len(made) < size:
        made += LETTER.replace(b"1912", b"%d" % chance.randrange(10**12))
    return bytes(made[:size])


def lz4_frame(data: bytes, **options: Any) -> bytes:
    """Pack with the options of a frame that other clients may choose."""
    frame = cramjam.lz4.Compressor(**options)
    frame.compress(data)
    return bytes(frame.finish())


def lz4_with_size(data: bytes) -> bytes:
    """An lz4 frame of stored blocks that tells its content's size."""
    blocks = [stored(data[start : start + 65536]) for start in range(0, len(data), 65536)]
    return frame_head(b"\x68\x40" + struct.pack("<Q", len(data))) + b"".join(blocks) + bytes(4)


def frame_head(descriptor: bytes) -> bytes:
    """An lz4 frame's magic, descriptor and its checksum, the second byte of its xxHash."""
    return struct.pack("<I", 0x184D2204) + descriptor + bytes([xxh32(descriptor) >> 8 & 0xFF])


def stored(data: bytes) -> bytes:
    """An lz4 block that is not packed."""
    return struct.pack("<I", len(data) | 1 << 31) + data


def xxh32(data: bytes) -> int:
    """XXH32 of fewer than sixteen bytes."""
    p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
    mask = 0xFFFFFFFF
    h = p5 + len(data)
    whole = len(data) & ~3
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        h = h + word * p3 & mask
        h = (h << 17 | h >> 15) * p4 & mask
    for byte in data[whole:]:
        h = h + byte * p5 & mask
        h = (h << 11 | h >> 21) * p1 & mask
    h = (h ^ h >> 15) * p2 & mask
    h = (h ^ h >> 13) * p3 & mask
    return h ^ h >> 16


def zstd_stream(data: bytes) -> bytes:
    """A zstd frame that does not tell its content's size, as writers of streams make them."""
    stream = cramjam.zstd.Compressor(level=3)
    for start in range(0, len(data), 10_000):
        stream.compress(data[start : start + 10_000])
    return bytes(stream.finish())


def xerial(*blocks: bytes) -> bytes:
    """Snappy blocks as xerial's library frames them."""
    head = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
    packed = [bytes(cramjam.snappy.compress_raw(block)) for block in blocks]
    return head + b"".join(struct.pack(">i", len(block)) + block for block in packed)


def runs(blocks: int, size: int) -> bytes:
    """A zstd frame of runs of one byte: four bytes for each `size`."""
    block = size << 3 | 1 << 1
    heads = [block] * (blocks - 1) + [block | 1]
    body = b"".join(head.to_bytes(3, "little") + b"x" for head in heads)
    return struct.pack("<I", 0xFD2FB528) + b"\x00\x58" + body


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("size", [0, 1, 100, 32767, 32769, 65536, 65537, 131_073, 1_000_003])
def test_what_is_packed_unpacks(codec: Codec, size: int) -> None:
    """Sizes on both sides of every block's end; the limit may be reached exactly."""
    data = letters(size)
    assert bytes(decompress(codec, compress(codec, data), size)) == data


@pytest.mark.parametrize("codec", PACKED)
def test_what_cannot_be_packed_unpacks_all_the_same(codec: Codec) -> None:
    """Random bytes grow by a little."""
    data = random.Random(1912).randbytes(300_000)
    packed = compress(codec, data)
    assert len(packed) < 1.01 * len(data)
    assert bytes(decompress(codec, packed, len(data))) == data


FOREIGN: dict[str, tuple[Codec, Callable[[bytes], bytes]]] = {
    "lz4 linked blocks, checksums": (Codec.LZ4, lambda d: bytes(cramjam.lz4.compress(d))),
    "lz4 content checksum": (Codec.LZ4, lambda d: lz4_frame(d, content_checksum=True, block_linked=False)),
    "lz4 content size": (Codec.LZ4, lz4_with_size),
    "lz4 two frames": (Codec.LZ4, lambda d: lz4_frame(d[:70_000], level=1) + lz4_frame(d[70_000:], level=9)),
    "zstd content size": (Codec.ZSTD, lambda d: bytes(cramjam.zstd.compress(d, level=1))),
    "zstd no content size": (Codec.ZSTD, zstd_stream),
    "zstd two frames": (Codec.ZSTD, lambda d: zstd_stream(d[:9000]) + bytes(cramjam.zstd.compress(d[9000:]))),
    "zstd behind skippable": (Codec.ZSTD, lambda d: SKIPPABLE + zstd_stream(d)),
    "snappy raw": (Codec.SNAPPY, lambda d: bytes(cramjam.snappy.compress_raw(d))),
    "snappy xerial": (Codec.SNAPPY, lambda d: xerial(d[:5], d[5:40_000], d[40_000:])),
    "snappy two xerial streams": (Codec.SNAPPY, lambda d: xerial(d[:5000]) + xerial(d[5000:])),
    "gzip with a file's name": (Codec.GZIP, lambda d: b"\x1f\x8b\x08\x08" + bytes(6) + b"letters\0" + gzip_tail(d)),
    "gzip two members": (Codec.GZIP, lambda d: zlib.compress(d[:100], 9, 31) + zlib.compress(d[100:], 1, 31)),
}


def gzip_tail(data: bytes) -> bytes:
    """What is behind the header of a gzip member."""
    return zlib.compress(data, 6, 31)[10:]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("size", [200, 200_000])
def test_what_other_clients_write_unpacks(name: str, size: int) -> None:
    """Every framing that Kafka's clients are known to choose; the limit holds to the byte in each."""
    codec, pack = FOREIGN[name]
    data = letters(size)
    packed = pack(data)
    assert bytes(decompress(codec, packed, size)) == data
    with pytest.raises(DecompressionLimit):
        decompress(codec, packed, size - 1)


def test_lz4_is_written_in_independent_blocks() -> None:
    """The Java client refuses linked ones (KIP-57)."""
    packed = compress(Codec.LZ4, letters(200_000))
    version, independent = packed[4] >> 6, packed[4] >> 5 & 1
    assert (packed[:4], version, independent) == (b"\x04\x22\x4d\x18", 1, 1)


def test_snappy_is_written_in_xerial_blocks() -> None:
    """The Java client expects them: 32 KiB each."""
    packed = compress(Codec.SNAPPY, letters(40_000))
    assert packed[:16] == b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
    (first,) = struct.unpack_from(">i", packed, 16)
    assert cramjam.snappy.decompress_raw_len(packed[20 : 20 + first]) == 32768


@pytest.mark.parametrize(("codec", "low", "high"), [(Codec.GZIP, 1, 9), (Codec.LZ4, 1, 12), (Codec.ZSTD, 1, 22)])
def test_levels_trade_time_for_bytes(codec: Codec, low: int, high: int) -> None:
    """The levels that a codec has are those that it takes (KIP-390)."""
    data = letters(100_000)
    assert len(compress(codec, data, high)) < len(compress(codec, data, low))
    assert (codec.levels[0], codec.levels[-1]) == (low, high)
    for level in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"levels {low} to {high}"):
            compress(codec, data, level)


def test_snappy_has_no_levels() -> None:
    """And says so."""
    with pytest.raises(ConfigError, match="it has none"):
        compress(Codec.SNAPPY, b"data", 1)


@pytest.mark.parametrize("name", ["rar", "LZ5", 5, -1])
def test_a_codec_that_there_is_not_is_named(name: Any) -> None:
    """With those that there are."""
    with pytest.raises(ConfigError, match="none, gzip, snappy, lz4, zstd"):
        Codec.parse(name)


@pytest.mark.parametrize("codec", PACKED)
def test_data_cut_anywhere_are_corrupt(codec: Codec) -> None:
    """No part is taken for the whole, down to a single byte."""
    packed = compress(codec, letters(1000))
    for end in range(1, len(packed)):
        if codec is Codec.SNAPPY and end == 16:
            continue  # the head alone is a whole stream of nothing
        with pytest.raises(CorruptBatch):
            decompress(codec, packed[:end], 10_000)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.LZ4, Codec.ZSTD])
def test_bytes_behind_the_end_are_corrupt(codec: Codec) -> None:
    """They belong to nothing."""
    with pytest.raises(CorruptBatch):
        decompress(codec, compress(codec, letters(1000)) + b"ps: write soon", 10_000)


@pytest.mark.parametrize(
    ("codec", "packed"),
    [
        (Codec.ZSTD, struct.pack("<I", 0xFD2FB528) + b"\xe0" + struct.pack("<Q", 2**60) + b"\x01\x00\x00"),
        (Codec.ZSTD, struct.pack("<I", 0xFD2FB528) + b"\x00\xff\x05\x00\x00"),
        (Codec.LZ4, frame_head(b"\x68\x70" + struct.pack("<Q", 2**60)) + stored(b"x") + bytes(4)),
        (Codec.LZ4, frame_head(b"\x60\x70") + struct.pack("<I", 2**31 - 1) + b"x"),
        (Codec.SNAPPY, b"\xff\xff\xff\xff\x0f\x00x"),
        (Codec.SNAPPY, xerial(b"x")[:16] + struct.pack(">i", 7) + b"\xff\xff\xff\xff\x0f\x00x"),
        (Codec.SNAPPY, xerial(b"x")[:16] + struct.pack(">i", 2**31 - 1) + b"\x01\x00x"),
        (Codec.SNAPPY, xerial(b"x")[:16] + struct.pack(">i", -1) + b"\x01\x00x"),
        (Codec.GZIP, compress(Codec.GZIP, b"x")[:-4] + struct.pack("<I", 2**32 - 1)),
    ],
    ids=lambda value: value.name if isinstance(value, Codec) else bytes(value[:12]).hex(),
)
def test_row_17_a_header_that_lies_gets_no_memory(codec: Codec, packed: bytes) -> None:
    """A few bytes that claim up to 2**60: refused, and nothing near that is allocated."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptBatch):
            decompress(codec, packed, 2**31 - 1)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


BOMBS: dict[str, tuple[Codec, bytes]] = {
    **{codec.name: (codec, compress(codec, bytes(50_000_000))) for codec in PACKED},
    "zstd runs": (Codec.ZSTD, runs(400, 128 * 1024)),
    "gzip members": (Codec.GZIP, zlib.compress(bytes(1_000_000), 9, 31) * 50),
    "snappy raw": (Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(bytes(50_000_000)))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_row_17_a_bomb_stops_at_the_limit(name: str) -> None:
    """Fifty megabytes of nothing: refused as too much, in no more memory than the limit and what zlib adds to it."""
    codec, packed = BOMBS[name]
    limit = 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(DecompressionLimit, match="more than 1000000 bytes"):
            decompress(codec, packed, limit)
        # A part of the bomb itself may be copied; of what it holds, no more than the limit is made.
        assert tracemalloc.get_traced_memory()[1] < 2.2 * limit + 2 * len(packed)
    finally:
        tracemalloc.stop()


def test_row_17_a_small_batch_that_unpacks_to_much_is_taken_within_the_limit() -> None:
    """A limit that is too strict stops a partition for good: nothing else decides than the bytes that come out."""
    for codec, packed in BOMBS.values():
        assert not bytes(decompress(codec, packed, 60_000_000)).strip(b"\0x")


def test_unpacked_data_keep_no_more_memory_than_they_have() -> None:
    """A tiny batch whose block could hold 128 KiB does not hold on to them."""
    tracemalloc.start()
    try:
        kept = [decompress(codec, compress(codec, b"dear felice"), 2**20) for codec in PACKED for _ in range(100)]
        assert tracemalloc.get_traced_memory()[0] < 1000 * len(kept)
    finally:
        tracemalloc.stop()


def test_thousands_of_members_take_time_by_their_bytes() -> None:
    """Each empty gzip member has twenty bytes; a copy of the rest at every one would be three gigabytes."""
    empty = zlib.compress(b"", 6, 31)
    assert decompress(Codec.GZIP, empty * 20_000, 100) == b""


@pytest.mark.parametrize("codec", PACKED)
def test_spoiled_data_give_a_value_or_a_wire_error(codec: Codec, seed: int) -> None:
    """Whatever bytes change; and a value is never above the limit."""
    chance = random.Random(seed)
    outcomes = set()
    for _ in range(400):
        packed = bytearray(compress(codec, letters(chance.choice((10, 300, 70_000)))))
        for _ in range(chance.randrange(1, 5)):
            reach = len(packed) if chance.random() < 0.5 else min(len(packed), 24)
            packed[chance.randrange(reach)] = chance.randrange(256)
        try:
            outcomes.add(len(decompress(codec, packed, 100_000)) <= 100_000)
        except (CorruptBatch, DecompressionLimit) as error:
            outcomes.add(type(error).__name__)
    assert "CorruptBatch" in outcomes
    assert False not in outcomes


@pytest.mark.parametrize("codec", PACKED)
def test_random_bytes_are_corrupt(codec: Codec, seed: int) -> None:
    """Also behind the right magic number."""
    chance = random.Random(seed)
    magic = compress(codec, b"x")[:4]
    for _ in range(300):
        junk = chance.randbytes(chance.randrange(1, 60))
        for data in (junk, magic + junk):
            try:
                assert len(decompress(codec, data, 100_000)) <= 100_000
            except (CorruptBatch, DecompressionLimit):
                continue
            assert codec is Codec.SNAPPY, "of raw snappy a few bytes may be valid; the others have their checks"
