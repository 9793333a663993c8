"""Puts frames together from the bytes of a stream."""

import struct

from felice.broker.refusal import Hangup

__all__ = ["Inbox"]

FIRST_BLOCK = 64 * 1024
"""A large frame gets memory as it comes, and no more than this for having announced itself."""

GROWTH = 4
"""How many times as much as has come a frame has room for, when its room was used up."""

_size = struct.Struct(">i").unpack_from


class Inbox:
    """One connection's incoming frames, each in memory of its own.

    Small reads go to `scratch`, which all connections of a thread share, as nothing stays in it between two calls. A
    frame that has begun is read straight into its own memory.
    """

    __slots__ = ("_filled", "_frame", "_head", "_limit", "_scratch", "_wanted")

    def __init__(self, scratch: memoryview, limit: int) -> None:
        self._scratch = scratch
        self._limit = limit
        self._head = b""
        """The first bytes of a frame whose size is not complete."""
        self._frame: bytearray | None = None
        self._filled = 0
        self._wanted = 0

    def room(self) -> memoryview:
        """Return where the next bytes go; it must be released before the next call."""
        frame = self._frame
        if frame is None:
            return self._scratch[:]
        if self._filled == len(frame):
            frame.extend(bytes(min((GROWTH - 1) * len(frame), self._wanted - len(frame))))
        return memoryview(frame)[self._filled :]

    def arrived(self, count: int) -> list[bytes | bytearray]:
        """Return the frames, without their sizes, that `count` more bytes complete; hang up at a size out of bounds."""
        frame = self._frame
        if frame is not None:
            self._filled += count
            if self._filled < self._wanted:
                return []
            self._frame = None
            return [frame]
        data = self._scratch[:count].tobytes()
        if self._head:
            data = self._head + data
            self._head = b""
        frames: list[bytes | bytearray] = []
        at, end = 0, len(data)
        while end - at >= 4:
            size: int = _size(data, at)[0]
            if not 0 <= size <= self._limit:
                raise Hangup(f"a frame of {size} bytes; the most is {self._limit}")
            at += 4
            if end - at < size:
                self._begin(data[at:], size)
                return frames
            frames.append(data[at : at + size])
            at += size
        self._head = data[at:]
        return frames

    def _begin(self, first: bytes, size: int) -> None:
        """Begin a frame of which only the first bytes are there."""
        frame = bytearray(max(len(first), min(size, FIRST_BLOCK)))
        frame[: len(first)] = first
        self._frame, self._filled, self._wanted = frame, len(first), size
