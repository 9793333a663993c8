"""gzip: one member, or several one after another, as the format allows (RFC 1952)."""

import zlib

__all__ = ["pack", "unpack"]

_GZIP = 16 + zlib.MAX_WBITS
"""What tells `zlib` to read and write gzip's header and trailer."""

_FIRST_PIECE = 1 << 10


def pack(data: memoryview, level: int) -> bytes:
    """Return the data as one gzip member."""
    return zlib.compress(data, level, _GZIP)


def unpack(data: memoryview, limit: int) -> bytes | None:
    """Return the data unpacked, or None if they are more than `limit` bytes."""
    found: list[bytes] = []
    at, room, piece = 0, limit, len(data)
    while True:
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            if at == len(data):
                raise ValueError("they end too early")
            fed = data[at : at + piece]
            made = member.decompress(fed, room + 1)
            room -= len(made)
            if room < 0:
                return None
            found.append(made)
            at += len(fed) - len(member.unused_data)
            piece *= 2
        if at == len(data):
            return found[0] if len(found) == 1 else b"".join(found)
        # What is left behind a member is copied by zlib: with thousands of tiny ones, all of it would be each time.
        piece = _FIRST_PIECE
