"""One connection to one broker: requests out, each with its answer in. Runs on the engine.

Theory of operation. `submit` encodes a request and gives a future. The request is sent at once, unless the window of
requests in flight is full or the broker has asked for a pause: then it is held, in order. Kafka answers a connection's
requests in order, so each answer must carry the correlation ID of the oldest request in flight; any other ends the
connection, because nothing that comes after it could be trusted (nor, for the same reason, can one request time out
without ending the connection). A cancelled await leaves its request in its place: the answer is taken in and dropped.

Every request has a deadline, counted from when it is sent. One timer a connection watches the earliest; it is armed
when a request is the first one, so a request usually costs no timer at all.

Non-obvious:

- When a future is done, and was not cancelled, the transport holds none of the request's pieces any more: they may
  change. (An answer means that the broker has read them; a failure comes after the transport has dropped them.)
- The pause that a broker asks for (KIP-219) belongs to the connection on which it asked: brokers stop reading exactly
  that. What is in flight has its deadline moved by as much.
"""

import asyncio
import functools
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from felice.clock import Clock
from felice.cluster.framing import FrameReader
from felice.cluster.negotiation import BrokerVersions, refused
from felice.cluster.transport import Piece, Transport, os_reason
from felice.errors import BrokerError, ClosedError, ConnectionLost, FeliceError, RequestTimeout, WireError
from felice.wire.frames import decode_response, encode_request, response_correlation_id
from felice.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from felice.wire.schema import Request, Response

__all__ = ["Connection", "Reply"]

R = TypeVar("R", bound=Response)

WINDOW = 64
"""Requests in flight on one connection; a client that keeps order sets a smaller limit of its own."""

CLIENT_CLOSED = "closed by the client"


class Reply:
    """Takes an answer where nobody awaits one: what a future costs, two turns of the loop, is saved.

    `done(outcome)` gets the response as soon as it is read, and an error a turn later, when whatever ended the
    connection is over.
    """

    __slots__ = ("_call", "_done", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[Any], object]) -> None:
        self._loop = loop
        self._call = call
        self._done = False

    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._done

    def cancelled(self) -> bool:
        """Never: there is nobody who could."""
        return False

    def set_result(self, result: Any) -> None:
        """Hand out the response."""
        self._done = True
        self._call(result)

    def set_exception(self, error: BaseException) -> None:
        """Hand out an error, soon."""
        self._done = True
        self._loop.call_soon(self._call, error)


class Exchange:
    """A request, and who waits for its answer."""

    __slots__ = ("api", "correlation_id", "deadline", "end", "expects", "future", "pieces", "raw", "timeout", "version")

    def __init__(
        self,
        api: type[Request[Any]],
        version: int,
        correlation_id: int,
        pieces: Sequence[Piece],
        future: "asyncio.Future[Any] | Reply",
        timeout: float,
        *,
        expects: bool = True,
        raw: bool = False,
    ) -> None:
        self.api = api
        self.version = version
        self.correlation_id = correlation_id
        self.pieces = pieces
        self.future = future
        self.timeout = timeout
        self.expects = expects
        self.raw = raw  # whether the frame itself is the result
        self.deadline = 0.0
        self.end = -1  # the count of the transport's bytes at which the request has left; -1 while it is held

    def __str__(self) -> str:
        return f"{self.api.api_name} version {self.version}"


class Connection:
    """A connected socket that speaks Kafka. Make it with a socket, then await `handshake`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        *,
        peer: str,
        client_id: str,
        clock: Clock,
        max_frame_bytes: int,
        max_idle: float,
        window: int = WINDOW,
        on_closed: Callable[["Connection", FeliceError | None], object],
        on_throttle: Callable[[float], object],
    ) -> None:
        """Take over a connected socket.

        `peer` names the broker in errors. `on_closed(connection, error)` is called once, with None where the end
        harmed nobody; `on_throttle(seconds)` when the broker asks for a pause.
        """
        self.peer = peer
        self.versions: BrokerVersions | None = None
        self.served = 0
        """How many requests it has answered, the handshake not counted."""
        self._loop = loop
        self._clock = clock
        self._client_id = client_id
        self._max_idle = max_idle
        self._window = window
        self._on_closed = on_closed
        self._on_throttle = on_throttle
        self._frames = FrameReader(max_frame_bytes)
        self._correlation_id = 0
        self._in_flight: deque[Exchange] = deque()
        self._held: deque[Exchange] = deque()
        self._sweep: asyncio.TimerHandle | None = None  # due at or before the earliest deadline in flight
        self._sweep_at = 0.0
        self._pause: asyncio.TimerHandle | None = None  # set while the broker wants no requests
        self._pause_until = 0.0
        self._ended: FeliceError | None = None  # why it has ended
        self.reason = ""
        """Why it has ended, in a few words."""
        self._closing = ""  # why we end it ourselves; empty where we do not
        self._retiring = False
        self._used = clock.monotonic()
        self._idle = loop.call_later(max_idle, self._check_idle)
        self._transport = Transport(loop, sock, self)

    def __repr__(self) -> str:
        """Return the broker and what is under way."""
        return f"<Connection to {self.peer}: {len(self._in_flight)} in flight, {len(self._held)} held>"

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._transport.closed

    @property
    def ended(self) -> FeliceError | None:
        """Why it has ended; None while it has not."""
        return self._ended

    @property
    def load(self) -> int:
        """How many requests are in flight or held."""
        return len(self._in_flight) + len(self._held)

    @property
    def throttled(self) -> float:
        """Seconds until the broker wants requests again; 0 where it wants them now."""
        return max(0.0, self._pause_until - self._clock.monotonic()) if self._pause is not None else 0.0

    # -- requests -------------------------------------------------------------------------------------------------

    async def handshake(self, timeout: float) -> BrokerVersions:
        """Ask for the versions that the broker speaks; nothing else may be submitted before.

        Raises BrokerError, WireError, RequestTimeout or ConnectionLost.
        """
        request = ApiVersionsRequest(client_software_name="felice", client_software_version=_software_version())
        deadline = self._clock.monotonic() + timeout
        version = ApiVersionsRequest.max_version
        frame = await self._ask_versions(request, version, timeout)
        if refused(frame):
            version = 0
            request = ApiVersionsRequest()
            frame = await self._ask_versions(request, version, max(0.0, deadline - self._clock.monotonic()))
        try:
            answer = decode_response(ApiVersionsResponse, version, frame, allow_trailing=True)
        except WireError as error:
            self._transport.close(error)
            raise
        if answer.error_code:
            raise BrokerError(answer.error_code, f"asking {self.peer} for its versions")
        self.versions = BrokerVersions(answer, self.peer)
        return self.versions

    async def _ask_versions(self, request: ApiVersionsRequest, version: int, timeout: float) -> memoryview:
        future: asyncio.Future[memoryview] = self._loop.create_future()
        self._enqueue(request, version, future, timeout, raw=True)
        return await future

    def submit(
        self,
        request: Request[R] | Callable[[int], Request[R]],
        *,
        timeout: float,
        api: type[Request[R]] | None = None,
        version_cap: int | None = None,
        expect_response: bool = True,
    ) -> "asyncio.Future[R]":
        """Send a request, now or when its turn comes; return the future of its answer.

        Where the content depends on the version, `request` is a function of it and `api` the request's class. With
        `expect_response=False` (Produce with acks=0) the future's result is None, when the kernel has taken the
        bytes. The `timeout`, in seconds, counts from when the request is sent: neither a pause that the broker asked
        for nor the wait for room in the window is part of it.

        Raises, now: UnsupportedVersion, UnsupportedField, ConnectionLost where it has ended already. The future's
        errors: RequestTimeout, ConnectionLost (`may_have_happened` tells whether all of the request's bytes had
        left), WireError.
        """
        future: asyncio.Future[R] = self._loop.create_future()
        self._submit(request, future, timeout, api, version_cap, expect_response)
        return future

    def tell(
        self,
        done: Callable[[Any], object],
        request: Request[R] | Callable[[int], Request[R]],
        *,
        timeout: float,
        api: type[Request[R]] | None = None,
        version_cap: int | None = None,
        expect_response: bool = True,
    ) -> None:
        """Send a request as `submit` does; `done` is called with its answer, or with the future's error."""
        self._submit(request, Reply(self._loop, done), timeout, api, version_cap, expect_response)

    def _submit(
        self,
        request: Request[R] | Callable[[int], Request[R]],
        future: "asyncio.Future[R] | Reply",
        timeout: float,
        api: type[Request[R]] | None,
        version_cap: int | None,
        expect_response: bool,
    ) -> None:
        if self._ended is not None:
            raise ConnectionLost(self._ended.message, hint=self._ended.hint, may_have_happened=False)
        if isinstance(request, Request):
            api = type(request)
        elif api is None:
            raise TypeError("a request that is made for its version needs `api`, its class")
        assert self.versions is not None, "submit before handshake"
        version = self.versions.choose(api, version_cap)
        if not isinstance(request, Request):
            request = request(version)
        self._enqueue(request, version, future, timeout, expects=expect_response)

    def _enqueue(
        self,
        request: Request[Any],
        version: int,
        future: "asyncio.Future[Any] | Reply",
        timeout: float,
        *,
        expects: bool = True,
        raw: bool = False,
    ) -> None:
        self._correlation_id = correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        pieces = encode_request(request, version, correlation_id, self._client_id)
        exchange = Exchange(type(request), version, correlation_id, pieces, future, timeout, expects=expects, raw=raw)
        if self._held or self._pause is not None or len(self._in_flight) >= self._window:
            self._held.append(exchange)
        else:
            self._transmit(exchange)

    def _transmit(self, exchange: Exchange) -> None:
        transport = self._transport
        exchange.deadline = deadline = self._clock.monotonic() + exchange.timeout
        exchange.end = transport.queued + sum(map(len, exchange.pieces))
        pieces, exchange.pieces = exchange.pieces, ()
        self._in_flight.append(exchange)
        if self._sweep is None or deadline < self._sweep_at:
            self._arm_sweep(deadline)
        if exchange.expects:
            transport.write(pieces)
        else:
            transport.write(pieces, lambda error: self._written(exchange, error))

    def _written(self, exchange: Exchange, error: Exception | None) -> None:
        """Finish a request that has no answer: the kernel has its bytes. An error comes by `lost` as well."""
        if error is None:
            self._in_flight.remove(exchange)
            if not exchange.future.done():
                exchange.future.set_result(None)
            self._used = self._clock.monotonic()
            self._pump()

    def _pump(self) -> None:
        """Send what is held, as far as the window and the broker allow."""
        held = self._held
        while held and self._pause is None and len(self._in_flight) < self._window and not self.closed:
            exchange = held.popleft()
            if not exchange.future.cancelled():
                self._transmit(exchange)
        if self._retiring and not self.load:
            self.close(self._closing)

    # -- answers --------------------------------------------------------------------------------------------------

    def buffer(self) -> memoryview:
        """Return where the transport shall receive next."""
        return self._frames.buffer()

    def received(self, count: int) -> None:
        """Take `count` received bytes."""
        for frame in self._frames.received(count):
            self._answer(frame)
            if self.closed:
                return

    def _answer(self, frame: memoryview) -> None:
        in_flight = self._in_flight
        correlation_id = response_correlation_id(frame)
        if not in_flight or in_flight[0].correlation_id != correlation_id or not in_flight[0].expects:
            awaited = next((str(e.correlation_id) for e in in_flight if e.expects), "none")
            raise WireError(
                f"an answer with correlation ID {correlation_id} where {awaited} was due",
                hint="something between here and the broker mixes up answers",
            )
        exchange = in_flight.popleft()
        future = exchange.future
        self._used = self._clock.monotonic()
        if exchange.raw:
            if not future.done():
                future.set_result(frame)
            return
        self.served += 1
        if not future.done():
            try:
                # Kafka's own client takes no notice of bytes behind an answer, and there are brokers (librdkafka's
                # mock one, for Metadata since version 9) that rely on it.
                response = decode_response(exchange.api.response, exchange.version, frame, allow_trailing=True)
            except WireError as error:
                error.may_have_happened = True
                future.set_exception(error)
                raise WireError(f"an answer to {exchange} that makes no sense: {error}") from error
            pause = getattr(response, "throttle_time_ms", 0)
            if pause > 0:
                self._throttle(pause / 1000)
            future.set_result(response)
        if self._held or self._retiring:
            self._pump()

    # -- time -----------------------------------------------------------------------------------------------------

    def _throttle(self, seconds: float) -> None:
        """Hold requests for as long as the broker asks (KIP-219)."""
        # Answers that come together ask for the same pause, not for one after the other.
        before = max(self._pause_until, self._clock.monotonic())
        self.pause(seconds)
        longer = max(0.0, self._pause_until - before)
        for exchange in self._in_flight:
            exchange.deadline += longer
        self._on_throttle(seconds)

    def pause(self, seconds: float) -> None:
        """Hold requests for this long from now, unless they are held for longer already."""
        until = self._clock.monotonic() + seconds
        if until > self._pause_until:
            self._pause_until = until
            if self._pause is not None:
                self._pause.cancel()
            self._pause = self._loop.call_later(seconds, self._unpause)

    def _unpause(self) -> None:
        self._pause = None
        self._pump()

    def _arm_sweep(self, deadline: float) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        self._sweep_at = deadline
        self._sweep = self._loop.call_later(max(0.0, deadline - self._clock.monotonic()), self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._sweep = None
        if not self._in_flight:
            return
        first = min(self._in_flight, key=lambda exchange: exchange.deadline)
        if first.deadline > self._clock.monotonic():
            self._arm_sweep(first.deadline)
            return
        error = RequestTimeout(
            f"{self.peer} did not answer {first} within {first.timeout:g} s",
            hint="the broker is overloaded or frozen, or the network swallows packets",
            may_have_happened=self._transport.sent >= first.end,
        )
        self._in_flight.remove(first)
        # First the transport, so that the pieces are free when the waiter learns of it.
        self._transport.close(error)
        if not first.future.done():
            first.future.set_exception(error)

    def _check_idle(self) -> None:
        idle = self._clock.monotonic() - self._used
        if self.load:
            self._idle = self._loop.call_later(self._max_idle, self._check_idle)
        elif idle < self._max_idle:
            self._idle = self._loop.call_later(self._max_idle - idle, self._check_idle)
        else:
            self.close(f"idle for {idle:.0f} s")

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, reason: str = CLIENT_CLOSED) -> None:
        """End it at once; requests under way fail with ConnectionLost."""
        self._closing = reason
        self._transport.close(None)

    def retire(self, reason: str) -> None:
        """End it as soon as no request is under way."""
        self._retiring = True
        self._closing = reason
        if not self.load:
            self.close(reason)

    def lost(self, error: Exception | None) -> None:
        """Learn from the transport that it has ended."""
        for timer in (self._sweep, self._pause, self._idle):
            if timer is not None:
                timer.cancel()
        self._sweep = self._pause = None
        mid_frame = " in the middle of an answer" if self._frames.partial else ""
        if self._closing:
            what, hint = self._closing, ""
        elif error is None:
            what, hint = f"closed by the broker{mid_frame}", ""
            if self.versions is None:
                hint = "it did so before it answered at all: perhaps the port wants TLS or authentication"
        elif isinstance(error, FeliceError):
            what, hint = error.message, error.hint
        else:
            what, hint = os_reason(error), ""
        self.reason = what
        waiting = [*self._in_flight, *self._held]
        self._in_flight.clear()
        self._held.clear()
        self._ended = ended = ConnectionLost(
            f"the connection to {self.peer} was lost: {what}", hint=hint, may_have_happened=False
        )
        ended.__cause__ = error
        sent = self._transport.sent
        unanswered = 0
        for exchange in waiting:
            if exchange.future.done():
                continue
            unanswered += 1
            exchange.future.set_exception(self._failure(exchange, what, hint, error, 0 <= exchange.end <= sent))
        harmless = not unanswered and (error is None or isinstance(error, OSError)) and self.versions is not None
        self._on_closed(self, None if harmless else ended)

    def _failure(self, exchange: Exchange, what: str, hint: str, cause: Exception | None, left: bool) -> FeliceError:
        """Make the error of one request that was under way; each has its own, for its own traceback."""
        if self._closing == CLIENT_CLOSED:
            return ClosedError(f"{exchange} to {self.peer}: the client was closed", may_have_happened=left)
        failure = ConnectionLost(
            f"the connection to {self.peer} was lost under {exchange}: {what}", hint=hint, may_have_happened=left
        )
        failure.__cause__ = cause
        return failure


@functools.cache
def _software_version() -> str:
    """Return our version, as ApiVersions tells it to the broker (KIP-511)."""
    from importlib import metadata

    try:
        return metadata.version("felice")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "0"
