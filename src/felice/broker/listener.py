"""The port of one node, and the connections that came through it. Runs on the broker's loop."""

import asyncio
import errno
import socket
from collections.abc import Callable
from logging import getLogger
from typing import Protocol

from felice.broker.connection import Connection, Serve
from felice.broker.inbox import Inbox

__all__ = ["Listener"]

BACKLOG = 1024
PAUSE = 1.0
"""Seconds without accepting after the process ran out of file descriptors."""

_log = getLogger("felice.broker")


class Place(Protocol):
    """What listens there; the port is set when it is known."""

    id: int
    port: int


class Listener:
    """Listens while its node is up; while it is not, the port stays reserved, and connections are refused."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        node: Place,
        address: tuple[str, int],
        serve: Serve,
        *,
        max_frame: int,
        scratch: memoryview,
        forget: Callable[[Connection], object] = lambda connection: None,
    ) -> None:
        """Take an address, with port 0 a free one. All connections of a loop share `scratch` to read to.

        `forget` is told of every connection that has closed.
        """
        self._forget = forget
        self._loop = loop
        self.node = node
        self._serve = serve
        self._max_frame = max_frame
        self._scratch = scratch
        self._connections: set[Connection] = set()
        self._frozen = False
        self._listening = False
        self._host = address[0]
        self._sock = self._bind(address[1])
        node.port = self._sock.getsockname()[1]

    def open(self) -> None:
        """Begin to accept."""
        self._sock.listen(BACKLOG)
        self._listening = True
        self._watch()

    def shut(self, *, reset: bool = False) -> None:
        """Close or reset all connections and refuse new ones, but keep the port."""
        self._listening = False
        self._watch()
        self._sock.close()
        self._drop_connections(reset=reset)
        # A socket that is bound but does not listen refuses connections, and nobody else gets the port.
        self._sock = self._bind(self.node.port)

    def let_in(self, wanted: bool) -> None:
        """Accept connections, or close those that there are and refuse new ones; where it is so, nothing happens."""
        if wanted and not self._listening:
            self.open()
        elif not wanted and self._listening:
            self.shut()

    def close(self) -> None:
        """Give everything back."""
        self._listening = False
        self._watch()
        self._sock.close()
        self._drop_connections()

    def freeze(self, frozen: bool) -> None:
        """Stop reading and sending on all connections, or go on; the kernel keeps accepting new ones meanwhile."""
        if frozen == self._frozen:
            return
        self._frozen = frozen
        self._watch()
        for connection in tuple(self._connections):
            if frozen:
                connection.freeze()
            else:
                connection.thaw()

    def _bind(self, port: int) -> socket.socket:
        """Return a socket with the port."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind((self._host, port))
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"the broker cannot have {self._host}:{port}: {error.strerror}") from error
        return sock

    def _watch(self) -> None:
        """Have the loop tell of new connections, if they are wanted."""
        if self._listening and not self._frozen:
            self._loop.add_reader(self._sock, self._accept)
        else:
            self._loop.remove_reader(self._sock)

    def _accept(self) -> None:
        """Take the connections that wait."""
        for _ in range(BACKLOG):
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                _log.error("node %d accepts nothing for %s s: %s", self.node.id, PAUSE, error.strerror)
                self._loop.remove_reader(self._sock)
                self._loop.call_later(PAUSE, self._watch)
                return
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(
                    self._loop, sock, Inbox(self._scratch, self._max_frame), self._serve, self._closed
                )
            except OSError:  # it is gone already
                sock.close()
                continue
            self._connections.add(connection)
            connection.open(self._frozen)

    def disconnect(self, client_id: str | None, reset: bool) -> int:
        """Close all connections, or one client's; return how many."""
        chosen = [each for each in self._connections if client_id is None or each.client_id == client_id]
        for connection in chosen:
            connection.close(reset=reset)
        return len(chosen)

    def _closed(self, connection: Connection) -> None:
        """Forget a connection."""
        _log.info("node %d: %s is gone", self.node.id, connection.peer)
        self._connections.discard(connection)
        self._forget(connection)

    def _drop_connections(self, *, reset: bool = False) -> None:
        """Close all connections."""
        for connection in tuple(self._connections):
            connection.close(reset=reset)
