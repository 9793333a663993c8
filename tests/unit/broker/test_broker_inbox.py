"""Frames out of a stream."""

import random
import struct
import tracemalloc

import pytest

from felice.broker.inbox import Inbox
from felice.broker.refusal import Hangup


def feed(inbox: Inbox, stream: bytes, pieces: list[int]) -> list[bytes]:
    """Give a stream to an inbox in pieces of these sizes, and what is left at once; return the frames."""
    frames: list[bytes] = []
    while stream:
        room = inbox.room()
        count = min(len(room), len(stream), pieces.pop(0) if pieces else len(stream))
        room[:count] = stream[:count]
        room.release()
        frames += [bytes(frame) for frame in inbox.arrived(count)]
        stream = stream[count:]
    return frames


@pytest.mark.parametrize("seed", range(50))
def test_frames_come_out_however_the_stream_is_cut(seed: int) -> None:
    """Frames of all sizes come out whole and in order, wherever reads end."""
    chance = random.Random(seed)
    sent = [chance.randbytes(chance.choice([0, 1, 3, 4, 50, 900, 5000])) for _ in range(30)]
    stream = b"".join(struct.pack(">i", len(frame)) + frame for frame in sent)
    pieces = [chance.choice([1, 2, 3, 5, 100, 1000]) for _ in range(2000)]
    assert feed(Inbox(memoryview(bytearray(1024)), 10_000), stream, pieces) == sent


def test_a_large_frame_is_put_together() -> None:
    """A frame of several times the first block comes out as it went in."""
    frame = random.Random(1).randbytes(5_000_000)
    inbox = Inbox(memoryview(bytearray(65536)), 1 << 30)
    assert feed(inbox, struct.pack(">i", len(frame)) + frame, [4, 70_000]) == [frame]


@pytest.mark.parametrize("size", [-1, 1001, 0x7FFFFFFF])
def test_a_size_out_of_bounds_ends_the_connection(size: int) -> None:
    """Negative sizes, and those above the limit, are not waited for."""
    with pytest.raises(Hangup):
        feed(Inbox(memoryview(bytearray(64)), 1000), struct.pack(">i", size), [])


def test_memory_comes_with_the_bytes() -> None:
    """A frame that says it is large, and never comes, does not take its size in memory."""
    inbox = Inbox(memoryview(bytearray(64)), 1 << 30)
    tracemalloc.start()
    try:
        feed(inbox, struct.pack(">i", 1 << 30) + b"x", [])
        inbox.room().release()
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
