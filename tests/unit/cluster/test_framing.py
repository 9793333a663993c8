"""What the frame reader makes of a stream of bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from felice.cluster import framing
from felice.cluster.framing import FrameReader
from felice.errors import WireError


def feed(reader: FrameReader, data: bytes, sizes: list[int]) -> list[bytes]:
    """Bring data to a reader in pieces of these sizes, as far as its buffer takes them."""
    frames, at, turn = [], 0, 0
    while at < len(data):
        buffer = reader.buffer()
        assert len(buffer) > 0, "a reader always has room"
        count = min(sizes[turn % len(sizes)], len(buffer), len(data) - at)
        turn += 1
        buffer[:count] = data[at : at + count]
        buffer.release()
        at += count
        frames += [bytes(frame) for frame in reader.received(count)]
    return frames


def framed(*bodies: bytes) -> bytes:
    return b"".join(struct.pack(">i", len(body)) + body for body in bodies)


@given(
    st.lists(st.binary(max_size=300), max_size=12),
    st.lists(st.integers(1, 400), min_size=1, max_size=8),
)
def test_frames_come_out_whole_however_they_are_cut(bodies: list[bytes], sizes: list[int]) -> None:
    reader = FrameReader(1 << 20)
    assert feed(reader, framed(*bodies), sizes) == bodies
    assert not reader.partial


def test_a_frame_larger_than_the_buffer_is_received_into_its_own() -> None:
    reader = FrameReader(10 << 20)
    body = bytes(range(256)) * 4096
    data = framed(b"small", body, b"after")
    assert feed(reader, data, [1 << 20]) == [b"small", body, b"after"]


def test_the_rest_of_a_large_frame_is_received_where_it_stays() -> None:
    reader = FrameReader(10 << 20)
    body = b"x" * 200_000
    feed(reader, framed(body)[:1000], [1000])
    buffer = reader.buffer()
    assert len(buffer) == len(body) - 996, "the buffer offered is the rest of the frame's own"
    buffer[:] = body[996:]
    buffer.release()
    (whole,) = reader.received(len(body) - 996)
    assert whole == body


def test_frames_own_their_memory() -> None:
    """A frame does not change when later ones are received."""
    reader = FrameReader(1000)
    buffer = reader.buffer()
    buffer[:9] = framed(b"first")
    (first,) = reader.received(9)
    feed(reader, framed(b"other"), [100])
    assert first == b"first"


def test_row_13_a_length_alone_does_not_take_memory() -> None:
    """A peer that claims 100 MB and sends 10 bytes costs no more than the trusted size."""
    reader = FrameReader(100 << 20)
    feed(reader, struct.pack(">i", 100 << 20) + b"0123456789", [64])
    assert len(reader.buffer()) <= framing.TRUSTED


def test_a_frame_above_the_trusted_size_grows_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "TRUSTED", 1000)
    reader = FrameReader(1 << 20)
    body = bytes(range(251)) * 50
    assert feed(reader, framed(body), [700]) == [body]


@pytest.mark.parametrize(
    ("greeting", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"-ERR unknown command", "Redis"),
    ],
)
def test_row_13_a_wrong_port_is_named_by_its_greeting(greeting: bytes, what: str) -> None:
    with pytest.raises(WireError, match=what) as caught:
        feed(FrameReader(100 << 20), greeting, [100])
    assert "port" in caught.value.hint


def test_row_13_a_greeting_counts_only_at_the_start() -> None:
    """After a first frame the same bytes are a bad length, not another protocol."""
    reader = FrameReader(1000)
    feed(reader, framed(b"ok"), [100])
    with pytest.raises(WireError, match="frame of"):
        feed(reader, b"HTTP/1.1", [100])


@pytest.mark.parametrize("size", [-1, -(2**31), 1001, 2**31 - 1])
def test_row_13_a_length_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(WireError, match="frame of"):
        feed(FrameReader(1000), struct.pack(">i", size), [4])


def test_an_empty_frame_is_a_frame() -> None:
    assert feed(FrameReader(1000), framed(b"", b"x"), [3]) == [b"", b"x"]


def receive(reader: FrameReader, body: bytes) -> memoryview:
    """Let one frame come in through the reader's own buffers and return it as it is handed out."""
    data = framed(body)
    frames: list[memoryview] = []
    while data:
        buffer = reader.buffer()
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        data = data[count:]
        del buffer
        frames += reader.received(count)
    (frame,) = frames
    return frame


def test_row_20_a_buffer_is_used_again_only_when_nobody_looks_at_it() -> None:
    """As long as any view of a frame is held, even a part of a part, its bytes stay; then the memory is reused."""
    reader = FrameReader(1 << 20)
    first = receive(reader, b"a" * 300_000)
    where = id(first.obj)
    part = first[1000:2000][10:20]
    del first
    second = receive(reader, b"b" * 300_000)
    assert id(second.obj) != where
    assert part == b"a" * 10
    del part
    third = receive(reader, b"c" * 250_000)
    assert id(third.obj) == where
    assert third == b"c" * 250_000
    assert second == b"b" * 300_000


def test_row_20_another_name_of_a_buffer_does_not_matter_but_a_view_does() -> None:
    """What counts is who can see the memory, not how many references an interpreter happens to hold."""
    reader = FrameReader(1 << 20)
    first = receive(reader, b"a" * 300_000)
    names = [first.obj] * 3
    copied_view = memoryview(first)
    del first
    assert receive(reader, b"b" * 300_000).obj is not names[0]
    assert copied_view == b"a" * 300_000
    copied_view.release()
    assert receive(reader, b"c" * 300_000).obj is names[0]


def test_a_buffer_that_grew_beyond_the_trusted_size_is_not_kept() -> None:
    """Frames of tens of megabytes would otherwise stay in memory, several for each connection."""
    reader = FrameReader(1 << 26)
    frame = receive(reader, bytes(framing.TRUSTED + 1))
    assert len(frame) == framing.TRUSTED + 1
    assert not reader._spares


def test_buffers_are_let_go_when_the_stream_goes_quiet() -> None:
    """Each small frame gives one kept buffer back to the system, and there are never more than a few."""
    reader = FrameReader(1 << 20)
    held = [receive(reader, b"x" * 200_000) for _ in range(framing.SPARES + 5)]
    assert len(reader._spares) == framing.SPARES
    for left in reversed(range(framing.SPARES)):
        receive(reader, b"small")
        assert len(reader._spares) == left
    assert all(frame == b"x" * 200_000 for frame in held)
