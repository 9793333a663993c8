"""Where received bytes go, and what whole frames they make. No socket: the caller receives into `buffer()`.

A frame is four bytes of length and that many bytes. Small frames come many at a time into one buffer that is reused,
and are copied out of it. A frame that does not fit is given a buffer of its own as soon as its length is known, and the
rest of it is received straight into that, so that a large answer is never copied.

Fresh memory of some megabytes costs more than what is received into it: the system zeroes it page by page. So the
buffers of large frames are kept, and used again once nobody looks at them any more. Who does holds an export of the
buffer's memory, and while there is one Python refuses to resize it. (Counting references instead would be wrong as soon
as an interpreter borrows some: 3.14 does.) A small frame says that the stream has gone quiet, and lets one of them go.
"""

from felice.errors import WireError

__all__ = ["FrameReader"]

SCRATCH = 64 * 1024
"""Bytes received at once while no large frame is under way."""

TRUSTED = 8 * 1024 * 1024
"""Bytes allocated on the word of a length alone; a longer frame's buffer grows as its bytes come in."""

SPARE_FROM = 128 * 1024
"""Buffers from this size on, up to `TRUSTED`, are kept for further frames."""

SPARES = 8
"""How many buffers are kept; those beyond are the memory allocator's again."""

_GREETINGS = (
    (b"HTTP", "HTTP", "this is the port of a web server"),
    (b"<htm", "HTML", "this is the port of a web server"),
    (b"\x15\x03", "a TLS alert", "this is a TLS port; felice speaks plain text to it"),
    (b"\x16\x03", "a TLS handshake", "this is a TLS port; felice speaks plain text to it"),
    (b"SSH-", "SSH", "this is the port of an SSH server"),
    (b"-ERR", "Redis", "this is the port of a Redis server"),
    (b"220 ", "a mail or FTP greeting", "this is not a Kafka port"),
)
"""First bytes of servers that people reach by a wrong port, what they speak, and what to look at."""


class FrameReader:
    """Cuts a stream of bytes into frames."""

    __slots__ = ("_filled", "_frame", "_limit", "_pending", "_scratch", "_seen", "_size", "_spares")

    def __init__(self, limit: int) -> None:
        """Take the largest length of a frame that is accepted, in bytes."""
        self._limit = limit
        self._scratch = memoryview(bytearray(SCRATCH))
        self._pending = 0  # bytes at the front of the scratch buffer: of a length that has not come whole
        self._frame: bytearray | None = None  # the large frame under way, ...
        self._size = 0  # ... its length, ...
        self._filled = 0  # ... and how much of it is there
        self._spares: list[bytearray] = []
        self._seen = False  # whether a first frame's length has been believed

    def buffer(self) -> memoryview:
        """Return where to receive next; never empty. It must not be kept."""
        if self._frame is not None:
            return memoryview(self._frame)[self._filled : self._size]
        return self._scratch[self._pending :]

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and is not whole."""
        return self._frame is not None or self._pending > 0

    def received(self, count: int) -> list[memoryview]:
        """Take `count` bytes that were put into `buffer()`; return the frames that are whole now, without lengths.

        Each frame owns its memory. Raises WireError for a length that cannot be, after which the stream is lost.
        """
        frame = self._frame
        if frame is None:
            return self._cut(self._pending + count)
        self._filled += count
        if self._filled < self._size:
            if self._filled == len(frame):
                # A peer can claim a length for nothing, so memory grows only with the bytes that it really sends.
                frame.extend(bytes(min(self._size - self._filled, self._filled)))
            return []
        self._frame = None
        return [memoryview(frame)[: self._size]]

    def _room(self, size: int, begun: int) -> bytearray:
        """Return a buffer for a frame that has `begun` with so many bytes: one that nobody looks at, or a new one."""
        if size > TRUSTED:
            return bytearray(max(TRUSTED, begun))
        spares = self._spares
        for at, spare in enumerate(spares):
            if len(spare) >= size and not _seen(spare):
                # To the end: what comes free first is found first.
                spares.append(spares.pop(at))
                return spare
        if size < SPARE_FROM:
            return bytearray(size)
        room = bytearray(-(-size // SPARE_FROM) * SPARE_FROM)  # Rounded up: the next frame has another size.
        spares.append(room)
        if len(spares) > SPARES:
            del spares[0]
        return room

    def _cut(self, end: int) -> list[memoryview]:
        """Cut the first `end` bytes of the scratch buffer into frames."""
        scratch = self._scratch
        frames = []
        at = 0
        while end - at >= 4:
            size = int.from_bytes(scratch[at : at + 4], "big", signed=True)
            if not 0 <= size <= self._limit:
                raise self._refuse(bytes(scratch[at : min(end, at + 16)]), size)
            self._seen = True
            start, at = at + 4, at + 4 + size
            if at <= end:
                frames.append(memoryview(bytes(scratch[start:at])))
                if self._spares:
                    del self._spares[0]
                continue
            self._frame = self._room(size, end - start)
            self._size = size
            self._filled = end - start
            self._frame[: self._filled] = scratch[start:end]
            self._pending = 0
            return frames
        rest = end - at
        if rest and at:
            scratch[:rest] = bytes(scratch[at:end])
        self._pending = rest
        return frames

    def _refuse(self, head: bytes, size: int) -> WireError:
        if not self._seen:
            for greeting, what, hint in _GREETINGS:
                if head.startswith(greeting):
                    return WireError(f"the answer is {what}, not Kafka's protocol", position=0, hint=hint)
        if size < 0:
            return WireError(f"a frame of {size} bytes, beginning {head!r}", position=0)
        return WireError(
            f"a frame of {size:,} bytes, beginning {head!r}",
            position=0,
            hint=f"max_frame_bytes is {self._limit:,}; unless the port is wrong, raise it",
        )


def _seen(buffer: bytearray) -> bool:
    """Tell whether anybody still looks at a buffer's memory."""
    try:
        # One byte less and one more moves nothing: the memory stays as large as it was allocated.
        buffer.append(buffer.pop())
    except BufferError:
        return True
    return False
