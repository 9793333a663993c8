"""snappy: raw, as librdkafka writes it, or in the blocks of xerial's Java library, as Kafka's Java clients do.

Those expect the blocks, so that is what is written; read are both.
"""

import struct

import cramjam

__all__ = ["pack", "unpack"]

_MAGIC = b"\x82SNAPPY\x00"
_HEAD = _MAGIC + struct.pack(">ii", 1, 1)
_BLOCK = 32 * 1024
_MOST_OF_A_BYTE = 64
"""A copy takes two bytes or more and makes 64 at most: no block holds more than this for each of its own bytes."""

_size = struct.Struct(">i")


def pack(data: memoryview) -> bytes:
    """Return the data in xerial's blocks."""
    view = memoryview(data)
    pieces = [_HEAD]
    for start in range(0, len(view), _BLOCK):
        block = bytes(cramjam.snappy.compress_raw(view[start : start + _BLOCK]))
        pieces += (_size.pack(len(block)), block)
    return b"".join(pieces)


def unpack(data: memoryview, limit: int) -> bytearray | None:
    """Return the data unpacked, or None if they are more than `limit` bytes."""
    blocks = _blocks(data) if data[: len(_MAGIC)] == _MAGIC else [data]
    sizes = [_unpacked_size(block) for block in blocks]
    if sum(sizes) > limit:
        return None
    room = bytearray(sum(sizes))
    at = 0
    with memoryview(room) as view:
        for block, size in zip(blocks, sizes, strict=True):
            if cramjam.snappy.decompress_raw_into(block, view[at : at + size]) != size:
                raise ValueError("a block is not as long as it says")
            at += size
    return room


def _blocks(data: memoryview) -> list[memoryview]:
    """Return xerial's blocks without their framing."""
    found = []
    at = 0
    while at < len(data):
        if data[at : at + len(_MAGIC)] == _MAGIC:  # Streams may be put one behind the other.
            at += len(_HEAD)
            continue
        (size,) = _size.unpack_from(data, at)
        at += _size.size
        if not 0 < size <= len(data) - at:
            raise ValueError(f"a block of {size} bytes where {len(data) - at} are left")
        found.append(data[at : at + size])
        at += size
    if at > len(data):
        raise ValueError("the head of its blocks is cut off")
    return found


def _unpacked_size(block: memoryview) -> int:
    """Return how many bytes a block says that it holds, unless that cannot be."""
    size: int = cramjam.snappy.decompress_raw_len(block)
    if size > _MOST_OF_A_BYTE * len(block):
        raise ValueError(f"a block of {len(block)} bytes says that it holds {size}")
    return size
