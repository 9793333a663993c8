"""Bytes in and out of a socket pair."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from felice.cluster import transport as module
from felice.cluster.transport import SocketAddress, Transport, TransportOptions, open_socket
from felice.errors import WireError


class Sink:
    """A receiver that keeps what comes."""

    def __init__(self, size: int = 4096) -> None:
        self.data = bytearray()
        self.scratch = bytearray(size)
        self.ends: list[Exception | None] = []
        self.news = asyncio.Event()
        self.refuse: WireError | None = None

    def buffer(self) -> memoryview:
        return memoryview(self.scratch)

    def received(self, count: int) -> None:
        self.data += self.scratch[:count]
        self.news.set()
        if self.refuse:
            raise self.refuse

    def lost(self, error: Exception | None) -> None:
        self.ends.append(error)
        self.news.set()

    async def until(self, size: int) -> bytes:
        async with asyncio.timeout(10):
            while len(self.data) < size and not self.ends:
                self.news.clear()
                await self.news.wait()
        return bytes(self.data)

    async def end(self) -> Exception | None:
        async with asyncio.timeout(10):
            while not self.ends:
                self.news.clear()
                await self.news.wait()
        return self.ends[0]


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Transport, Sink, Transport, Sink]]:
    """Two transports that are connected to each other, over buffers that fill soon."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    near, far = Sink(), Sink()
    ends = Transport(loop, ours, near), near, Transport(loop, theirs, far), far
    yield ends
    ends[0].close()
    ends[2].close()


Pair = tuple[Transport, Sink, Transport, Sink]


async def test_a_small_message_leaves_at_once(pair: Pair) -> None:
    transport, _, _, far = pair
    done: list[Any] = []
    transport.write([b"one ", b"two"], done.append)
    assert done == [None], "the kernel has it before write returns"
    assert await far.until(7) == b"one two"


async def test_large_and_many_pieces_arrive_in_order_through_partial_writes(pair: Pair) -> None:
    transport, _, _, far = pair
    big = bytes(range(256)) * 2000
    pieces = [b"%06d" % n for n in range(3 * module.IOV_MAX)]
    order: list[str] = []
    transport.write([big, memoryview(big)[5:], b""], lambda error: order.append(f"big {error}"))
    transport.write(pieces, lambda error: order.append(f"many {error}"))
    transport.write([], lambda error: order.append(f"empty {error}"))
    assert order == [], "the kernel has not taken it all yet"
    assert transport.sent < transport.queued
    whole = big + big[5:] + b"".join(pieces)
    assert await far.until(len(whole)) == whole
    assert order == ["big None", "many None", "empty None"]
    assert transport.sent == transport.queued == len(whole)


async def test_row_20_done_comes_only_when_the_kernel_has_every_byte(pair: Pair) -> None:
    """A buffer changed after `done` must not change what arrives."""
    transport, _, _, far = pair
    buffer = bytearray(b"a" * 300_000)
    transport.write([buffer], lambda error: buffer.__setitem__(slice(None), b"b" * len(buffer)))
    assert await far.until(300_000) == b"a" * 300_000
    assert buffer == b"b" * 300_000


async def test_closing_tells_unsent_messages_and_then_the_receiver_once(pair: Pair) -> None:
    transport, near, _, _ = pair
    order: list[Any] = []
    transport.write([b"x" * 1_000_000], lambda error: order.append(("done", type(error), list(near.ends))))
    transport.close()
    transport.close()
    assert order == [("done", ConnectionError, [])]
    assert near.ends == [None]
    transport.write([b"x"], lambda error: order.append(type(error)))
    assert order[1:] == [ConnectionError]


async def test_the_peers_end_is_an_end_without_an_error(pair: Pair) -> None:
    transport, near, other, _ = pair
    other.close()
    assert await near.end() is None
    assert transport.closed


async def test_an_error_of_the_socket_ends_the_transport_inside_the_write(pair: Pair) -> None:
    transport, near, other, _ = pair
    other.close()
    done: list[Any] = []
    transport.write([b"x"], done.append)
    assert isinstance(done[0], BrokenPipeError)
    assert near.ends == done


async def test_row_20_each_message_is_done_once_though_one_ends_the_transport() -> None:
    """Two messages leave in one write; what the first one's `done` sends next meets an error of the socket."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    sink = Sink()
    transport = Transport(loop, ours, sink)
    told: list[tuple[str, Exception | None]] = []

    def first_done(error: Exception | None) -> None:
        told.append(("first", error))
        ours.shutdown(socket.SHUT_WR)
        transport.write([b"third"], lambda error: told.append(("third", error)))

    transport._writing = True  # as while the socket is full, so that both wait for the same write
    transport.write([b"first"], first_done)
    transport.write([b"second"], lambda error: told.append(("second", error)))
    transport._writing = False
    transport._flush()
    theirs.close()
    assert [name for name, _ in told] == ["first", "second", "third"]
    assert told[0][1] is None
    assert isinstance(told[2][1], BrokenPipeError)
    assert len(sink.ends) == 1


async def test_a_receiver_that_cannot_read_on_ends_the_transport(pair: Pair) -> None:
    transport, near, other, _ = pair
    near.refuse = WireError("garbage")
    other.write([b"x"])
    assert await near.end() is near.refuse
    assert transport.closed


async def test_a_reset_is_an_error() -> None:
    loop = asyncio.get_running_loop()
    server = socket.create_server(("127.0.0.1", 0))
    server.setblocking(False)
    connecting = asyncio.create_task(
        open_socket(loop, SocketAddress(socket.AF_INET, server.getsockname()), TransportOptions())
    )
    peer, _ = await loop.sock_accept(server)
    sink = Sink()
    Transport(loop, await connecting, sink)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    error = await sink.end()
    assert isinstance(error, OSError)
    assert error.errno == errno.ECONNRESET
    server.close()


async def test_sockets_get_their_options() -> None:
    loop = asyncio.get_running_loop()
    server = socket.create_server(("127.0.0.1", 0))
    options = TransportOptions(send_buffer=20_000, receive_buffer=30_000, keepalive_idle=7)
    sock = await open_socket(loop, SocketAddress(socket.AF_INET, server.getsockname()), options)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 20_000
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 30_000
    assert not sock.getblocking()
    sock.close()
    server.close()


async def test_a_refused_connect_is_an_error_and_leaves_no_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with pytest.raises(ConnectionRefusedError):
        await open_socket(asyncio.get_running_loop(), SocketAddress(socket.AF_INET, address), TransportOptions())
