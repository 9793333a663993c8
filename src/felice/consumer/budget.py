"""How much memory the fetched bytes of one client may take. Runs on the engine; pure.

Counted is what is really held: an answer's records are views of the frame that they came in, and a frame is in memory
as long as one of its views is. So its records are all counted until the last view is given back. A batch that the user
has been handed is the user's, and no longer counted.
"""

__all__ = ["Budget", "Frame"]


class Frame:
    """The records of one answer, which share its memory and wait to be read."""

    __slots__ = ("pieces", "size")

    def __init__(self, size: int) -> None:
        """Take the size of all its records in bytes; no piece is taken from it yet."""
        self.size = size
        self.pieces = 0


class Budget:
    """Bytes that are held, and bytes that have been asked for and may come."""

    def __init__(self, limit: int) -> None:
        """Take the limit in bytes."""
        self.limit = limit
        self.requested = 0
        """Bytes that requests under way may bring."""
        self.buffered = 0
        """Bytes of frames that are not read yet."""

    @property
    def free(self) -> int:
        """Bytes that may still be asked for; below zero where one large batch has passed the limit."""
        return self.limit - self.requested - self.buffered

    def reserve(self, size: int) -> None:
        """Count bytes that are about to be asked for."""
        self.requested += size

    def cancel(self, size: int) -> None:
        """Count them no more: the answer is here, or will not come."""
        self.requested -= size

    def hold(self, frame: Frame) -> None:
        """Count a frame, from its first piece on."""
        if frame.pieces == 0:
            self.buffered += frame.size
        frame.pieces += 1

    def release(self, frame: Frame) -> None:
        """Give one of a frame's pieces back; the last one frees it."""
        frame.pieces -= 1
        if frame.pieces == 0:
            self.buffered -= frame.size
