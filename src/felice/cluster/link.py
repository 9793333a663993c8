"""The way to one broker for one role: at most one connection, and its making. Runs on the engine.

A link outlives its connections. It makes one when somebody wants it and none is there, one at a time however many
want it, and no sooner than its backoff allows. It never connects by itself: an idle client stays unconnected after the
broker has closed its connections.
"""

import asyncio
import logging
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from felice.clock import Clock
from felice.cluster.backoff import Backoff
from felice.cluster.connection import Connection
from felice.cluster.resolver import Resolver
from felice.cluster.transport import SocketAddress, TransportOptions, open_socket, os_reason
from felice.config import Address, ClientConfig
from felice.errors import ClosedError, ConnectError, FeliceError
from felice.events import ConnectionClosed, ConnectionFailed, ConnectionOpened, EventBus, Throttled

__all__ = ["Link", "Role", "Wiring"]

_log = logging.getLogger("felice.cluster")

SLACK = 1.0
"""Seconds that may pass between the end of all pauses and the next try, while a failing connection is still wanted."""


class Role(Enum):
    """What a connection is for. Kafka answers one connection's requests in order, so a long poll holds up its own."""

    CONTROL = "control"
    PRODUCE = "produce"
    FETCH = "fetch"
    FETCH_SIDE = "fetch beside a long poll"
    COORDINATOR = "coordinator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What all links of a client share."""

    loop: asyncio.AbstractEventLoop
    config: ClientConfig
    clock: Clock
    random: Random
    resolver: Resolver
    events: EventBus
    options: TransportOptions = field(default_factory=TransportOptions)


class Link:
    """One broker, one role."""

    def __init__(
        self,
        wiring: Wiring,
        role: Role,
        locate: Callable[[], Address | None],
        name: Callable[[], str],
    ) -> None:
        """Take where the broker is (asked at each connect; None where nobody knows) and what to call it."""
        self.role = role
        self.locate = locate
        self.name = name
        self.live: Connection | None = None
        """The connection, while there is one."""
        self.last_error: FeliceError | None = None
        """Why there is none, until there is one again."""
        self.address: Address | None = None
        """Where the connection was last made to."""
        self._wiring = wiring
        self._backoff = Backoff(wiring.config.reconnect_backoff, wiring.config.reconnect_backoff_max, wiring.random)
        self._not_before = 0.0
        self._paused_until = 0.0  # outlives the connection, or a reconnect would be a way around the broker's quota
        self._attempt: asyncio.Task[None] | None = None
        self._waiters: list[asyncio.Future[Connection]] = []  # also those who were given it and have not run yet
        self._retired: set[Connection] = set()  # without new requests, but with answers to come
        self._closed = False

    @property
    def backing_off(self) -> float:
        """Seconds until the next connection may be tried; 0 where one is there or may be tried now."""
        if self.live is not None:
            return 0.0
        return max(0.0, self._not_before - self._wiring.clock.monotonic())

    @property
    def failing(self) -> FeliceError | None:
        """Why there is no connection, while somebody wants one; None where nobody has for a while."""
        if self.live is not None or self.last_error is None:
            return None
        # Who wants one comes back after a pause of their own.
        forgotten = self._not_before + self._wiring.config.retry_backoff_max + SLACK
        return self.last_error if self._attempt is not None or self._wiring.clock.monotonic() < forgotten else None

    @property
    def unused(self) -> bool:
        """Whether there is no connection, none under way, and none with answers to come: it can be forgotten."""
        return self.live is None and self._attempt is None and not self._retired

    @property
    def ready(self) -> Connection | None:
        """The connection, unless somebody who waited for it has not used it yet: then come behind, by `connection`."""
        return None if self._waiters else self.live

    async def connection(self, timeout: float) -> Connection:
        """Return the connection, making it if need be, within `timeout` seconds; raises ConnectError.

        Callers get it in the order in which they came, so that their requests do not overtake each other.
        """
        if self._closed:
            raise ClosedError("the client is closed")
        loop = self._wiring.loop
        waiter: asyncio.Future[Connection] = loop.create_future()
        if self.live is not None:
            # Race: one that comes when the connection is there and those who waited for it have not run yet.
            #   1. first: waits   2. the connection is there: first is scheduled   3. second: comes
            #   4. first: sends   5. second: is scheduled behind first             6. second: sends
            loop.call_soon(_grant, waiter, self.live)
        elif self._attempt is None:
            self._attempt = loop.create_task(self._connect(), name=f"felice connects to {self.name()}")
        timer = loop.call_later(timeout, self._give_up, waiter, timeout)
        self._waiters.append(waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiters.remove(waiter)

    def _give_up(self, waiter: "asyncio.Future[Connection]", timeout: float) -> None:
        if not waiter.done():
            last = f"; last: {self.last_error.message}" if self.last_error else ""
            waiter.set_exception(ConnectError(f"no connection to {self.name()} within {timeout:.3g} s{last}"))

    async def _connect(self) -> None:
        """Make one attempt, and bring its outcome to all who wait."""
        clock, config = self._wiring.clock, self._wiring.config
        try:
            if (pause := self.backing_off) > 0:
                await asyncio.sleep(pause)
            started = clock.monotonic()
            connection = await self._open(started + config.connect_timeout)
        except asyncio.CancelledError:
            self._attempt = None
            self._settle(None, ClosedError("the client was closed while it connected"))
            raise
        except FeliceError as error:
            self._attempt = None
            self._failed(error)
            self._settle(None, error)
        except Exception as error:
            self._attempt = None
            _log.exception("connecting to %s failed unexpectedly", self.name())
            wrapped = ConnectError(f"connecting to {self.name()}: {error!r}")
            wrapped.__cause__ = error
            self._failed(wrapped)
            self._settle(None, wrapped)
        else:
            self._attempt = None
            self.live = connection
            self.last_error = None
            if (rest := self._paused_until - clock.monotonic()) > 0:
                connection.pause(rest)
            self._wiring.events.emit(
                ConnectionOpened(
                    client_id=config.client_id,
                    node=self.name(),
                    role=self.role.value,
                    seconds=clock.monotonic() - started,
                )
            )
            self._settle(connection, None)

    def _settle(self, connection: Connection | None, error: FeliceError | None) -> None:
        for waiter in self._waiters:
            if waiter.done():
                continue
            if connection is not None:
                waiter.set_result(connection)
            else:
                assert error is not None
                waiter.set_exception(_again(error))

    async def _open(self, deadline: float) -> Connection:
        """Try every address that the broker's name has now, in turn; raises the last one's ConnectError."""
        wiring = self._wiring
        address = self.locate()
        if address is None:
            raise ConnectError(f"{self.name()} is not among the brokers of the cluster", hint="metadata is refreshed")
        self.address = address
        loop, clock = wiring.loop, wiring.clock
        try:
            async with asyncio.timeout(deadline - clock.monotonic()):
                found = await wiring.resolver.resolve(address.host, address.port)
        except TimeoutError as error:
            raise ConnectError(f"{self.name()}: the name {address.host} was not resolved in time") from error
        except OSError as error:
            raise ConnectError(f"{self.name()}: cannot resolve {address.host}: {os_reason(error)}") from error
        if not found:
            raise ConnectError(f"{self.name()}: {address.host} has no address")
        failure: FeliceError | None = None
        for position, target in enumerate(found):
            # Each address gets an equal share of the time that is left: one that swallows packets must not use it up.
            share = max(0.001, (deadline - clock.monotonic()) / (len(found) - position))
            try:
                return await self._open_one(loop, target, share)
            except FeliceError as error:
                failure = error
        assert failure is not None
        raise failure

    async def _open_one(self, loop: asyncio.AbstractEventLoop, target: SocketAddress, timeout: float) -> Connection:
        """Connect to one address and shake hands, within `timeout` seconds."""
        wiring, config = self._wiring, self._wiring.config
        end = wiring.clock.monotonic() + timeout
        where = f"connection to {self.name()}" + (f" at {target}" if str(target) != str(self.address) else "")
        try:
            async with asyncio.timeout(timeout):
                sock = await open_socket(loop, target, wiring.options)
        except TimeoutError as error:
            raise ConnectError(f"{where}: no answer within {timeout:.3g} s") from error
        except OSError as error:
            raise ConnectError(f"{where} failed: {os_reason(error)}") from error
        connection = Connection(
            loop,
            sock,
            peer=self.name(),
            client_id=config.client_id,
            clock=wiring.clock,
            max_frame_bytes=config.max_frame_bytes,
            max_idle=config.connections_max_idle,
            on_closed=self._on_closed,
            on_throttle=self._on_throttle,
        )
        try:
            await connection.handshake(max(0.001, end - wiring.clock.monotonic()))
        except BaseException as error:
            connection.close("the handshake failed")
            if not isinstance(error, FeliceError):
                raise
            raise ConnectError(f"{where} failed at its first request: {error.message}", hint=error.hint) from error
        if connection.ended is not None:
            # Race: 1. the answer is read: this task is due; 2. what is read behind it ends the connection; 3. we run.
            raise ConnectError(f"{where} ended behind its first answer: {connection.reason}") from connection.ended
        return connection

    # -- what happens to the connection ---------------------------------------------------------------------------

    def _on_closed(self, connection: Connection, error: FeliceError | None) -> None:
        if self.live is not connection and connection not in self._retired:
            return  # It ended in its handshake, which reports it.
        self._retired.discard(connection)
        if self.live is connection:
            self.live = None
        # A connection that never answered is no success: a broker that accepts and hangs up must not be hammered.
        if connection.served:
            self._backoff.reset()
        if error is not None and not self._closed:
            self._failed(error)
        else:
            self._wiring.events.emit(
                ConnectionClosed(
                    client_id=self._wiring.config.client_id,
                    node=self.name(),
                    role=self.role.value,
                    reason=connection.reason,
                    expected=True,
                )
            )

    def _failed(self, error: FeliceError) -> None:
        """Take a failure into account: the next attempt waits."""
        news = self.last_error is None or self.last_error.message != error.message
        self.last_error = error
        pause = self._backoff.next()
        self._not_before = self._wiring.clock.monotonic() + pause
        failures = self._backoff.failures
        # An outage of an hour is not worth thousands of equal lines: the 1st, 2nd, 4th, 8th ... failure is told.
        if news or failures & (failures - 1) == 0:
            self._wiring.events.emit(
                ConnectionFailed(
                    client_id=self._wiring.config.client_id,
                    node=self.name(),
                    role=self.role.value,
                    reason=str(error),
                    retry_in=pause,
                    failures=failures,
                )
            )

    def _on_throttle(self, seconds: float) -> None:
        self._paused_until = self._wiring.clock.monotonic() + seconds
        self._wiring.events.emit(Throttled(client_id=self._wiring.config.client_id, node=self.name(), seconds=seconds))

    def retire(self, reason: str) -> None:
        """End the connection when nothing is under way on it; the next use makes a new one."""
        if self.live is not None:
            connection, self.live = self.live, None
            self._retired.add(connection)
            connection.retire(reason)

    async def close(self) -> None:
        """End the connection and any attempt at one; every waiter gets ClosedError."""
        self._closed = True
        if self.live is not None:
            self.live.close()
        for connection in tuple(self._retired):
            connection.close()
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        # A task that is cancelled before its first step never gets to tell its waiters.
        self._settle(None, ClosedError("the client was closed while it connected"))


def _grant(waiter: "asyncio.Future[Connection]", connection: Connection) -> None:
    if not waiter.done():
        waiter.set_result(connection)


def _again(error: FeliceError) -> FeliceError:
    """Return an equal error for one more waiter, so that each has its own traceback."""
    again = copy(error)
    again.__cause__ = error.__cause__
    return again
