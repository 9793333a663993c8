"""The buffer that is unpacked into: as large as what is there can need, and never larger than the limit."""

from collections.abc import Callable
from typing import Any

import cramjam

__all__ = ["unpack_into"]


def unpack_into(into: Callable[[Any, Any], int], data: memoryview, most: int, limit: int) -> bytearray | None:
    """Return what `into(data, buffer)` makes of the data, `most` bytes or less; None if it is more than `limit`."""
    room = bytearray(min(most, limit))
    try:
        size = into(data, room)
    except cramjam.DecompressionError as error:
        # Rust's words for a buffer that is full; those for data that end too early are nearly the same.
        if most > limit and "write whole buffer" in str(error):
            return None
        raise
    del room[size:]
    return room
