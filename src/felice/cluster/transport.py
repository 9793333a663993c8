"""Bytes in and out of one non-blocking socket. Runs on the engine.

Own sockets on the loop's readiness: asyncio's transports join and copy what they send and never tell when a buffer is
free again. Here the pieces of a message go to `sendmsg` as they are, what comes in is received where the receiver
wants it, and `done` tells when the kernel has taken the last byte of a message.

This is the seam for other ways to move bytes. What a connection uses is `Transport`'s public names and nothing else:
TLS, for instance, is another class of these names, with an `ssl.SSLObject` between the socket and the pieces.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from felice.errors import WireError

__all__ = ["Receiver", "SocketAddress", "Transport", "TransportOptions", "open_socket", "os_reason"]

Piece: TypeAlias = bytes | bytearray | memoryview
Done: TypeAlias = Callable[[Exception | None], object]

IOV_MAX = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") and "SC_IOV_MAX" in os.sysconf_names else 16
"""How many pieces one `sendmsg` takes; 16 is what POSIX promises."""

READS = 16
"""How many times one readiness is read from before other sockets get their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """Socket options. Buffer sizes in bytes; None leaves the kernel its own tuning, which is best nearly always."""

    keepalive: bool = True
    keepalive_idle: int = 60
    keepalive_interval: int = 10
    keepalive_count: int = 6
    send_buffer: int | None = None
    receive_buffer: int | None = None

    def apply(self, sock: socket.socket) -> None:
        """Set them on a TCP socket; what the system does not know is left out."""
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in (
                ("TCP_KEEPIDLE", self.keepalive_idle),
                ("TCP_KEEPINTVL", self.keepalive_interval),
                ("TCP_KEEPCNT", self.keepalive_count),
            ):
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if self.send_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
        if self.receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """A resolved address: its family, and what `connect` takes."""

    family: int
    address: tuple[Any, ...]

    def __str__(self) -> str:
        """Return `ip:port`."""
        host, port = self.address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def open_socket(
    loop: asyncio.AbstractEventLoop, address: SocketAddress, options: TransportOptions
) -> socket.socket:
    """Connect a non-blocking socket; raises OSError. Cancelling it closes the socket."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        options.apply(sock)
        await loop.sock_connect(sock, address.address)
    except BaseException:
        sock.close()
        raise
    return sock


def os_reason(error: Exception) -> str:
    """Return an operating system's error in its own words (asyncio puts others into those of a failed connect)."""
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno:
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Receiver(Protocol):
    """What a transport brings its bytes to."""

    def buffer(self) -> memoryview:
        """Return where to receive next; never empty."""
        ...

    def received(self, count: int) -> None:
        """Take `count` bytes that are in the buffer now. A WireError ends the transport."""
        ...

    def lost(self, error: Exception | None) -> None:
        """Learn, once, that the transport has ended: None when the peer closed it, OSError or WireError else."""
        ...


class Transport:
    """One connected socket on one loop."""

    __slots__ = ("_closed", "_loop", "_marks", "_pieces", "_receiver", "_sock", "_writing", "queued", "sent")

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, receiver: Receiver) -> None:
        """Take over a connected, non-blocking socket and start to receive."""
        self._loop = loop
        self._sock = sock
        self._receiver = receiver
        self._closed = False
        self._pieces: deque[Piece] = deque()  # what the kernel has not taken yet, in order
        self.queued = 0
        """Bytes ever given to `write`."""
        self.sent = 0
        """Bytes ever taken by the kernel."""
        self._marks: deque[tuple[int, Done]] = deque()  # whom to tell when `sent` reaches that count
        self._writing = False  # whether the loop watches for writability
        loop.add_reader(sock, self._readable)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closed

    def write(self, pieces: Sequence[Piece], done: Done | None = None) -> None:
        """Send the pieces in order, without copying them.

        They must not change before `done(None)`, when the kernel has taken them all, or `done(error)`, when the
        transport has ended first. Either may come before this returns. An error of the socket reaches the receiver's
        `lost`, also before this returns.
        """
        if self._closed:
            if done is not None:
                done(ConnectionError("the transport is closed"))
            return
        self.queued += sum(map(len, pieces))
        self._pieces.extend(pieces)
        if done is not None:
            self._marks.append((self.queued, done))
        if not self._writing:
            self._flush()

    def close(self, error: Exception | None = None) -> None:
        """End it at once: what is unsent is dropped, `done` is told, then the receiver. Again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        if self._writing:
            self._loop.remove_writer(self._sock)
        self._sock.close()
        self._pieces.clear()
        marks, self._marks = self._marks, deque()
        for _, done in marks:
            done(error or ConnectionError("the transport was closed"))
        self._receiver.lost(error)

    def _flush(self) -> None:
        """Give the kernel what it takes; watch for writability while something is left."""
        pieces = self._pieces
        try:
            if len(pieces) == 1:
                count = self._sock.send(pieces[0])
            else:
                count = self._sock.sendmsg([pieces[i] for i in range(min(len(pieces), IOV_MAX))])
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as error:
            self.close(error)
            return
        self.sent += count
        while pieces:
            first = len(pieces[0])
            if count < first:
                if count:
                    pieces[0] = memoryview(pieces[0])[count:]
                break
            count -= first
            pieces.popleft()
        if bool(pieces) != self._writing:
            self._writing = bool(pieces)
            if pieces:
                self._loop.add_writer(self._sock, self._flush)
            else:
                self._loop.remove_writer(self._sock)
        # Race: `done` writes more, and the socket has an error. Then `close` in there has told all marks already, and
        # has put an empty queue in place of theirs; so the attribute is read anew each time.
        while self._marks and self._marks[0][0] <= self.sent:
            self._marks.popleft()[1](None)

    def _readable(self) -> None:
        receiver = self._receiver
        for _ in range(READS):
            buffer = receiver.buffer()
            try:
                count = self._sock.recv_into(buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self.close(error)
                return
            if not count:
                self.close(None)
                return
            whole = count == len(buffer)
            buffer.release()  # The receiver may have to grow what the view looks at.
            try:
                receiver.received(count)
            except WireError as error:
                self.close(error)
                return
            if self._closed or not whole:
                return  # A buffer that was not filled has emptied the socket.
