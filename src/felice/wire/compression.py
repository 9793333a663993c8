"""The codecs of record batches, and unpacking that never takes more than it was allowed.

gzip comes from the standard library, the others from `cramjam`; all of them let the GIL go.
"""

import struct
import zlib
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import cramjam

from felice.errors import ConfigError, CorruptBatch, DecompressionLimit

__all__ = ["Codec", "compress", "decompress"]

_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEAD = _XERIAL + struct.pack(">ii", 1, 1)
_XERIAL_BLOCK = 32 * 1024
_length = struct.Struct(">i")


class Codec(IntEnum):
    """How a batch's records are compressed, as its attributes say."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4

    @classmethod
    def parse(cls, name: "str | int | Codec") -> "Codec":
        """Return the codec of a name (`lz4`) or number."""
        try:
            return cls[name.upper()] if isinstance(name, str) else cls(name)
        except (KeyError, ValueError):
            known = ", ".join(codec.name.lower() for codec in cls)
            raise ConfigError(f"there is no codec {name!r}", hint=f"there is {known}") from None

    @property
    def levels(self) -> range:
        """The levels that may be asked for; empty where the codec has none."""
        return _LEVELS.get(self, range(0))


_LEVELS = {Codec.GZIP: range(1, 10), Codec.LZ4: range(1, 13), Codec.ZSTD: range(1, 23)}
# What Kafka's own producer takes, but lz4's fastest: cramjam's default of 4 is a sixth as fast for a few percent.
_DEFAULTS = {Codec.GZIP: 6, Codec.LZ4: 1, Codec.ZSTD: 3}


def compress(codec: Codec, data: Any, level: int | None = None) -> bytes:
    """Return the data compressed; `level` is the codec's default where it is not given."""
    if level is None:
        level = _DEFAULTS.get(codec, 0)
    elif level not in codec.levels:
        known = (
            f"{codec.name.lower()} has levels {codec.levels[0]} to {codec.levels[-1]}"
            if codec.levels
            else "it has none"
        )
        raise ConfigError(f"level {level!r} of {codec.name.lower()}", hint=known)
    match codec:
        case Codec.NONE:
            return bytes(data)
        case Codec.GZIP:
            packer = zlib.compressobj(level, zlib.DEFLATED, 31)
            return packer.compress(data) + packer.flush()
        case Codec.SNAPPY:
            return _pack_xerial(data)
        case Codec.LZ4:
            frame = cramjam.lz4.Compressor(level=level, content_checksum=False, block_linked=False)
            frame.compress(bytes(data))  # takes nothing but bytes
            return bytes(frame.finish())
        case Codec.ZSTD:
            return bytes(cramjam.zstd.compress(data, level=level))


def decompress(codec: Codec, data: Any, limit: int) -> bytes | bytearray | memoryview:
    """Return the data unpacked; what it says of its own size is not believed.

    Raises DecompressionLimit where it would be more than `limit` bytes, and CorruptBatch where it is damaged.
    """
    try:
        match codec:
            case Codec.NONE:
                return memoryview(data)
            case Codec.GZIP:
                return _unpack_gzip(data, limit)
            case Codec.SNAPPY:
                return _unpack_snappy(data, limit)
            case Codec.LZ4:
                return _unpack_growing(cramjam.lz4.decompress_into, data, limit)
            case Codec.ZSTD:
                return _unpack_growing(cramjam.zstd.decompress_into, data, limit)
    except (cramjam.DecompressionError, zlib.error, ValueError, OverflowError, EOFError) as error:
        raise CorruptBatch(f"damaged {codec.name.lower()} data: {error}") from None


def _too_much(limit: int) -> DecompressionLimit:
    return DecompressionLimit(
        f"a batch unpacks to more than {limit} bytes", hint="raise max_batch_bytes if it is meant"
    )


def _unpack_gzip(data: Any, limit: int) -> bytes:
    pieces: list[bytes] = []
    room = limit
    left: Any = data
    while True:  # A gzip file may have several members.
        unpacker = zlib.decompressobj(31)
        piece = unpacker.decompress(left, room + 1)
        if len(piece) > room or unpacker.unconsumed_tail:
            raise _too_much(limit)
        if not unpacker.eof:
            raise CorruptBatch("gzip data end too early")
        pieces.append(piece)
        room -= len(piece)
        left = unpacker.unused_data
        if not left:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _unpack_growing(into: Callable[[Any, bytearray], int], data: Any, limit: int) -> memoryview:
    """Unpack into a buffer that doubles until the data fit, up to the limit."""
    size = min(max(4 * len(data), 4096), limit)
    while True:
        room = bytearray(size)
        try:
            return memoryview(room)[: into(data, room)]
        except cramjam.DecompressionError as error:
            if "whole buffer" not in str(error):
                raise
        if size >= limit:
            raise _too_much(limit)
        size = min(4 * size, limit)


def _pack_xerial(data: Any) -> bytes:
    """Return snappy blocks in the framing of xerial's Java library, which Kafka's Java clients expect."""
    view = memoryview(data)
    pieces = [_XERIAL_HEAD]
    for start in range(0, len(view), _XERIAL_BLOCK):
        block = bytes(cramjam.snappy.compress_raw(view[start : start + _XERIAL_BLOCK]))
        pieces.append(_length.pack(len(block)))
        pieces.append(block)
    return b"".join(pieces)


def _unpack_snappy(data: Any, limit: int) -> bytes | bytearray:
    view = memoryview(data)
    if bytes(view[:8]) != _XERIAL:
        return _unpack_block(view, limit, limit)
    out = bytearray()
    at = 16
    if len(view) < at:
        raise CorruptBatch("snappy data end in their header")
    while at < len(view):
        if at + 4 > len(view):
            raise CorruptBatch("snappy data end between two blocks")
        (size,) = _length.unpack_from(view, at)
        at += 4
        if not 0 <= size <= len(view) - at:
            raise CorruptBatch(f"a snappy block of {size} bytes where {len(view) - at} are left")
        out += _unpack_block(view[at : at + size], limit - len(out), limit)
        at += size
    return out


def _unpack_block(block: memoryview, room: int, limit: int) -> bytearray:
    said = cramjam.snappy.decompress_raw_len(block)
    if said > room:
        raise _too_much(limit)
    if said > 64 * len(block) + 64:  # A copy of three bytes makes 64: more is a lie, and no reason to allocate.
        raise CorruptBatch(f"a snappy block of {len(block)} bytes says that it holds {said}")
    out = bytearray(said)
    written = cramjam.snappy.decompress_raw_into(block, out)
    if written != said:
        raise CorruptBatch(f"a snappy block of {written} bytes says that it holds {said}")
    return out
