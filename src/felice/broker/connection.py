"""One client's connection: frames in, answers out, one at a time and in order. Runs on the broker's loop.

Like Kafka, a connection handles its next request when the answer to the one before has been handed to the kernel, all
of it. Meanwhile it reads on, to notice a client that goes away, but only until one whole request waits.
"""

import asyncio
import itertools
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

from felice.broker.inbox import Inbox
from felice.broker.refusal import Hangup

__all__ = ["Answer", "Connection", "Frame", "Last", "Later", "Muted", "Pieces", "Then"]

Frame: TypeAlias = bytes | bytearray
Pieces: TypeAlias = list[bytes | memoryview]

MOST_PIECES = 512
"""Pieces in one call of sendmsg; the kernel takes 1,024."""

PASSED_OVER = 64 * 1024
"""Bytes that are read at once of what is not answered."""

NO_LINGER = struct.pack("ii", 1, 0)

_log = logging.getLogger("felice.broker")


class Then(Enum):
    """How a connection ends."""

    CLOSE = "closed"
    RESET = "closed with an error for the client"
    SILENCE = "open, and as good as dead"


class Last:
    """The last that a client hears on its connection, possibly nothing, and how that ends then."""

    __slots__ = ("pieces", "then")

    def __init__(self, pieces: Pieces, then: Then) -> None:
        self.pieces = pieces
        self.then = then


class Muted:
    """An answer after which the connection takes no request for some seconds."""

    __slots__ = ("pieces", "seconds")

    def __init__(self, pieces: Pieces, seconds: float) -> None:
        self.pieces = pieces
        self.seconds = seconds


Answer: TypeAlias = Pieces | Last | Muted | None
"""What goes back: the pieces of a frame, with something that comes of it, or nothing (`acks=0`)."""


class Later:
    """An answer that is not there yet: when `future` is done, `finish` makes the answer of its result.

    The future is cancelled when the connection closes.
    """

    __slots__ = ("finish", "future")

    def __init__(self, future: "asyncio.Future[Any]", finish: Callable[[Any], Answer]) -> None:
        self.future = future
        self.finish = finish


Serve: TypeAlias = Callable[["Connection", Frame], Answer | Later]


class Connection:
    """A socket with its state; `serve` answers a frame at once, later, or by raising `Hangup`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        inbox: Inbox,
        serve: Serve,
        forget: Callable[["Connection"], None],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._inbox = inbox
        self._serve = serve
        self._forget = forget
        self._waiting: deque[Frame] = deque()
        self._out: deque[bytes | memoryview] = deque()
        self._later: Later | None = None
        self._reading = False
        self._writing = False
        self._then: Then | None = None
        self._frozen = False
        self._muted: asyncio.TimerHandle | None = None
        self.closed = False
        self.client_id: str | None = None
        """What the client calls itself, once it has said so."""
        self.farewell: Callable[[], object] | None = None
        """Is called when the connection has closed."""
        host, port = sock.getpeername()[:2] if sock.family != socket.AF_UNIX else ("", 0)
        self.host = host
        self.peer = f"{host}:{port}"

    def open(self, frozen: bool) -> None:
        """Begin to read."""
        self._frozen = frozen
        self._settle()

    def freeze(self) -> None:
        """Read nothing and send nothing until thawed; the socket stays open."""
        self._frozen = True
        self._settle()

    def thaw(self) -> None:
        """Go on where it stopped."""
        self._frozen = False
        self._flush()
        self._advance()

    def end(self) -> None:
        """Close when what there is to send is sent; no request is handled any more. One that is half-open stays so."""
        if self._then is None and not self.closed:
            self._then = Then.CLOSE
            self._flush()
            self._settle()

    def close(self, *, reset: bool = False) -> None:
        """Close the socket and drop what was under way; with `reset` the client gets an error, not an end."""
        if self.closed:
            return
        self.closed = True
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._watch_reads(False)
        self._watch_writes(False)
        self._sock.close()
        self._waiting.clear()
        self._out.clear()
        if self._later is not None:
            self._later.future.cancel()
        if self._muted is not None:
            self._muted.cancel()
        self._forget(self)
        if self.farewell is not None:
            self.farewell()

    # --- in ---

    def _readable(self) -> None:
        """Read once, and handle what is complete."""
        if self._then is Then.SILENCE:
            self._overhear()
            return
        try:
            room = self._inbox.room()
            try:
                count = self._sock.recv_into(room)
            finally:
                room.release()
            if count == 0:
                self.close()
                return
            self._waiting.extend(self._inbox.arrived(count))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        except Hangup as reason:
            self._hang_up(reason)
            return
        if self._waiting:
            self._advance()

    def _overhear(self) -> None:
        """Read what nobody answers any more, only to notice when the client goes away."""
        try:
            gone = not self._sock.recv(PASSED_OVER)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            gone = True
        if gone:
            self.close()

    def _advance(self) -> None:
        """Handle requests until one has to wait, then settle what to watch for."""
        while self._waiting and not (
            self._later or self._out or self._then or self._frozen or self._muted or self.closed
        ):
            self._handle(self._waiting.popleft())
        self._settle()

    def _handle(self, frame: Frame) -> None:
        """Handle one request."""
        try:
            answer = self._serve(self, frame)
        except Exception as error:
            self._hang_up(error)
            return
        if isinstance(answer, Later):
            self._later = answer
            answer.future.add_done_callback(self._done)
        else:
            self._send(answer)

    def _done(self, future: "asyncio.Future[Any]") -> None:
        """Send an answer that took its time."""
        later, self._later = self._later, None
        if future.cancelled() or later is None:
            return
        error = future.exception()
        if self.closed:
            return
        if error is not None:
            self._hang_up(error)
            return
        try:
            answer = later.finish(future.result())
        except Exception as failure:
            self._hang_up(failure)
            return
        self._send(answer)
        self._advance()

    def _hang_up(self, error: BaseException) -> None:
        """Close because of a request that cannot be answered."""
        if isinstance(error, Hangup):
            level = logging.DEBUG if error.wanted else logging.WARNING
            _log.log(level, "connection from %s closed: %s", self.peer, error)
        else:
            _log.error("connection from %s closed: its request failed", self.peer, exc_info=error)
        self.close()

    # --- out ---

    def _send(self, answer: Answer) -> None:
        """Send an answer, as much of it as the kernel takes now."""
        if isinstance(answer, Last):
            self._then = answer.then
            if self._then is Then.SILENCE:
                self._waiting.clear()
            answer = answer.pieces
        elif isinstance(answer, Muted):
            self._muted = self._loop.call_later(answer.seconds, self._unmute)
            answer = answer.pieces
        if answer:
            self._out.extend(piece for piece in answer if len(piece))
        self._flush()

    def _flush(self) -> None:
        """Hand the kernel what is to go out."""
        out = self._out
        while out and not self._frozen and not self.closed:
            try:
                sent = self._sock.sendmsg(list(itertools.islice(out, MOST_PIECES)))
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.close()
                return
            while sent:
                first = out.popleft()
                if len(first) > sent:
                    out.appendleft(memoryview(first)[sent:])
                    break
                sent -= len(first)
        if self._then in (Then.CLOSE, Then.RESET) and not out and not self._frozen:
            self.close(reset=self._then is Then.RESET)

    def _writable(self) -> None:
        """Go on sending, and with the next request when that is done."""
        self._flush()
        self._advance()

    def _unmute(self) -> None:
        """Take requests again."""
        self._muted = None
        self._advance()

    # --- what to watch for ---

    def _settle(self) -> None:
        """Watch the socket for what is wanted now."""
        if not self.closed:
            self._watch_reads(not self._waiting and not self._frozen and self._then in (None, Then.SILENCE))
            self._watch_writes(bool(self._out) and not self._frozen)

    def _watch_reads(self, wanted: bool) -> None:
        """Have the loop tell of bytes to read, or not."""
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._loop.add_reader(self._sock, self._readable)
            else:
                self._loop.remove_reader(self._sock)

    def _watch_writes(self, wanted: bool) -> None:
        """Have the loop tell of room to write, or not."""
        if wanted != self._writing:
            self._writing = wanted
            if wanted:
                self._loop.add_writer(self._sock, self._writable)
            else:
                self._loop.remove_writer(self._sock)
