"""A consumer without a face: its life, and what it asks of the brokers. `taker` is the callers' half of it."""

import asyncio
import warnings
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, Generic

from felice.clock import Clock, SystemClock, check_timeout
from felice.cluster.engine import Engine
from felice.cluster.health import Health
from felice.cluster.router import Cluster
from felice.config import ConsumerConfig
from felice.config.option import check_names
from felice.consumer.fetcher import Fetcher
from felice.consumer.lookup import Found
from felice.consumer.start import END, Deserializer, OffsetAndTimestamp, Starts, parse_partition
from felice.consumer.subscription import Follow, Subscription
from felice.consumer.taker import Taker
from felice.errors import ConfigError
from felice.events import EventBus, Listener
from felice.types import K, TopicPartition, V

__all__ = ["Core", "build"]


class Core(Taker[K, V], Generic[K, V]):
    """Everything of a consumer but the way in which a caller waits; the faces add that."""

    def __init__(
        self,
        config: ConsumerConfig,
        topics: Iterable[str],
        partitions: Iterable[TopicPartition],
        starts: Starts,
        deserializers: tuple[Deserializer | None, Deserializer | None],
        listeners: Iterable[Listener] = (),
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        """Take all that was given, and begin."""
        engine = Engine.current()
        super().__init__(
            config,
            engine=engine,
            events=EventBus(engine.callbacks.offer, listeners),
            deserializers=deserializers if any(deserializers) else None,
            ring=self._on_ring,
        )
        self.clock = clock or SystemClock()
        random = random or Random()
        self._cluster = Cluster(config, engine=self.engine, clock=self.clock, random=random, events=self._events)
        self._fetcher = Fetcher(self._cluster, self.engine, config, self.clock, random, self._events, self.outbox)
        fetcher = self._fetcher
        follow = Follow(fetcher.add, fetcher.placement.place, fetcher.recreated, fetcher.drop)
        self._subscription = Subscription(
            topics, partitions, starts, self._cluster, self.clock, self.outbox, follow, config, self._events
        )
        self._shutting: asyncio.Task[None] | None = None
        self.engine.register(self)
        self.engine.post(self._begin)

    # -- life -----------------------------------------------------------------------------------------------------

    def _on_ring(self) -> None:
        self._fetcher.drain()

    def _begin(self) -> None:
        self.engine.loop.create_task(self._start(), name="felice starts a consumer")

    async def _start(self) -> None:
        if not self.outbox.closed:
            await self._cluster.start()
            self._fetcher.spawn(self._fetcher.finder.run(), "finds offsets")
            self._subscription.start()

    def end(self) -> None:
        """Wake every waiter and end the iteration; again does nothing."""
        if not self.outbox.closed:
            self.outbox.close()
            messages = self._iteration
            if messages is not None:
                messages.rest()

    async def shut(self, deadline: float) -> None:
        """End everything, or wait for who does already. On the engine; goes on where who waits is interrupted."""
        if self._shutting is None:
            self._shutting = self.engine.loop.create_task(self._shut(deadline), name="felice closes a consumer")
        await asyncio.wait([self._shutting], timeout=max(0.0, deadline - self.clock.monotonic()))

    @property
    def gone(self) -> bool:
        """Whether everything has ended."""
        return self._shutting is not None and self._shutting.done()

    async def _shut(self, deadline: float) -> None:
        self._subscription.stop()
        await self._fetcher.close(deadline)
        await self._cluster.close(deadline)
        self.engine.unregister(self)

    def drain_at_exit(self, deadline: float) -> int:
        """Close when the interpreter ends; nothing of a consumer's can be lost."""
        self.outbox.close()
        self.engine.run(self.shut, deadline)
        return 0

    def abandon(self) -> None:
        """Close without waiting: nobody holds the consumer any more."""
        if not self.outbox.closed and not self.engine.forked and not self.engine.stopped:
            warnings.warn("a consumer was not closed", ResourceWarning, stacklevel=3, source=self)
            self.outbox.close()
            self.engine.post(self._shut_soon)

    def _shut_soon(self) -> None:
        self.engine.loop.create_task(self.shut(self.clock.monotonic() + 1.0), name="felice leaves a consumer")

    @property
    def health(self) -> Health:
        """How the way to the cluster stands."""
        return self._cluster.health

    async def ready(self, deadline: float) -> None:
        """Wait until a broker has answered and it is known where each partition is read from. On the engine."""
        await self._cluster.ready(deadline)
        for topic in sorted(self._subscription.names):
            await self._cluster.wait_for_topic(topic, deadline)
        await self._fetcher.positioned(None, deadline)

    def deadline(self, timeout: float, *, none: str = "") -> float:
        """Return when a wait of so many seconds ends, on the monotonic clock; UsageError for what is no number."""
        return self.clock.monotonic() + check_timeout(timeout, none=none)

    # -- questions to brokers (on the engine) ---------------------------------------------------------------------

    def listed(self, given: Iterable[object] | None) -> list[TopicPartition] | None:
        """Return the partitions that a question is about, or None for all that are assigned."""
        return None if given is None else [parse_partition(each) for each in given]

    async def assigned(self, tps: list[TopicPartition], deadline: float) -> None:
        """Wait until these are assigned, as they are once their topic's metadata is there."""
        for tp in tps:
            if tp not in self.outbox.partitions and tp.topic in self._subscription.names:
                await self._cluster.wait_for_topic(tp.topic, deadline)

    async def positioned(self, tps: list[TopicPartition] | None, deadline: float) -> None:
        """Wait until the positions of these are known."""
        await self._fetcher.positioned(tps, deadline)

    async def offsets(self, wanted: Mapping[TopicPartition, int], deadline: float) -> dict[TopicPartition, Found]:
        """Ask for the offsets at these times or ends."""
        return await self._fetcher.lookup.offsets(wanted, deadline)

    async def ends(self, tps: list[TopicPartition] | None, deadline: float, which: int) -> dict[TopicPartition, int]:
        """Ask for the first or the last offsets; waits for the assignment where `tps` is None."""
        if tps is None:
            await self.ready(deadline)
            tps = list(self.outbox.partitions)
        found = await self.offsets(dict.fromkeys(tps, which), deadline)
        return {tp: found[tp].offset for tp in tps}

    async def times(
        self, wanted: Mapping[TopicPartition, int], deadline: float
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """Ask for the first record at or after each time."""
        found = await self.offsets(wanted, deadline)
        return {
            tp: OffsetAndTimestamp(found[tp].offset, found[tp].timestamp_ms) if found[tp].offset >= 0 else None
            for tp in wanted
        }

    async def lag(self, deadline: float) -> dict[TopicPartition, int]:
        """Ask how many offsets lie between each position and its partition's end."""
        ends = await self.ends(None, deadline, END)
        positions = {tp: self.position(partition) for tp, partition in self.outbox.partitions.items() if tp in ends}
        return {tp: max(0, ends[tp] - at) for tp, at in positions.items() if at >= 0}


def build(
    bootstrap_servers: Any,
    topics: tuple[str, ...],
    partitions: Iterable[Any] | None,
    start: Any,
    key_deserializer: Deserializer | None,
    value_deserializer: Deserializer | None,
    config: ConsumerConfig | None,
    options: dict[str, Any],
    listeners: Iterable[Listener],
    clock: Clock | None,
    random: Random | None,
) -> "Core[Any, Any]":
    """Make the core from what a face's constructor was given; `ConfigError` for what does not fit together."""
    if bootstrap_servers is not None:
        options["bootstrap_servers"] = bootstrap_servers
    if config is not None:
        if options:
            raise ConfigError(f"config= and also {', '.join(sorted(options))}", hint="give one or the other")
    else:
        check_names(ConsumerConfig, options)
        config = ConsumerConfig(**options)
    for topic in topics:
        if not isinstance(topic, str) or not topic:
            raise ConfigError(f"topic {topic!r}", hint="give the topics' names, after the addresses")
    if isinstance(partitions, str):
        raise ConfigError(f"partitions={partitions!r}", hint="give a list of (topic, partition) pairs")
    named = [parse_partition(each) for each in partitions or ()]
    if not topics and not named:
        raise ConfigError("nothing to read", hint="name topics, after the addresses, or partitions=")
    for name, given in (("key_deserializer", key_deserializer), ("value_deserializer", value_deserializer)):
        if given is not None and not callable(given):
            raise ConfigError(f"{name}={given!r}", hint="give a callable that takes bytes")
    starts = Starts(start)
    starts.check(topics, named)
    named = list(dict.fromkeys(tp for tp in named if tp.topic not in topics))
    return Core(config, topics, named, starts, (key_deserializer, value_deserializer), listeners, clock, random)
