"""The codecs: every level, what other people's programs write, and limits that hold against lies."""

import gzip
import io
import itertools
import random
import struct
import tracemalloc
import zlib

import cramjam
import lz4.frame
import pytest
import snappy
import zstandard

from felice.errors import ConfigError, CorruptBatch, DecompressionLimit
from felice.wire.records import Codec, compress, decompress

PACKERS = [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]
LETTER = b"Dearest, I was given your letter before the evening performance. " * 400
SIZES = [0, 1, 2, 100, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 131_072, 300_000]


def text(size: int, seed: int = 1) -> bytes:
    """Words at random: neither constant nor noise."""
    rng = random.Random(seed)
    words = [b"night ", b"office ", b"letter ", b"reply ", b"Prague ", b"Berlin "]
    return b"".join(rng.choices(words, k=size // 6 + 1))[:size]


# Ours


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("size", SIZES)
def test_what_is_packed_is_unpacked(codec: Codec, size: int) -> None:
    """Text, constants and noise, around the sizes of blocks, with a limit of just their size."""
    for data in (text(size), bytes(size), random.Random(size).randbytes(size)):
        assert bytes(decompress(codec, compress(codec, data), size)) == data


@pytest.mark.parametrize("codec", list(Codec))
def test_data_may_be_any_buffer(codec: Codec) -> None:
    """Packed and unpacked."""
    packed = compress(codec, LETTER)
    for kind in (bytes, bytearray, memoryview):
        assert compress(codec, kind(LETTER)) == packed
        assert bytes(decompress(codec, kind(packed), len(LETTER))) == LETTER


@pytest.mark.parametrize("codec", PACKERS)
def test_every_level_packs(codec: Codec) -> None:
    """From the lowest to the highest, and none at all is the codec's usual one."""
    for level in [None, *codec.levels]:
        packed = compress(codec, LETTER, level)
        assert len(packed) < len(LETTER) / 5
        assert bytes(decompress(codec, packed, len(LETTER))) == LETTER


def test_the_levels_are_those_of_kafka_as_far_as_they_mean_something() -> None:
    """KIP-390; snappy has none."""
    assert [(codec.levels[0], codec.levels[-1]) for codec in (Codec.GZIP, Codec.LZ4, Codec.ZSTD)] == [
        (1, 9),
        (1, 12),
        (1, 22),
    ]
    assert len(Codec.NONE.levels) == len(Codec.SNAPPY.levels) == 0


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.ZSTD])
def test_a_higher_level_packs_tighter(codec: Codec) -> None:
    """The level reaches the codec."""
    data = text(200_000)
    assert len(compress(codec, data, codec.levels[-1])) < len(compress(codec, data, codec.levels[0]))


@pytest.mark.parametrize(
    ("codec", "level"),
    [
        (Codec.GZIP, 0),
        (Codec.GZIP, 10),
        (Codec.GZIP, -1),
        (Codec.LZ4, 0),
        (Codec.LZ4, 13),
        (Codec.ZSTD, 0),
        (Codec.ZSTD, 23),
        (Codec.SNAPPY, 1),
        (Codec.NONE, 0),
        (Codec.ZSTD, 1.0),
        (Codec.ZSTD, "3"),
        (Codec.ZSTD, True),
    ],
)
def test_a_level_that_there_is_not_is_refused(codec: Codec, level: int) -> None:
    """And the error says which there are."""
    with pytest.raises(ConfigError, match=rf"of {codec.name.lower()} .*(has levels \d+ to \d+|it has none)"):
        compress(codec, b"x", level)


@pytest.mark.parametrize("name", ["lz4", "LZ4", 3, Codec.LZ4])
def test_a_codec_is_found_by_name_and_number(name: str | int) -> None:
    """As configurations give it."""
    assert Codec.parse(name) is Codec.LZ4


@pytest.mark.parametrize("name", ["brotli", "", 5, -1, None, 3.5, b"lz4"])
def test_a_codec_that_there_is_not_names_those_that_there_are(name: str) -> None:
    """A ConfigError, with every name in it."""
    with pytest.raises(ConfigError, match="none, gzip, snappy, lz4, zstd"):
        Codec.parse(name)


# Formats: what ours are for others


def test_ours_are_read_by_the_formats_own_libraries() -> None:
    """zlib, Google's zstd and lz4 as others bind them, and xerial's blocks by python-snappy."""
    for data in (b"", b"x", LETTER, text(300_000), bytes(1 << 20)):
        assert gzip.decompress(compress(Codec.GZIP, data)) == data
        assert zstandard.ZstdDecompressor().decompress(compress(Codec.ZSTD, data)) == data
        assert lz4.frame.decompress(compress(Codec.LZ4, data)) == data
        blocks = compress(Codec.SNAPPY, data)
        assert blocks[:16] == b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)
        assert b"".join(snappy.uncompress(block) for block in xerial_blocks(blocks)) == data


def xerial_blocks(data: bytes) -> list[bytes]:
    """The blocks behind xerial's head."""
    found, at = [], 16
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def test_lz4_is_written_as_the_java_client_reads_it() -> None:
    """Independent blocks of 64 KiB and no dictionary: its reader knows no others."""
    info = lz4.frame.get_frame_info(compress(Codec.LZ4, text(300_000)))
    assert (info["block_linked"], info["block_size"], info["skippable"]) == (False, 65_536, False)


def test_zstd_says_how_much_it_holds() -> None:
    """A reader that trusts it, as kafka-python, needs no guess."""
    assert zstandard.frame_content_size(compress(Codec.ZSTD, text(300_000))) == 300_000


# Formats: what others write


def gzip_with_a_name(data: bytes) -> bytes:
    """As the gzip program does: name, time and comment in the header."""
    out = io.BytesIO()
    with gzip.GzipFile("letters.txt", "wb", fileobj=out, mtime=12345) as file:
        file.write(data)
    return out.getvalue()


def xerial(*blocks: bytes, head: bytes = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)) -> bytes:
    """Blocks in the framing of xerial's Java library."""
    packed = [snappy.compress(block) for block in blocks]
    return head + b"".join(struct.pack(">i", len(block)) + block for block in packed)


def lz4_frame(data: bytes, **options: object) -> bytes:
    """As the C library writes it."""
    return bytes(lz4.frame.compress(data, **options))


def streamed_zstd(data: bytes) -> bytes:
    """In many small pieces, so that the size is not known when the frame begins: as zstd-jni and librdkafka may."""
    packer = zstandard.ZstdCompressor().compressobj()
    pieces = [packer.compress(data[at : at + 1000]) for at in range(0, len(data), 1000)]
    return b"".join([*pieces, packer.flush()])


FOREIGN = {
    "gzip, with a name and a time": (Codec.GZIP, gzip_with_a_name),
    "gzip, stored": (Codec.GZIP, lambda data: gzip.compress(data, 0)),
    "gzip, several members": (Codec.GZIP, lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
    "gzip, empty members": (Codec.GZIP, lambda data: gzip.compress(b"") * 3 + gzip.compress(data)),
    "gzip, a member a byte": (
        Codec.GZIP,
        lambda data: b"".join(gzip.compress(data[at : at + 1]) for at in range(50)) + gzip.compress(data[50:]),
    ),
    "snappy, raw as librdkafka": (Codec.SNAPPY, snappy.compress),
    "snappy, xerial": (Codec.SNAPPY, lambda data: xerial(data[:2000], data[2000:])),
    "snappy, xerial in large blocks": (Codec.SNAPPY, xerial),
    "snappy, xerial of another version": (
        Codec.SNAPPY,
        lambda data: xerial(data, head=b"\x82SNAPPY\0" + struct.pack(">ii", 2, 1)),
    ),
    "snappy, xerial streams joined": (Codec.SNAPPY, lambda data: xerial(data[:900]) + xerial(data[900:])),
    "lz4, linked blocks": (Codec.LZ4, lambda data: lz4_frame(data, block_linked=True)),
    "lz4, independent blocks": (Codec.LZ4, lambda data: lz4_frame(data, block_linked=False)),
    "lz4, content checksum": (Codec.LZ4, lambda data: lz4_frame(data, content_checksum=True)),
    "lz4, block checksums": (Codec.LZ4, lambda data: lz4_frame(data, block_checksum=True)),
    "lz4, every checksum and linked": (
        Codec.LZ4,
        lambda data: lz4_frame(data, content_checksum=True, block_checksum=True, block_linked=True),
    ),
    "lz4, without a size": (Codec.LZ4, lambda data: lz4_frame(data, store_size=False)),
    "lz4, blocks of 4 MB": (Codec.LZ4, lambda data: lz4_frame(data, block_size=lz4.frame.BLOCKSIZE_MAX4MB)),
    "lz4, frames joined": (Codec.LZ4, lambda data: lz4_frame(data[:99]) + lz4_frame(data[99:])),
    "lz4, a skippable frame before": (
        Codec.LZ4,
        lambda data: struct.pack("<II", 0x184D2A50, 5) + b"aside" + lz4_frame(data),
    ),
    "lz4, a high level": (Codec.LZ4, lambda data: lz4_frame(data, compression_level=16)),
    "zstd, without a size": (Codec.ZSTD, streamed_zstd),
    "zstd, without a size, in one piece": (
        Codec.ZSTD,
        lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
    ),
    "zstd, with a checksum": (
        Codec.ZSTD,
        lambda data: zstandard.ZstdCompressor(write_checksum=True, level=19).compress(data),
    ),
    "zstd, a negative level": (Codec.ZSTD, lambda data: zstandard.ZstdCompressor(level=-5).compress(data)),
    "zstd, frames joined": (Codec.ZSTD, lambda data: streamed_zstd(data[:99]) + compress(Codec.ZSTD, data[99:])),
    "zstd, a skippable frame before": (
        Codec.ZSTD,
        lambda data: struct.pack("<II", 0x184D2A5F, 5) + b"aside" + streamed_zstd(data),
    ),
    "zstd, a window of 128 MB": (
        Codec.ZSTD,
        lambda data: zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
        ).compress(data),
    ),
}


@pytest.mark.parametrize(("codec", "packer"), FOREIGN.values(), ids=FOREIGN)
def test_what_others_write_is_read(codec: Codec, packer) -> None:  # type: ignore[no-untyped-def]
    """Text, constants and noise, with a limit of just their size; and not a byte less."""
    for data in (text(200_000), bytes(200_000), random.Random(3).randbytes(200_000)):
        packed = packer(data)
        assert bytes(decompress(codec, packed, len(data))) == data
        with pytest.raises(DecompressionLimit):
            decompress(codec, packed, len(data) - 1)


# Damage


@pytest.mark.parametrize("codec", PACKERS)
def test_what_ends_too_early_is_damage(codec: Codec) -> None:
    """At every place, and never a part of the data; nor a matter of the limit."""
    data = text(3000)
    packed = compress(codec, data)
    for size in range(len(packed)):
        if codec is Codec.SNAPPY and size == 16:
            continue  # xerial's head alone is an empty stream
        with pytest.raises(CorruptBatch):
            decompress(codec, packed[:size], len(data))


@pytest.mark.parametrize(("codec", "packer"), FOREIGN.values(), ids=FOREIGN)
def test_what_others_write_is_damage_where_it_is_cut(codec: Codec, packer) -> None:  # type: ignore[no-untyped-def]
    """What comes out of it, if anything, are the whole streams before the cut: never a part of one."""
    data = text(3000)
    packed = packer(data)
    for size in range(len(packed)):
        try:
            found = bytes(decompress(codec, packed[:size], len(data)))
        except CorruptBatch:
            continue
        assert data.startswith(found)
        assert found in [data[:whole] for whole in (*range(51), 99, 900, 2000)]


@pytest.mark.parametrize("codec", PACKERS)
def test_noise_is_damage(codec: Codec, seed: int) -> None:
    """Of any size, none included."""
    rng = random.Random(seed)
    for size in itertools.chain(range(40), range(40, 400, 13)):
        with pytest.raises(CorruptBatch):
            decompress(codec, rng.randbytes(size), 1 << 20)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.LZ4, Codec.ZSTD])
def test_something_behind_the_data_is_damage(codec: Codec) -> None:
    """Only another stream of the same kind may follow."""
    with pytest.raises(CorruptBatch):
        decompress(codec, compress(codec, LETTER) + b"something else", 1 << 20)


# Row 17: bombs and lies


def peak_of(codec: Codec, packed: bytes, limit: int, error: type[Exception]) -> int:
    """Unpack what must fail, and return the most bytes that Python allocated meanwhile."""
    tracemalloc.start()
    try:
        with pytest.raises(error):
            decompress(codec, packed, limit)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ZEROS = bytes(64 << 20)
BOMBS = {
    "gzip": (Codec.GZIP, zlib.compress(ZEROS, 9, 31)),
    "gzip, many members": (Codec.GZIP, gzip.compress(bytes(1 << 16)) * 1024),
    "snappy, raw": (Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(ZEROS))),
    "snappy, xerial": (Codec.SNAPPY, compress(Codec.SNAPPY, ZEROS)),
    "lz4": (Codec.LZ4, lz4_frame(ZEROS, store_size=False)),
    "lz4, with its size": (Codec.LZ4, lz4_frame(ZEROS)),
    "zstd": (Codec.ZSTD, streamed_zstd(ZEROS[: 16 << 20])),
    "zstd, with its size": (Codec.ZSTD, compress(Codec.ZSTD, ZEROS)),
}


@pytest.mark.parametrize(("codec", "bomb"), BOMBS.values(), ids=BOMBS)
def test_row_17_a_bomb_costs_no_more_than_the_limit(codec: Codec, bomb: bytes) -> None:
    """In memory: twice the limit (zlib joins its pieces), and a little for each block of the bomb."""
    limit = 1 << 20
    assert peak_of(codec, bomb, limit, DecompressionLimit) <= 2 * limit + 2 * len(bomb) + (64 << 10)


def zstd_frame(said: int, block: bytes) -> bytes:
    """A frame of one stored block that claims another size."""
    return struct.pack("<IBQ", 0xFD2FB528, 0xE0, said) + (len(block) << 3 | 1).to_bytes(3, "little") + block


def snappy_preamble(size: int) -> bytes:
    """The length that a raw block begins with."""
    out = bytearray()
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size])


XERIAL_HEAD = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)
LIES = {
    "snappy says 4 GB": (Codec.SNAPPY, snappy_preamble(2**32 - 1) + b"\0a"),
    "snappy says 60 MB": (Codec.SNAPPY, snappy_preamble(60 << 20) + b"\0a"),
    "snappy says more than 32 bits": (Codec.SNAPPY, snappy_preamble(2**40) + b"\0a"),
    "snappy says less": (Codec.SNAPPY, snappy_preamble(1) + b"\x08abc"),
    "xerial says 2 GB": (Codec.SNAPPY, XERIAL_HEAD + struct.pack(">i", 2**31 - 1) + b"abc"),
    "xerial says less than nothing": (Codec.SNAPPY, XERIAL_HEAD + struct.pack(">i", -1) + b"abc"),
    "xerial says nothing": (Codec.SNAPPY, XERIAL_HEAD + struct.pack(">i", 0) * 5),
    "xerial's block says 60 MB": (
        Codec.SNAPPY,
        XERIAL_HEAD + struct.pack(">i", 6) + snappy_preamble(60 << 20) + b"\0a",
    ),
    "zstd says 2**60": (Codec.ZSTD, zstd_frame(2**60, b"abc")),
    "zstd says 60 MB": (Codec.ZSTD, zstd_frame(60 << 20, b"abc")),
    "zstd says less": (Codec.ZSTD, zstd_frame(1, b"abc")),
    "zstd has a window of 2 TB": (Codec.ZSTD, struct.pack("<IBB", 0xFD2FB528, 0, 0xF8) + b"\x19\0\0abc"),
    "gzip says another size": (Codec.GZIP, gzip.compress(LETTER)[:-4] + struct.pack("<I", 5)),
    "gzip has another checksum": (Codec.GZIP, gzip.compress(LETTER)[:-8] + bytes(8)),
    "lz4 has a block of 2 GB": (
        Codec.LZ4,
        lz4_frame(b"", store_size=False)[:7] + struct.pack("<I", 2**31 - 1) + b"abc",
    ),
    "lz4 has a stored block of 2 GB": (
        Codec.LZ4,
        lz4_frame(b"", store_size=False)[:7] + struct.pack("<I", 2**32 - 1) + b"abc",
    ),
}


@pytest.mark.parametrize(("codec", "lie"), LIES.values(), ids=LIES)
def test_row_17_what_the_data_say_of_their_size_is_not_believed(codec: Codec, lie: bytes) -> None:
    """It is damage, and nothing is allocated for it."""
    assert peak_of(codec, lie, 64 << 20, CorruptBatch) < 64 << 10


def test_row_17_thousands_of_tiny_members_are_not_copied_thousands_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """zlib copies what is behind a member, as much as it was given: so it is given little."""
    given = 0

    class Counting:
        """A decompressor that counts what it is given."""

        def __init__(self, bits: int) -> None:
            self._real = made(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal given
            given += len(data)
            return self._real.decompress(data, most)

        @property
        def eof(self) -> bool:
            return self._real.eof

        @property
        def unused_data(self) -> bytes:
            return self._real.unused_data

    made = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", Counting)
    packed = gzip.compress(b"") * 5000
    assert bytes(decompress(Codec.GZIP, packed, 1)) == b""
    assert given < 60 * len(packed)
