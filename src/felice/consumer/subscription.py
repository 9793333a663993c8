"""Which partitions are read: those the user named, and all of the topics they named. Runs on the engine.

It watches the picture of the cluster: a topic may come into being, grow, go, and be created anew.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from felice.clock import Clock
from felice.cluster.metadata import TopicView
from felice.cluster.refresher import HOPELESS, MISSING_TOLD
from felice.cluster.router import Cluster
from felice.config import ConsumerConfig
from felice.consumer.outbox import Outbox
from felice.consumer.shelf import Partition
from felice.consumer.start import Starts
from felice.errors import BrokerError, ErrorCode, FeliceError
from felice.events import EventBus, TopicMissing
from felice.types import TopicPartition
from felice.wire.schema import ZERO_UUID

__all__ = ["Follow", "Subscription"]


class Follow(NamedTuple):
    """Whom to tell."""

    added: Callable[[list[Partition]], object]
    """`added(partitions)`: these are read from now on."""
    placed: Callable[[Partition], object]
    """`placed(partition)`: its leader or its topic's ID may have changed."""
    recreated: Callable[[Partition], object]
    """`recreated(partition)`: its topic is another one now."""
    dropped: Callable[[list[Partition]], object]
    """`dropped(partitions)`: these are read no more, for their topics do not have them any more."""


class Subscription:
    """Follows topics and partitions."""

    def __init__(
        self,
        topics: Iterable[str],
        partitions: Iterable[TopicPartition],
        starts: Starts,
        cluster: Cluster,
        clock: Clock,
        outbox: Outbox,
        follow: Follow,
        config: ConsumerConfig,
        events: EventBus,
    ) -> None:
        """Take what to read, and whom to tell; the reader is told of a topic missing for `request_timeout`."""
        self._topics = frozenset(topics)
        self._named = tuple(partitions)
        self._starts = starts
        self._cluster = cluster
        self._clock = clock
        self._outbox = outbox
        self._follow = follow
        self._client_id = config.client_id
        self._patience = config.request_timeout
        self._events = events
        self._counts: dict[str, int] = {}  # how many partitions of a topic there have been
        self._absent: set[str] = set()  # topics that were asked for and not there
        self._missing: dict[str | TopicPartition, float] = {}  # since when
        self._mentioned: set[str | TopicPartition] = set()  # those that an event has told of
        self._told: dict[str | TopicPartition, FeliceError] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._unwatch: Callable[[], None] | None = None

    @property
    def names(self) -> frozenset[str]:
        """All topics that something is read of."""
        return self._topics | {tp.topic for tp in self._named}

    def start(self) -> None:
        """Begin: the named partitions at once, topics when their metadata comes."""
        self._add([Partition(tp, self._starts.of(tp)) for tp in self._named])
        self._unwatch = self._cluster.metadata.watch(self._changed)
        self._cluster.want_topics(self.names)
        self._changed()

    def stop(self) -> None:
        """Follow nothing any more."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
            self._cluster.unwant(self.names)
        if self._timer is not None:
            self._timer.cancel()

    def _add(self, partitions: list[Partition]) -> None:
        if partitions:
            self._outbox.partitions = self._outbox.partitions | {p.tp: p for p in partitions}
            self._follow.added(partitions)

    def _changed(self) -> None:
        """Take a new picture of the cluster."""
        for topic in self._topics:
            view = self._cluster.metadata.topic(topic)
            if view is not None and not view.error:
                self._grow(view)
            elif view is not None and view.error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                self._absent.add(topic)
        for partition in self._outbox.partitions.values():
            view = self._cluster.metadata.topic(partition.tp.topic)
            if view is not None and not view.error and view.topic_id != partition.topic_id:
                known, partition.topic_id = partition.topic_id, view.topic_id
                if known != ZERO_UUID:
                    self._follow.recreated(partition)
            self._follow.placed(partition)
        self._look_for_missing()

    def _grow(self, view: TopicView) -> None:
        """Add a topic's partitions that are new to us, and drop those that it has no more since it was created anew."""
        before = self._counts.get(view.name, 0)
        self._counts[view.name] = count = len(view.partitions)
        if count > before:
            # What came into being after us had no records before us: "latest" must not skip its first ones.
            new = before > 0 or view.name in self._absent
            found = [TopicPartition(view.name, n) for n in range(before, count)]
            self._add(
                [Partition(tp, self._starts.of(tp, new=new)) for tp in found if tp not in self._outbox.partitions]
            )

        gone = [TopicPartition(view.name, n) for n in range(count, before)]
        if gone:
            left = dict(self._outbox.partitions)
            dropped = [left.pop(tp) for tp in gone]
            self._outbox.partitions = left
            self._follow.dropped(dropped)

    # -- topics that are not there --------------------------------------------------------------------------------

    def _look_for_missing(self) -> None:
        """Tell the reader of topics and partitions that have not been there for too long, or never will be."""
        now = self._clock.monotonic()
        missing: dict[str | TopicPartition, float] = {}
        due = float("inf")
        watched: list[str | TopicPartition] = [*sorted(self.names), *self._named]
        for what in watched:
            error = self._problem(what)
            if error is None:
                self._withdraw(what)
                self._mentioned.discard(what)
                continue
            since = self._missing.get(what, now)
            hopeless = isinstance(error, BrokerError) and error.code in HOPELESS and what not in self._missing
            if hopeless or now - since >= self._patience:
                self._withdraw(what)
                self._outbox.announce(error)
                self._told[what] = error
                since = now  # the reader is told again, should it go on regardless
                self._mentioned.add(what)
            elif now - since >= MISSING_TOLD and what not in self._mentioned:
                self._mention(what, now - since, error)
            missing[what] = since
            due = min(due, since + (self._patience if what in self._mentioned else min(MISSING_TOLD, self._patience)))
        self._missing = missing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if missing:
            self._timer = asyncio.get_running_loop().call_later(max(0.001, due - now), self._look_for_missing)

    def _mention(self, what: str | TopicPartition, seconds: float, error: FeliceError) -> None:
        """Tell that a topic or partition has been waited for, before the reader is given an error."""
        self._mentioned.add(what)
        topic, partition = what if isinstance(what, TopicPartition) else (what, -1)
        self._events.emit(
            TopicMissing(
                client_id=self._client_id, topic=topic, partition=partition, seconds=seconds, reason=str(error)
            )
        )

    def _withdraw(self, what: str | TopicPartition) -> None:
        """Take back what the reader has not been told yet."""
        if what in self._told:
            self._outbox.withdraw(self._told.pop(what))

    def _problem(self, what: str | TopicPartition) -> FeliceError | None:
        """Say what is wrong with a topic or partition; None where nothing is, or nothing is known yet."""
        view = self._cluster.metadata.topic(what if isinstance(what, str) else what.topic)
        if view is None:
            return None
        if isinstance(what, str):
            return BrokerError(view.error, f"looking for topic {what}") if view.error else None
        if view.error or what.partition < len(view.partitions):
            return None
        return BrokerError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            f"looking for partition {what}",
            hint=f"topic {what.topic} has partitions 0 to {len(view.partitions) - 1}",
        )
