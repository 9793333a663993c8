"""The core of a producer: what its two faces share, and the engine's half of it.

Metadata comes, staged records move on, the sender goes, and the end is kept in order. The callers' half is the intake.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, Generic

from felice import native
from felice.clock import Clock, SystemClock, check_timeout
from felice.cluster.engine import Engine
from felice.cluster.health import Health
from felice.cluster.refresher import MISSING_TOLD
from felice.cluster.router import Cluster
from felice.config import ProducerConfig
from felice.config.addresses import Addresses
from felice.config.option import check_names
from felice.errors import BrokerError, ClosedError, ConfigError, DeadlineExceeded, FeliceError, UsageError
from felice.events import EventBus, Listener, TopicMissing
from felice.producer.delivery import BulkDelivery
from felice.producer.failures import Failures
from felice.producer.intake import Intake
from felice.producer.sender import Sender
from felice.producer.staging import Staged
from felice.types import K, V

if TYPE_CHECKING:
    from felice.producer._accumulator import Batch, Span, Topic
else:
    Span = native.pick("felice.producer._accumulator").Span

__all__ = ["ProducerCore", "make_core"]


HURRIED = 2.0
"""Seconds in which a producer delivers what it can when an error ends its `with` block."""

EXPIRY_NOTICED = 2.0
"""Seconds within which it is noticed that a record's delivery timeout has passed."""


def make_core(
    config: ProducerConfig | None, bootstrap_servers: Addresses | None, options: Mapping[str, Any], **given: Any
) -> "ProducerCore[Any, Any]":
    """Make the core of what a face's constructor was given; `ConfigError` for what does not fit together."""
    chosen = dict(options)
    if bootstrap_servers is not None:
        chosen["bootstrap_servers"] = bootstrap_servers
    if config is None:
        check_names(ProducerConfig, chosen)
        config = ProducerConfig(**chosen)
    elif chosen:
        raise ConfigError(f"config= and also {', '.join(sorted(chosen))}", hint="give one or the other")
    return ProducerCore(config, **given)


class ProducerCore(Intake[K, V], Generic[K, V]):
    """Everything of a producer but the way in which a caller waits; the faces add that."""

    def __init__(
        self,
        config: ProducerConfig,
        *,
        key_serializer: Callable[[K], bytes | None] | None,
        value_serializer: Callable[[V], bytes | None] | None,
        listeners: Iterable[Listener],
        clock: Clock | None,
        random: Random | None,
    ) -> None:
        """Make the core; nothing connects before the first record or call that needs it."""
        engine = Engine.current()
        self._events = EventBus(engine.callbacks.offer, listeners)
        super().__init__(
            config,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            engine=engine,
            clock=clock,
            ring=self._on_ring,
        )
        self._random = random or Random()
        self._failures = Failures(config.client_id, self._events)
        self._ended = False
        self._ending: asyncio.Future[None] | None = None
        """Done when everything has ended; None before a close."""
        self._end_task: asyncio.Task[None] | None = None
        # From the first ring on:
        self._cluster: Cluster | None = None
        self._sender: Sender | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stage_timer: asyncio.TimerHandle | None = None
        self._wanted: dict[str, float] = {}
        """Topics that are asked for, since when; infinity once an event has told that they are missing."""
        engine.register(self)

    # -- on the engine ---------------------------------------------------------------------------------------------

    def _on_ring(self) -> None:
        """There is a new batch, or a staged record."""
        if self._forked:
            return
        if self._ended:
            self._refuse_rest()
            return
        if self._sender is None:
            self._start()
        assert self._sender is not None
        self._sender.step()
        if self._staging.names():
            self._look_at_staging()

    def _start(self) -> Cluster:
        """Make what lives on the engine; raises ClosedError where nobody would end it any more."""
        if self._ended:
            raise ClosedError("the producer is closed")
        if self._cluster is None:
            self._cluster = Cluster(
                self.config, engine=self._engine, clock=self._clock, random=self._random, events=self._events
            )
            self._sender = Sender(
                self,
                self._cluster,
                self.config,
                clock=self._clock,
                random=self._random,
                events=self._events,
                on_room=self._on_room,
                on_failure=self._failures.add,
            )
            self._cluster.metadata.watch(self._on_metadata)
            self._starting = self._engine.loop.create_task(self._cluster.start())
        return self._cluster

    def _on_metadata(self) -> None:
        """Take over what is new about the topics in use."""
        if self._cluster is None or self._sender is None:
            return
        for known in self.topics():
            self._learn(known.name)
        self._look_at_staging()
        self._sender.wake()

    def _learn(self, name: str) -> "Topic | None":
        """Bring the accumulator's picture of a topic up to date; None where there is none yet."""
        assert self._cluster is not None
        view = self._cluster.metadata.topic(name)
        if view is None or not view.partitions:
            return None
        led = [number for number, partition in enumerate(view.partitions) if partition.leader >= 0]
        return self.set_topic(
            name, self._options(name), len(view.partitions), led, self._random.randrange(len(view.partitions))
        )

    def _look_at_staging(self) -> None:
        """Move on what can, fail what must, and ask for the metadata of the rest."""
        cluster = self._start()
        now = self._clock.monotonic()
        for name in self._staging.names():
            topic = self._learn(name)
            if topic is not None:
                if topic.options.partitioner is not None:
                    # The user's code, so not here.
                    self._engine.callbacks.post(self._unstage, topic)
                else:
                    self._unstage(topic)
                continue
            view = cluster.metadata.topic(name)
            if view is not None and view.error and not BrokerError(view.error, name).retriable:
                refused = BrokerError(view.error, f"producing to {name}")
                self._fail_staged(name, now, lambda _, error=refused: error)  # type: ignore[misc]
                continue
            if name not in self._wanted:
                self._wanted[name] = now
                cluster.want_topics([name])
            elif now - self._wanted[name] >= MISSING_TOLD:
                self._tell_missing(name, now - self._wanted[name])
            self._fail_staged(name, now - self.config.delivery_timeout, self._unknown_topic)
        waiting = set(self._staging.names())
        for name in [name for name in self._wanted if name not in waiting and self.topic(name) is None]:
            del self._wanted[name]
            cluster.unwant([name])
        if waiting and self._stage_timer is None:
            period = min(max(self.config.delivery_timeout / 20, 0.01), 1.0)
            self._stage_timer = self._engine.loop.call_later(period, self._on_stage_timer)

    def _tell_missing(self, name: str, seconds: float) -> None:
        """Tell, once, that records wait for a topic."""
        assert self._cluster is not None
        self._wanted[name] = math.inf
        reason = self._cluster.explain(name)
        self._events.emit(
            TopicMissing(client_id=self.config.client_id, topic=name, partition=-1, seconds=seconds, reason=reason)
        )

    def _on_stage_timer(self) -> None:
        self._stage_timer = None
        if self._staging.names():
            self._look_at_staging()

    def _unknown_topic(self, staged: Staged) -> FeliceError:
        assert self._cluster is not None
        name = staged.record.topic
        return DeadlineExceeded(
            f"{name}: its partitions were not known within {self.config.delivery_timeout:g} s; "
            f"{self._cluster.explain(name)}",
            hint="create the topic (or set allow_auto_create_topics, where the brokers may), "
            "or check its name and the brokers' addresses",
        )

    def _unstage(self, topic: "Topic") -> None:
        """Move a topic's staged records into its batches, in order."""
        refused: list[tuple[Batch, Staged, Exception]] = []

        def place(stand_in: "Batch", staged: Staged) -> None:
            try:
                batch, index = self._place(topic, self._with_partition(topic, staged.record))._place()
                # Its time began when it was sent.
                batch.begun = min(batch.begun, staged.since)
                stand_in.move(staged.index, batch, index)
            except FeliceError as error:
                refused.append((stand_in, staged, error))
            except Exception as error:
                fault = UsageError(f"{topic.name}: the partitioner failed: {error!r}")
                fault.__cause__ = error
                refused.append((stand_in, staged, fault))
            finally:
                self.charge(-staged.record.size())

        self._staging.move(topic.name, place, lambda: self.admit(topic))
        if self._waiters:
            # They were refused while the topic was staged. What has just got a batch may take all the room and linger.
            self.seal_all()
        if refused:
            self._engine.post(self._refuse, refused)

    def _refuse(self, refused: "list[tuple[Batch, Staged, Exception]]") -> None:
        """Fail staged records of one topic, whose bytes have been given back."""
        unseen = [
            failed
            for stand_in, staged, error in refused
            if not (failed := stand_in.settle_one(staged.index, error)).looked
        ]
        if unseen:
            self._failures.add(*unseen)
        self._on_room()

    def _fail_staged(self, name: str, before: float, reason: Callable[[Staged], FeliceError]) -> None:
        if taken := self._staging.take(name, before):
            self.charge(-sum(staged.record.size() for _, staged in taken))
            self._refuse([(stand_in, staged, reason(staged)) for stand_in, staged in taken])

    # -- the end, and other waits; coroutines of the engine --------------------------------------------------------

    async def _ready(self, timeout: float) -> None:
        check_timeout(timeout)
        await self._start().ready(self._clock.monotonic() + timeout)

    async def _partitions_for(self, topic: str, timeout: float) -> int:
        check_timeout(timeout)
        cluster = self._start()
        view = await cluster.wait_for_topic(topic, self._clock.monotonic() + timeout)
        return len(view.partitions)

    async def _drain(self, timeout: float) -> None:
        """Wait until all that was accepted before has its outcome."""
        if self._sender is None:
            return
        async with asyncio.timeout(timeout):
            self._sender.live()  # Has what is open sent now, whoever waits for metadata.
            moves: list[asyncio.Future[None]] = []
            for name in self._staging.names():
                last = self._staging.last(name)
                if last is not None:
                    moves.append(self._engine.loop.create_future())
                    last[0].watch(last[1], _settler(moves[-1]), False)
                    last[0].hurry()
            for moved in moves:
                await moved
            # By way of a bulk handle, since a batch may be split meanwhile.
            live = self._sender.live()
            everything = BulkDelivery([Span(live, batch, 0, len(batch)) for batch in live], sum(map(len, live)))
            settled: asyncio.Future[None] = self._engine.loop.create_future()
            stop = everything._watch(_settler(settled), looks=False)
            try:
                await settled
            finally:
                stop()

    @property
    def hurried(self) -> float:
        """How long a close waits, in seconds, when an error ended the block."""
        return min(self.config.delivery_timeout, HURRIED)

    def __repr__(self) -> str:
        return f"Producer({', '.join(map(str, self.config.addresses))})"

    def patience(self, timeout: float | None) -> float:
        """Return how long a flush or a close waits: if not told, until every record must have its outcome."""
        if timeout is None:
            return self.config.delivery_timeout + EXPIRY_NOTICED
        return check_timeout(timeout, none="as long as a delivery may take")

    async def _flush(self, timeout: float) -> None:
        try:
            await self._drain(timeout)
        except TimeoutError:
            left = self._undelivered()
            raise DeadlineExceeded(
                f"{left} records are still on their way after {timeout:g} s",
                hint="they stay on their way; flush again, or look at the producer's health",
            ) from None
        self._failures.raise_unseen()

    def _undelivered(self) -> int:
        """Return how many accepted records have no outcome yet."""
        in_batches = sum(len(batch) for batch in self._sender.live()) if self._sender else 0
        return self._staging.count() + in_batches

    def _stop_accepting(self) -> bool:
        """Refuse what comes from now on; False where there is nothing left to wait for."""
        self._closed = True
        self.direct = False
        return not self._forked and (self._ending is None or not self._ending.done())

    async def _close(self, timeout: float) -> None:
        """Deliver what is left up to the time, fail the rest, and leave nothing behind."""
        if self._ending is not None:
            await asyncio.wait([self._ending], timeout=timeout)  # Somebody else closes it.
            return
        self._ending = self._engine.loop.create_future()
        deadline = self._clock.monotonic() + timeout
        try:
            if self._sender is not None:
                self._sender.closing = True
                self._wake_waiters()
                with suppress(TimeoutError):
                    await self._drain(timeout)
        finally:  # Also when whoever waits for it was interrupted; and as that may come again, in a task of its own.
            self._ended = True
            self._end_task = self._engine.loop.create_task(self._end(deadline))
            await asyncio.shield(self._end_task)
        self._failures.raise_unseen()

    async def _end(self, deadline: float) -> None:
        """Fail what is left, and let everything go."""
        assert self._ending is not None
        try:
            self._refuse_rest()
            if self._stage_timer is not None:
                self._stage_timer.cancel()
            if self._sender is not None:
                await self._sender.close()
            if self._cluster is not None:
                await self._cluster.close(max(deadline, self._clock.monotonic() + 0.5))
        finally:
            self._wake_waiters()
            self._unfork()
            self._engine.unregister(self)
            self._ending.set_result(None)

    def _refuse_rest(self) -> None:
        """Fail what is left when the producer has ended.

        Also what comes later: from a thread that had passed the check of `send` before `close` was called.
        """
        for name in self._staging.names():
            self._fail_staged(name, math.inf, self._closed_before)
        if self._sender is not None:
            self._sender.refuse()

    def _closed_before(self, staged: Staged) -> FeliceError:
        return ClosedError(f"{staged.record.topic}: the producer was closed before its partitions were known")

    @property
    def health(self) -> Health:
        """What the connection to the cluster is like; from any thread."""
        return self._cluster.health if self._cluster is not None else Health(state="new", connections=0, brokers=0)

    def drain_at_exit(self, deadline: float) -> int:
        """Deliver what is left before the interpreter ends; return how many records are not delivered."""
        self._stop_accepting()
        with suppress(FeliceError, TimeoutError):
            self._engine.run(self._drain, max(0.0, deadline - SystemClock().monotonic()))
        return self._engine.run(self._count_undelivered, timeout=1.0)

    async def _count_undelivered(self) -> int:
        return self._undelivered()


def _settler(future: "asyncio.Future[None]") -> Callable[[], None]:
    def settle() -> None:
        if not future.done():
            future.set_result(None)

    return settle
