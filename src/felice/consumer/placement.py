"""Which broker each partition is fetched from, and when it must not be fetched. Runs on the engine.

That is its leader, or for some time a replica that the leader named (KIP-392). From another leader nothing is fetched
until that has told that its log has what was read (KIP-320).
"""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from felice.clock import Clock
from felice.cluster.backoff import Backoff
from felice.cluster.router import Cluster
from felice.config import ConsumerConfig
from felice.consumer.shelf import Partition
from felice.consumer.source import Pantry, Source

__all__ = ["Placement"]


class Placement:
    """Shares the partitions out among the sources, one for each broker."""

    def __init__(
        self,
        cluster: Cluster,
        config: ConsumerConfig,
        clock: Clock,
        random: Random,
        loop: asyncio.AbstractEventLoop,
        *,
        pantry: Pantry,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        ask_leader: Callable[[Partition], object],
    ) -> None:
        """Take what it works with: sources are made for a pantry, and `spawn(coroutine, name)` runs their tasks.

        `ask_leader(partition)` finds out whether the leader's log has what was read.
        """
        self._cluster = cluster
        self._config = config
        self._clock = clock
        self._random = random
        self._loop = loop
        self._pantry = pantry
        self._spawn = spawn
        self._ask_leader = ask_leader
        self.sources: dict[int, Source] = {}
        """By the brokers' IDs."""

    def place(self, partition: Partition) -> None:
        """Fetch a partition from where it is now: a replica that its leader named, or its leader."""
        view = self._cluster.metadata.leader(*partition.tp)
        node = view.leader if view is not None else -1
        # Where somebody has just sought, or nothing is fetched, this is for later: when another shelf is adopted.
        settled = partition.shelf is partition.adopted and not partition.halted
        if settled and view is not None and node >= 0 and partition.led != (node, view.leader_epoch):
            partition.led = (node, view.leader_epoch)
            self.doubt(partition)
        if partition.replica >= 0:
            brokers = self._cluster.metadata.brokers
            if self._clock.monotonic() < partition.replica_until and partition.replica in brokers:
                node = partition.replica
            else:
                partition.replica = -1
        if node == partition.node:
            return
        old = self.sources.get(partition.node)
        if old is not None:
            old.partitions.pop(partition.tp, None)
        partition.node = node
        # What the other broker may still answer is dropped: its answer may take as long as a request may.
        partition.flight = None
        if node >= 0:
            # Errors that came from the other broker say nothing about this one.
            partition.retry_at = 0.0
            self._source(node).partitions[partition.tp] = partition
            self.poke(partition)

    def _source(self, node_id: int) -> Source:
        source = self.sources.get(node_id)
        if source is None:
            backoff = Backoff(self._config.retry_backoff, self._config.retry_backoff_max, self._random)
            source = Source(node_id, self._cluster, self._config, self._pantry, backoff)
            self.sources[node_id] = source
            self._spawn(source.run_main(), f"fetches from node {node_id}")
            self._spawn(source.run_side(), f"fetches beside a long poll from node {node_id}")
        return source

    def poke(self, partition: Partition) -> None:
        """Have the broker that a partition is fetched from asked for it, if it wants to be fetched."""
        source = self.sources.get(partition.node)
        if source is not None:
            source.poke()

    def poke_later(self, partition: Partition) -> None:
        """Leave a partition alone for a while that grows with each failure."""
        backoff = Backoff(self._config.retry_backoff, self._config.retry_backoff_max, self._random)
        backoff.failures = partition.tries
        partition.tries += 1
        pause = backoff.next()
        partition.retry_at = self._clock.monotonic() + pause
        self._loop.call_later(pause, self._end_pause, partition, partition.retry_at)

    def _end_pause(self, partition: Partition, until: float) -> None:
        """Have a partition fetched again; the timer's clock may be coarser than ours, and nobody looks again."""
        if partition.retry_at == until:
            partition.retry_at = 0.0
        self.poke(partition)

    def doubt(self, partition: Partition) -> None:
        """Fetch nothing more of a partition until its leader's log is known to have what was read (KIP-320).

        There is nothing to compare where no epoch is known, as after a seek to an offset. But the question where to
        begin may be under way to the leader before.
        """
        partition.flight = None  # What is under way may be of the leader before.
        partition.replica = -1  # So was this one's choice.
        if partition.trail.latest >= 0:
            partition.looking = True
        self._ask_leader(partition)

    def leave_replica(self, partition: Partition) -> None:
        """Go back to the leader, which will name a replica again where it sees fit."""
        partition.replica = -1
        self.place(partition)
