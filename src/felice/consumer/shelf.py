"""Fetched bytes on their way from the engine to the reader: the hand-off of the consumer.

A `Partition` is what both sides know of one partition, and its `Shelf` holds what was fetched since the last seek. The
engine puts `Chunk`s on the shelf, the reader takes them in order. There is no lock: the two ends of a `deque` are
atomic, and each number is written by one side only. `put` is the engine's, `got` the reader's.

A seek does not empty the shelf, which somebody might just be taking from; it puts another one in its place, and rings:

    1. the reader takes a chunk from shelf A        4. the engine sees that the shelf is not the one it has
    2. another thread seeks: the shelf is B now        adopted: it empties A, adopts B and fetches for that
    3. the reader sees that A is not the shelf      5. an answer to a fetch for A comes in: it is dropped,
       any more, and drops what it has taken           because A is not the shelf
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from felice.consumer.budget import Frame
from felice.consumer.start import Start
from felice.consumer.trail import Mark, Trail
from felice.errors import PartitionError
from felice.types import TopicPartition
from felice.wire.schema import ZERO_UUID

__all__ = ["OVERHEAD", "Chunk", "Partition", "Shelf"]

OVERHEAD = 512
"""Bytes that a chunk is counted for beside its records, so that ten thousand tiny ones are not free."""


class Chunk:
    """What one answer brought for one partition: records, or a place to jump to, or an error that ends it."""

    __slots__ = ("aborted", "data", "error", "following", "frame", "jump", "offset", "shelf", "size")

    def __init__(
        self,
        shelf: "Shelf",
        offset: int,
        *,
        following: int = -1,
        data: Any = None,
        aborted: Sequence[tuple[int, int]] | None = None,
        frame: Frame | None = None,
        jump: int = -1,
        error: PartitionError | None = None,
    ) -> None:
        """Take the shelf it belongs on and the offset it was fetched from; then one of the three.

        `following` is the offset that the next chunk is fetched from.
        """
        self.shelf = shelf
        self.offset = offset
        self.following = following
        self.data = data
        self.aborted = aborted
        self.frame = frame
        self.jump = jump
        self.error = error
        self.size = OVERHEAD + (len(data) if data is not None else 0)


class Shelf:
    """What was fetched from one partition since its last seek and waits to be read."""

    __slots__ = (
        "added",
        "anew",
        "chunks",
        "cut",
        "goes_on",
        "got",
        "held",
        "jumped",
        "jumps",
        "offset",
        "position",
        "put",
        "reader",
        "rest",
        "start",
    )

    def __init__(self, start: Start, *, goes_on: bool = False) -> None:
        """Take where reading begins, and whether it `goes_on` where it was: nobody has sought, it is fetched anew."""
        self.start = start
        self.goes_on = goes_on
        self.offset = start.offset
        """Where reading begins; -1 while the brokers have not said which offset that is."""
        self.chunks: deque[Chunk] = deque()
        self.put = 0
        self.got = 0
        self.cut: Mark | None = None
        """Where the log was cut off under what was fetched since the last jump; the engine waits for the reader then,
        who puts another shelf in place."""
        self.jumps = 0
        """How many jumps were put on it."""
        self.anew = 0
        """How many of them lead to the topic as it is now: what lies before is of one that was deleted (KIP-516)."""
        # The rest is the reader's alone.
        self.position = start.offset
        """The offset of the next record for the user; -1 before the first one is known."""
        self.reader: Any = None
        self.held: list[Chunk] = []  # chunks that were taken from it and not given back
        self.added = 0  # how many of them the reader has
        self.jumped = 0  # how many jumps were taken from it
        self.rest: Any = None  # a batch that was handed out and given back

    @property
    def bytes(self) -> int:
        """How much lies on it, in bytes."""
        return self.put - self.got

    def add(self, chunk: Chunk) -> None:
        """Put a chunk on it. On the engine."""
        self.put += chunk.size
        self.chunks.append(chunk)


class Partition:
    """One partition that is read."""

    __slots__ = (
        "adopted",
        "error",
        "fetch_offset",
        "flight",
        "generation",
        "halted",
        "high_watermark",
        "last_stable",
        "led",
        "log_start",
        "looking",
        "max_bytes",
        "node",
        "paused",
        "refetched",
        "replica",
        "replica_until",
        "retry_at",
        "shelf",
        "topic_id",
        "tp",
        "trail",
        "tries",
    )

    def __init__(self, tp: TopicPartition, start: Start, generation: int = 0) -> None:
        """Take what it is, and where reading begins."""
        self.tp = tp
        self.generation = generation
        # Written by callers:
        self.shelf = Shelf(start)
        self.paused = False
        self.refetched = -1  # the offset of a damaged batch that was fetched once more
        self.error: PartitionError | None = None
        """Why reading has stopped, once the user was told; a seek clears it."""
        # Written by the engine:
        self.adopted: Shelf | None = None
        """The shelf that is fetched for: soon the one that callers have put there."""
        self.fetch_offset = -1
        """The offset to ask for next; -1 while it is not known."""
        self.trail = Trail()
        """The leader epochs of what was fetched (KIP-320)."""
        self.led = (-1, -1)
        """The leader, and its epoch, that what was fetched has been held against or comes from."""
        self.topic_id = ZERO_UUID
        self.node = -1
        """The broker that it is fetched from; -1 while that is not known."""
        self.replica = -1
        """The follower that the leader told to read from instead (KIP-392), or -1."""
        self.replica_until = 0.0
        self.flight: object | None = None
        """The request under way that fetches it, or None."""
        self.looking = False
        """Whether it is not fetched because its offset is being looked up, or compared with another leader's log."""
        self.halted = False
        """Whether it is not fetched because an error waits to be read."""
        self.retry_at = 0.0
        self.tries = 0
        self.max_bytes = 0
        """What an answer must have room for, where a batch was larger than what was asked for; else 0."""
        self.high_watermark = -1
        self.last_stable = -1
        self.log_start = -1

    @property
    def position(self) -> int:
        """The offset of the next record for the user, but for an iteration; -1 while it is not known."""
        shelf = self.shelf
        return shelf.position if shelf.position >= 0 else shelf.offset

    @property
    def failure(self) -> PartitionError | None:
        """Why reading has stopped, also where the user is still to be told as the next thing."""
        with suppress(IndexError):
            return self.error or self.shelf.chunks[0].error
        return None

    def __repr__(self) -> str:
        """Return what it is and how far."""
        return f"<Partition {self.tp} at {self.position}, fetched to {self.fetch_offset}, {self.shelf.bytes} bytes>"
