"""Fetching from one broker: two lanes, so that nobody waits behind another one's long poll. Runs on the engine.

The *main* lane keeps a fetch session. It asks for every partition that wants to be fetched, and the broker answers as
soon as one of them has something, or after `fetch_max_wait`. Usually that is all there is: a waiting consumer costs one
request per `fetch_max_wait` and broker.

A partition may begin to want while the main lane's request is under way without it: it was resumed, sought, or read
down to its low-water mark. That request may be answered half a second later, and Kafka answers the requests of one
connection in order. So there is a *side* lane, a connection of its own, which asks for just those partitions, outside
of the session and with a wait of `SIDE_WAIT`, again and again until the main lane's request comes back.

Then both must come together, or two lanes would poll beside each other for ever:

- When the main lane is free, it asks for all that want to be fetched. Where the side lane is just asking for some, and
  nothing is known to wait at the broker for the others, it lets the side lane finish first (that is `SIDE_WAIT` and a
  round trip) and then asks for all. Where that takes longer than `SIDE_PATIENCE`, the side lane's connection may be
  dead, and the main lane goes on without its partitions.
- The side lane begins only while a request of the main lane is under way.

So a partition that wants is asked for within `SIDE_WAIT` and a round trip, and a consumer whose partitions have nothing
new is back to one long poll per broker as soon as the one under way has ended.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from felice.cluster.backoff import Backoff
from felice.cluster.link import Role
from felice.cluster.router import Cluster
from felice.config import ConsumerConfig
from felice.consumer.session import FetchSession, Step, Want, sessionless
from felice.consumer.shelf import Partition, Shelf
from felice.errors import (
    BrokerError,
    ClosedError,
    DeadlineExceeded,
    ErrorCode,
    FeliceError,
    NetworkError,
    UnsupportedVersion,
    WireError,
)
from felice.types import TopicPartition
from felice.wire.messages.fetch import FetchRequest, FetchResponse

__all__ = ["SIDE_WAIT", "Flight", "Pantry", "Source"]

SIDE_WAIT = 0.01
"""Seconds that a broker may hold a request of the side lane."""

SESSION_ERRORS = frozenset(
    {
        ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
        ErrorCode.INVALID_FETCH_SESSION_EPOCH,
        ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INCONSISTENT_TOPIC_ID,
    }
)
"""Errors of a whole answer after which another session is opened."""


SIDE_PATIENCE = 1.0
"""Seconds that the main lane waits for the side lane to finish."""


class Flight:
    """A request under way, and for which shelves."""

    __slots__ = ("by_id", "by_name", "partitions", "reserved", "shelves", "wants")

    def __init__(self, partitions: Sequence[Partition], wants: Sequence[Want], reserved: int) -> None:
        """Take the partitions, what is asked of each, and how many bytes of the budget are reserved."""
        self.partitions = partitions
        self.wants = wants
        self.reserved = reserved
        self.shelves: list[Shelf] = [partition.shelf for partition in partitions]
        self.by_name: dict[tuple[str, int], int] = {}
        self.by_id: dict[tuple[bytes, int], int] = {}
        for index, want in enumerate(wants):
            self.by_name[want.topic, want.partition] = index
            self.by_id[want.topic_id, want.partition] = index
            partitions[index].flight = self

    def land(self) -> None:
        """Let its partitions be fetched again."""
        for partition in self.partitions:
            if partition.flight is self:
                partition.flight = None


class Pantry(Protocol):
    """What a source asks of the fetcher: what to fetch, room for it, and what to do with what came."""

    def wanted(self, partitions: Sequence[Partition]) -> list[Partition]:
        """Return those that want to be fetched now."""
        ...

    def waiting(self, partition: Partition) -> bool:
        """Tell whether the broker is known to have something for a partition."""
        ...

    def depart(self, partitions: Sequence[Partition]) -> tuple[Flight, int] | None:
        """Reserve room and note the request; return it and its `max_bytes`, or None where there is no room."""
        ...

    def arrive(self, flight: Flight, answer: FetchResponse, node_id: int) -> None:
        """Take an answer."""
        ...

    def lost(self, flight: Flight, node_id: int) -> None:
        """Take it that no answer comes; `node_id` is the broker that failed, or -1 where it is not to blame."""
        ...


class Source:
    """What is fetched from one broker, and how."""

    def __init__(
        self, node_id: int, cluster: Cluster, config: ConsumerConfig, pantry: Pantry, backoff: Backoff
    ) -> None:
        """Take the broker and who keeps what comes from it; `run_main` and `run_side` do the work."""
        self.node_id = node_id
        self.partitions: dict[TopicPartition, Partition] = {}
        self.session = FetchSession()
        self._cluster = cluster
        self._config = config
        self._pantry = pantry
        self._backoff = backoff
        self._isolation = int(config.isolation == "read_committed")
        self._bell = asyncio.Event()
        self._side_bell = asyncio.Event()
        self._side_done = asyncio.Event()
        self._main_busy = False
        self._side_busy = False
        self._side_late = False
        self._ended = False

    def poke(self) -> None:
        """Have both lanes look whether there is something to do."""
        self._bell.set()
        self._side_bell.set()

    def _wanted(self) -> list[Partition]:
        return [] if self._ended else self._pantry.wanted(tuple(self.partitions.values()))

    async def run_main(self) -> None:
        """Work the main lane, until the client is closed."""
        with suppress(ClosedError):
            await self._run_main()

    async def run_side(self) -> None:
        """Work the side lane, until the client is closed."""
        with suppress(ClosedError):
            await self._run_side()

    async def _run_main(self) -> None:
        while True:
            self._bell.clear()
            wanted = self._wanted()
            if not wanted:
                await self._bell.wait()
                continue
            beside = self._side_busy and not self._side_late
            if beside and not any(map(self._pantry.waiting, wanted)):
                await self._meet()
                continue
            # A long wait only where nobody is left out who would have to wait for its end.
            max_wait = SIDE_WAIT if beside else self._config.fetch_max_wait
            self._main_busy = True
            try:
                pause = await self._fetch(wanted, self.session, max_wait)
            finally:
                self._main_busy = False
            await self._rest(pause, self._bell)

    async def _meet(self) -> None:
        """Let the side lane finish, or note that it takes too long."""
        self._side_done.clear()
        try:
            async with asyncio.timeout(SIDE_PATIENCE):
                await self._side_done.wait()
        except TimeoutError:
            self._side_late = True

    async def _run_side(self) -> None:
        while True:
            self._side_bell.clear()
            wanted = self._wanted() if self._main_busy else []
            if not wanted:
                await self._side_bell.wait()
                continue
            self._side_busy = True
            try:
                pause = await self._fetch(wanted, None, min(SIDE_WAIT, self._config.fetch_max_wait))
            finally:
                self._side_busy = self._side_late = False
                self._side_done.set()
            await self._rest(pause, self._side_bell)

    async def end(self) -> None:
        """Ask for nothing any more, and have the broker forget the session, which it keeps until it needs the room.

        By way of the side lane's connection, because on the main one this would wait behind the long poll; and only
        where that one stands, because nobody waits for a broker that is away.
        """
        self._ended = True
        step = self.session.ending()
        if step is not None and self._cluster.connected(self.node_id, Role.FETCH):
            with suppress(FeliceError):
                await self._ask(step, 0.0, 0, side=True)

    async def _rest(self, pause: float | None, bell: asyncio.Event) -> None:
        """Wait as `_fetch` says: so many seconds, or until there is room."""
        if pause is None:
            await bell.wait()
        elif pause > 0:
            await asyncio.sleep(pause)

    async def _fetch(self, wanted: list[Partition], session: FetchSession | None, max_wait: float) -> float | None:
        """Ask for these partitions; return how long to pause after that, or None where there is no room for answers."""
        departed = self._pantry.depart(wanted)
        if departed is None:
            return None
        flight, max_bytes = departed
        step = session.step(flight.wants) if session is not None else sessionless(flight.wants)
        self._side_bell.set()  # The main lane may have left out what did not fit.
        try:
            answer = await self._ask(step, max_wait, max_bytes, side=session is None)
        except (NetworkError, DeadlineExceeded, WireError, UnsupportedVersion):
            # Whether the broker has seen the request, and so which epoch it is at, is not known.
            if session is not None:
                session.reset()
            self._pantry.lost(flight, self.node_id)
            return self._backoff.next()
        except BaseException:
            flight.land()
            raise
        if answer.error_code:
            return self._refused(flight, answer.error_code, session)
        if session is not None:
            session.answered(answer.session_id)
        self._backoff.reset()
        self._pantry.arrive(flight, answer, self.node_id)
        self.poke()
        return 0.0

    async def _ask(self, step: Step, max_wait: float, max_bytes: int, *, side: bool) -> FetchResponse:
        config = self._config
        build: Callable[[int], FetchRequest] = lambda version: step.build(  # noqa: E731
            version,
            max_wait_ms=int(max_wait * 1000),
            min_bytes=min(config.fetch_min_bytes, 1) if side else config.fetch_min_bytes,
            max_bytes=max_bytes,
            isolation_level=self._isolation,
            rack=config.rack,
        )
        return await self._cluster.send(
            self.node_id,
            build,
            api=FetchRequest,
            role=Role.FETCH_SIDE if side else Role.FETCH,
            timeout=max_wait + config.request_timeout,
            version_cap=step.version_cap,
        )

    def _refused(self, flight: Flight, code: int, session: FetchSession | None) -> float:
        """Deal with an error of the whole answer; return how long to pause."""
        again = False
        if session is not None:
            # A broker drops sessions when it likes, and the next request opens another at once; but not over and over.
            again = session.open and code in SESSION_ERRORS
            session.reset(forget=code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        self._pantry.lost(flight, -1 if again else self.node_id)
        if not again:
            self._cluster.request_refresh(f"{BrokerError(code, 'fetching')}")
        return 0.0 if again else self._backoff.next()
