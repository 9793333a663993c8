"""zstd: frames with or without their content's size, one or several (RFC 8878)."""

import struct

import cramjam

from felice.wire.compression.room import unpack_into

__all__ = ["pack", "unpack"]

_MAGIC = 0xFD2FB528
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_RUN, _COMPRESSED = 1, 2
_CHECKSUM = 0x04
_LARGEST_BLOCK = 128 * 1024

_word = struct.Struct("<I")


def pack(data: memoryview, level: int) -> bytes:
    """Return the data as one frame."""
    return bytes(cramjam.zstd.compress(data, level=level))


def unpack(data: memoryview, limit: int) -> bytearray | None:
    """Return the data unpacked, or None if they are more than `limit` bytes."""
    return unpack_into(cramjam.zstd.decompress_into, data, _most(data), limit)


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
        descriptor = data[at + 4]
        single = descriptor >> 5 & 1
        at += 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3]
        size_of_size = (single, 2, 4, 8)[descriptor >> 6]
        said = int.from_bytes(data[at : at + size_of_size], "little") + (256 if size_of_size == 2 else 0)
        at += size_of_size
        held = last = 0
        while not last:
            block = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            last, kind, size = block & 1, block >> 1 & 3, block >> 3
            held += _LARGEST_BLOCK if kind == _COMPRESSED else min(size, _LARGEST_BLOCK)
            at += 3 + (1 if kind == _RUN else size)
        total += min(held, said) if size_of_size else held
        at += 4 if descriptor & _CHECKSUM else 0
    return total
