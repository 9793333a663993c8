"""lz4's frame format, written in independent blocks: the Java client reads no others (KIP-57)."""

import struct

import cramjam

from felice.wire.compression.room import unpack_into

__all__ = ["pack", "unpack"]

_MAGIC = 0x184D2204
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_BLOCK_CHECKSUM, _CONTENT_SIZE, _CONTENT_CHECKSUM, _DICTIONARY = 0x10, 0x08, 0x04, 0x01
_STORED = 1 << 31
_MOST_OF_A_BYTE = 255
"""Each byte of a block lengthens a match by this much at most."""

_word = struct.Struct("<I")


def pack(data: memoryview, level: int) -> bytes:
    """Return the data as one frame."""
    frame = cramjam.lz4.Compressor(level=level, content_checksum=False, block_linked=False)
    frame.compress(bytes(data))  # takes nothing but bytes
    return bytes(frame.finish())


def unpack(data: memoryview, limit: int) -> bytearray | None:
    """Return the data unpacked, or None if they are more than `limit` bytes."""
    return unpack_into(cramjam.lz4.decompress_into, data, _most(data), limit)


def _most(data: memoryview) -> int:
    """Return the most bytes that the blocks of all frames can hold, by their number and their sizes."""
    total = at = 0
    while at < len(data):
        (magic,) = _word.unpack_from(data, at)
        if magic in _SKIPPABLE:
            at += 8 + _word.unpack_from(data, at + 4)[0]
            continue
        if magic != _MAGIC:
            raise ValueError(f"a frame cannot begin with {magic:#x}")
        flags, largest = data[at + 4], 1 << 8 + (data[at + 5] >> 4 & 7) * 2
        at += 7 + (8 if flags & _CONTENT_SIZE else 0) + (4 if flags & _DICTIONARY else 0)
        while size := _word.unpack_from(data, at)[0]:
            stored, size = size & _STORED, size & ~_STORED
            total += size if stored else min(largest, _MOST_OF_A_BYTE * size)
            at += 4 + size + (4 if flags & _BLOCK_CHECKSUM else 0)
        at += 4 + (4 if flags & _CONTENT_CHECKSUM else 0)
    return total
