"""The codecs beside the libraries that others pack with: each reads what the other writes, and lies are told."""

import gzip
import io
import random
import struct
import tracemalloc
import zlib

import lz4.frame
import pytest
import snappy
import zstandard

from felice.errors import ConfigError, CorruptBatch, DecompressionLimit
from felice.wire.records import Codec, compress, decompress

LETTER = b"Dearest, I was given your letter before the evening performance. " * 400


def text(size: int, seed: int = 1) -> bytes:
    """Words at random: neither constant nor noise."""
    rng = random.Random(seed)
    words = [b"night ", b"office ", b"letter ", b"reply ", b"Prague ", b"Berlin "]
    return b"".join(rng.choices(words, k=size // 6 + 1))[:size]


# Ours


@pytest.mark.parametrize("codec", list(Codec))
def test_data_may_be_any_buffer(codec: Codec) -> None:
    """Packed and unpacked."""
    packed = compress(codec, LETTER)
    for kind in (bytes, bytearray, memoryview):
        assert compress(codec, kind(LETTER)) == packed
        assert bytes(decompress(codec, kind(packed), len(LETTER))) == LETTER


@pytest.mark.parametrize(
    ("codec", "level"),
    [
        (Codec.GZIP, -1),
        (Codec.NONE, 0),
        (Codec.ZSTD, 1.0),
        (Codec.ZSTD, "3"),
        (Codec.ZSTD, True),
    ],
)
def test_a_level_that_there_is_not_is_refused(codec: Codec, level: int) -> None:
    """Also one of another type; and the error says which there are."""
    with pytest.raises(ConfigError, match=rf"of {codec.name.lower()} .*(has levels \d+ to \d+|it has none)"):
        compress(codec, b"x", level)


@pytest.mark.parametrize("name", ["lz4", "LZ4", 3, Codec.LZ4])
def test_a_codec_is_found_by_name_and_number(name: str | int) -> None:
    """As configurations give it."""
    assert Codec.parse(name) is Codec.LZ4


@pytest.mark.parametrize("name", ["", None, 3.5, b"lz4"])
def test_what_names_no_codec_is_refused(name: object) -> None:
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
    "snappy says 60 MB": (Codec.SNAPPY, snappy_preamble(60 << 20) + b"\0a"),
    "snappy says more than 32 bits": (Codec.SNAPPY, snappy_preamble(2**40) + b"\0a"),
    "snappy says less": (Codec.SNAPPY, snappy_preamble(1) + b"\x08abc"),
    "xerial says nothing": (Codec.SNAPPY, XERIAL_HEAD + struct.pack(">i", 0) * 5),
    "xerial's block says 60 MB": (
        Codec.SNAPPY,
        XERIAL_HEAD + struct.pack(">i", 6) + snappy_preamble(60 << 20) + b"\0a",
    ),
    "zstd says 60 MB": (Codec.ZSTD, zstd_frame(60 << 20, b"abc")),
    "zstd says less": (Codec.ZSTD, zstd_frame(1, b"abc")),
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
