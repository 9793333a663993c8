"""Which broker a request goes to, and what happens when it does not answer. Runs on the engine.

`send` is one try, on one broker's connection for one role; what an error means there is for its caller to say, who
knows what was asked. `call` is for requests that may go to any broker, or that may simply be tried again: it does so
until its deadline. Every wait has a deadline, and the error at its end tells what was tried last.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Final, TypeVar

from felice.clock import Clock
from felice.cluster.backoff import Backoff
from felice.cluster.coordinators import Coordinators, KeyType
from felice.cluster.engine import Engine
from felice.cluster.health import Health, State
from felice.cluster.link import Role, Wiring
from felice.cluster.links import Links
from felice.cluster.metadata import BrokerView, Changes, Endpoint, Metadata, PartitionView, TopicView
from felice.cluster.refresher import HOPELESS, Refresher
from felice.cluster.resolver import Resolver, SystemResolver
from felice.cluster.supervisor import Supervisor
from felice.config import ClientConfig
from felice.error_codes import traits
from felice.errors import (
    BrokerError,
    ClosedError,
    ConnectError,
    DeadlineExceeded,
    FeliceError,
    NetworkError,
    RequestTimeout,
    UnsupportedVersion,
    WireError,
)
from felice.events import (
    ClusterChanged,
    EngineLate,
    EventBus,
    MetadataRefreshed,
    PartitionsAdded,
    Rebootstrapped,
    TopicRecreated,
)
from felice.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse
from felice.wire.schema import Request, Response

__all__ = ["ANY", "CONTROLLER", "Cluster"]

R = TypeVar("R", bound=Response)

ANY: Final = "any"
"""Any broker: the least loaded one that is connected, else whichever can be reached."""
CONTROLLER: Final = "controller"
"""The broker that takes changes of the cluster (in KRaft any one, which passes them on)."""

PATIENCE = 5.0
"""Seconds that one broker has to answer for metadata at first; doubled when that was too short."""

AMBIGUOUS = (NetworkError, RequestTimeout)


class Cluster:
    """A client's view of one cluster, and its connections. Make it anywhere; all else happens on the engine."""

    def __init__(
        self,
        config: ClientConfig,
        *,
        engine: Engine,
        clock: Clock,
        random: Random,
        events: EventBus,
        resolver: Resolver | None = None,
    ) -> None:
        """Take what the client was configured with; nothing starts before `start`."""
        self.config = config
        self.metadata = Metadata()
        self._engine = engine
        self._clock = clock
        self._random = random
        self._events = events
        wiring = Wiring(
            loop=engine.loop,
            config=config,
            clock=clock,
            random=random,
            resolver=resolver or SystemResolver(),
            events=events,
        )
        self._links = Links(wiring, self.metadata)
        self._refresher = Refresher(self.metadata, config, clock, random, self._ask, self._on_answer)
        self._coordinators = Coordinators(self._ask_any, self._pause, self._meet)
        self.supervisor = Supervisor(engine.loop, self._on_task_failure)
        """For the background tasks of whoever uses this cluster: they end with it."""
        self._patience = min(PATIENCE, config.request_timeout)
        self._failure: FeliceError | None = None  # a background task of ours is dead
        self._started = False
        self._closed = False
        self._stop_watching: Callable[[], None] | None = None

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to find the cluster; waits for nothing. Again does nothing."""
        self.check()
        if not self._started:
            self._started = True
            self._stop_watching = self._engine.when_late(self._on_late)
            self.supervisor.spawn(self._refresher.run(), "keeps metadata fresh")

    async def close(self, deadline: float) -> None:
        """Close every connection and end every task; requests under way fail with ClosedError."""
        self._closed = True
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None
        await self._links.close()
        self._refresher.wake()
        await self.supervisor.close(deadline - self._clock.monotonic())

    async def ready(self, deadline: float) -> None:
        """Wait until a broker has answered and the last question had an answer; raises DeadlineExceeded."""
        await self.start()
        while not (self._refresher.answered and self._refresher.last_error is None):
            await self._turn(deadline, "the cluster is not ready")

    def check(self) -> None:
        """Raise ClosedError where it is closed: for loops that would otherwise go on to their deadline."""
        if self._closed:
            raise ClosedError("the client is closed")

    @property
    def health(self) -> Health:
        """How the way to the cluster stands. From any thread."""
        failing = self._links.last_error
        error = self._failure or self._refresher.last_error or failing
        state: State
        if self._closed:
            state = "closed"
        elif not self._started:
            state = "new"
        elif self._failure is not None or (self._refresher.last_error is not None):
            state = "down" if self._refresher.answered or self._failure else "connecting"
        elif not self._refresher.answered:
            state = "connecting"
        else:
            state = "degraded" if failing else "up"
        return Health(
            state=state,
            connections=self._links.live,
            brokers=len(self.metadata.brokers),
            last_error=str(error) if error else "",
        )

    # -- topics ---------------------------------------------------------------------------------------------------

    def want_topics(self, names: Iterable[str]) -> None:
        """Keep these topics in the picture, and ask for those that are not yet; say `unwant` as often."""
        self._refresher.want(names)

    def unwant(self, names: Iterable[str]) -> None:
        """Say that one user less wants these topics."""
        self._refresher.unwant(names)

    def request_refresh(self, reason: str) -> None:
        """Have the picture renewed soon, because of an error that `reason` tells; paced, and one at a time."""
        self._refresher.request(reason)

    def update_leader(
        self, topic: str, partition: int, leader_id: int, epoch: int, endpoints: Iterable[Endpoint] = ()
    ) -> bool:
        """Take the leader that a Produce or Fetch answer named (KIP-951); tell whether it was news."""
        return self.metadata.hint(topic, partition, leader_id, epoch, endpoints)

    async def wait_for_topic(self, name: str, deadline: float) -> TopicView:
        """Return a topic's view once it has one without an error; `want_topics` keeps it in the picture afterwards.

        Raises BrokerError where waiting cannot help (an invalid name, no permission), and DeadlineExceeded.
        """
        with self._wanting(name):
            return await self._topic(name, deadline)

    async def wait_for_leader(self, topic: str, partition: int, deadline: float) -> PartitionView:
        """Return a partition's view once it has a leader; raises as `wait_for_topic` does."""
        with self._wanting(topic):
            while True:
                view = await self._topic(topic, deadline)
                if partition < len(view.partitions) and view.partitions[partition].leader >= 0:
                    return view.partitions[partition]
                self.request_refresh(f"no leader for {topic}-{partition}")
                await self._turn(deadline, self.explain(topic, partition))

    @contextmanager
    def _wanting(self, topic: str) -> Iterator[None]:
        """Keep a topic in the picture for a while."""
        self._refresher.want([topic])
        try:
            yield
        finally:
            self._refresher.unwant([topic])

    async def _topic(self, name: str, deadline: float) -> TopicView:
        while True:
            view = self.metadata.topic(name)
            if view is not None and not view.error:
                return view
            if view is not None and view.error in HOPELESS:
                raise BrokerError(view.error, f"looking for topic {name}")
            await self._turn(deadline, self.explain(name))

    def explain(self, topic: str, partition: int | None = None) -> str:
        """Say what is missing to reach a topic or partition, and what was tried last: for an error's text."""
        view = self.metadata.topic(topic)
        if view is None:
            missing = f"nothing is known of topic {topic} yet"
        elif view.error:
            missing = f"topic {topic}: {traits(view.error).name} ({view.error})"
        elif partition is None:
            missing = f"topic {topic} is known"
        elif partition >= len(view.partitions):
            missing = f"topic {topic} has partitions 0 to {len(view.partitions) - 1}, not {partition}"
        elif (leader := view.partitions[partition].leader) < 0:
            missing = f"no leader for {topic}-{partition}"
        else:
            missing = f"the leader of {topic}-{partition} is {self._links.name(leader)}"
            link = self._links.find(leader, Role.PRODUCE) or self._links.find(leader, Role.FETCH)
            if link is not None and link.last_error is not None:
                return f"{missing}; last: {link.last_error.message}"
        return missing + self._last()

    def _last(self) -> str:
        """Say what failed last, as the end of a sentence."""
        error = self._failure or self._refresher.last_error or self._links.last_error
        return f"; last: {error.message}" if error else ""

    async def _turn(self, deadline: float, what: str) -> None:
        """Wait for news until the deadline; raise DeadlineExceeded with `what` when it has passed."""
        self.check()
        if self._failure is not None:
            raise self._failure
        if self._clock.monotonic() >= deadline:
            if "; last: " not in what:
                what += self._last()
            cause = self._refresher.last_error
            raise DeadlineExceeded(what, hint=cause.hint if cause else "") from cause
        await self._refresher.turn(deadline)

    # -- requests -------------------------------------------------------------------------------------------------

    async def send(
        self,
        node_id: int,
        request: Request[R] | Callable[[int], Request[R]],
        *,
        role: Role,
        timeout: float,
        api: type[Request[R]] | None = None,
        version_cap: int | None = None,
        expect_response: bool = True,
    ) -> R:
        """Try once to have this broker answer, on its connection for this role, which is made if need be.

        `timeout`, in seconds, bounds the making of the connection and the answer together; a pause that the broker
        asked for is not part of it. Where the content depends on the version, `request` is a function of it, and
        `api` the request's class. With `expect_response=False` (acks=0) the result is None, once the kernel has it.

        When this has returned or raised, the request's buffers are free, unless it was cancelled.

        Raises ConnectError, ConnectionLost and RequestTimeout, each of which also has metadata refreshed, and
        WireError, UnsupportedVersion, UnsupportedField, ClosedError.
        """
        try:
            return await self._send(node_id, request, role, timeout, api, version_cap, expect_response)
        except AMBIGUOUS as error:
            self._refresher.request(error.message)
            raise

    async def _send(
        self,
        node_id: int,
        request: Request[R] | Callable[[int], Request[R]],
        role: Role,
        timeout: float,
        api: type[Request[R]] | None = None,
        version_cap: int | None = None,
        expect_response: bool = True,
    ) -> R:
        link = self._links.get(node_id, role)
        connection = link.ready
        if connection is None:
            started = self._clock.monotonic()
            connection = await link.connection(timeout)
            timeout = max(0.001, timeout - (self._clock.monotonic() - started))
        return await connection.submit(
            request, timeout=timeout, api=api, version_cap=version_cap, expect_response=expect_response
        )

    def connected(self, node_id: int, role: Role) -> bool:
        """Tell whether there is a connection to this broker for this role."""
        link = self._links.find(node_id, role)
        return link is not None and link.live is not None

    def tell(
        self,
        node_id: int,
        done: Callable[[R | Exception], object],
        request: Request[R] | Callable[[int], Request[R]],
        *,
        role: Role,
        timeout: float,
        api: type[Request[R]] | None = None,
        version_cap: int | None = None,
        expect_response: bool = True,
    ) -> bool:
        """As `send`, without waiting, where a connection is ready; tell whether one is.

        `done` is called once, on the engine, with the answer or with the error that `send` would raise.
        """
        connection = self._links.get(node_id, role).ready
        if connection is None:
            return False

        def finish(outcome: R | Exception) -> None:
            if isinstance(outcome, AMBIGUOUS):
                self._refresher.request(outcome.message)
            done(outcome)

        try:
            connection.tell(
                finish, request, timeout=timeout, api=api, version_cap=version_cap, expect_response=expect_response
            )
        except Exception as error:
            self._engine.loop.call_soon(finish, error)
        return True

    async def call(
        self,
        request: Request[R] | Callable[[int], Request[R]],
        *,
        deadline: float,
        node: int | str = ANY,
        role: Role = Role.CONTROL,
        api: type[Request[R]] | None = None,
        repeatable: bool = True,
    ) -> R:
        """Have a broker answer: this one, the controller or any; try again on errors of the way there, with backoff.

        With `repeatable=False` an error after which the request may have been carried out is raised at once. Error
        codes inside the answer are for the caller. Raises DeadlineExceeded with what was tried last.
        """
        what = type(request).api_name if isinstance(request, Request) else api.api_name if api else "a request"
        backoff = Backoff(self.config.retry_backoff, self.config.retry_backoff_max, self._random)
        tried: set[int] = set()
        last: FeliceError | None = None
        while True:
            left = deadline - self._clock.monotonic()
            target = self._target(node, tried)
            if left > 0 and target is not None:
                tried.add(target)
                try:
                    # The outer limit is for what `send` does not count: a pause that the broker asked for.
                    async with asyncio.timeout(left):
                        return await self.send(
                            target, request, role=role, timeout=min(left, self.config.request_timeout), api=api
                        )
                except (*AMBIGUOUS, WireError) as error:
                    # An answer that makes no sense has ended its connection; the next one may make some.
                    if error.may_have_happened and not repeatable:
                        raise
                    last = error
                except TimeoutError:
                    last = last or RequestTimeout(f"{self._links.name(target)} did not want requests yet")
                if node == ANY:
                    continue  # Another broker may answer at once.
            tried.clear()
            pause = backoff.next()
            if self._clock.monotonic() + pause >= deadline:
                raise self._too_late(what, last) from last
            await asyncio.sleep(pause)

    def _too_late(self, doing: str, last: FeliceError | None) -> DeadlineExceeded:
        said = f"; last: {last.message}" if last else self._last()
        return DeadlineExceeded(
            f"{doing}: no broker answered in time{said}",
            hint=last.hint if last else "",
            may_have_happened=last.may_have_happened if last else False,
        )

    async def coordinator(self, key: str, kind: KeyType, deadline: float) -> int:
        """Return the node ID of a group's, transaction's or share group's coordinator; remembered."""
        return await self._coordinators.find(key, kind, deadline)

    def forget_coordinator(self, key: str, kind: KeyType) -> None:
        """Find it anew next time: it has moved, or cannot be reached."""
        self._coordinators.forget(key, kind)

    # -- which broker ---------------------------------------------------------------------------------------------

    def _target(self, node: int | str, tried: set[int]) -> int | None:
        """Return the broker to try next; None where all of this round have been."""
        if isinstance(node, int):
            return None if node in tried else node
        if node == CONTROLLER and self.metadata.controller in self.metadata.brokers:
            return None if self.metadata.controller in tried else self.metadata.controller
        return next((node_id for node_id in self._links.likeliest() if node_id not in tried), None)

    def _meet(self, broker: BrokerView) -> None:
        """Learn of a broker by another way than metadata."""
        if broker.node_id not in self.metadata.brokers:
            self.metadata.brokers = {**self.metadata.brokers, broker.node_id: broker}

    # -- metadata -------------------------------------------------------------------------------------------------

    async def _ask(self, names: list[str], seeds_only: bool) -> MetadataResponse:
        """Ask brokers for metadata, one after the other, until one answers; raises the last one's error.

        When none of those we know answers, the addresses that the user gave are asked again (KIP-899), with their
        names resolved anew; `seeds_only` asks them straight away (KIP-1102).
        """
        request = MetadataRequest(
            topics=[MetadataRequest.Topic(name=name) for name in names],
            allow_auto_topic_creation=self.config.allow_auto_create_topics,
        )
        last: FeliceError | None = None
        for node_id in list(self._links.seeds) if seeds_only else list(self._links.likeliest()):
            try:
                answer = await self._send(node_id, request, Role.CONTROL, self._patience)
            except RequestTimeout as error:
                self._patience = min(2 * self._patience, self.config.request_timeout)
                last = error
            except (NetworkError, WireError, BrokerError, UnsupportedVersion) as error:
                last = error
            else:
                self._patience = min(PATIENCE, self.config.request_timeout)
                if node_id < 0 and self.metadata.brokers:
                    # The brokers known so far were kept until now: perhaps one of them would have come back first.
                    reason = "the cluster asks for it" if seeds_only else f"no known broker answers; last: {last}"
                    self._events.emit(Rebootstrapped(client_id=self.config.client_id, reason=reason))
                return answer
        raise last or ConnectError("there is no broker to ask")

    def _on_answer(self, reason: str, changes: Changes) -> None:
        """Bring the links in line with a new picture, and tell what changed."""
        self._links.settle()
        brokers, client_id = self.metadata.brokers, self.config.client_id
        self._events.emit(
            MetadataRefreshed(
                client_id=client_id, reason=reason, brokers=len(brokers), topics=len(list(self.metadata.topics()))
            )
        )
        if changes.cluster is not None:
            was, now = changes.cluster
            self._events.emit(ClusterChanged(client_id=client_id, old_id=was, new_id=now))
        for topic, old, new in changes.recreated:
            self._events.emit(TopicRecreated(client_id=client_id, topic=topic, old_id=old.hex(), new_id=new.hex()))
        for topic, before, after in changes.grown:
            self._events.emit(PartitionsAdded(client_id=client_id, topic=topic, before=before, after=after))

    # -- what the parts need of each other ------------------------------------------------------------------------

    async def _ask_any(
        self, build: Callable[[int], FindCoordinatorRequest], deadline: float
    ) -> FindCoordinatorResponse:
        return await self.call(build, deadline=deadline, api=FindCoordinatorRequest)

    async def _pause(self, tries: int, deadline: float, last: str) -> None:
        """Wait before another try; raise DeadlineExceeded where the deadline comes first."""
        backoff = Backoff(self.config.retry_backoff, self.config.retry_backoff_max, self._random)
        backoff.failures = tries
        pause = backoff.next()
        if self._clock.monotonic() + pause >= deadline:
            raise DeadlineExceeded(f"no answer that helps in time; last: {last}")
        await asyncio.sleep(pause)

    def _on_task_failure(self, name: str, error: BaseException) -> None:
        failure = FeliceError(f"the task {name!r} failed: {error!r}", hint="this is a fault of felice: report it")
        failure.__cause__ = error
        self._failure = failure
        self._refresher.wake()

    def _on_late(self, seconds: float) -> None:
        self._events.emit(EngineLate(client_id=self.config.client_id, seconds=seconds))
