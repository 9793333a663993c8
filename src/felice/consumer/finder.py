"""Finds the offset of a partition that has none: where to begin, and where to go on when a position is lost.

Runs on the engine. What it finds it tells the fetcher; everything is tried again, with backoff, until it succeeds, the
user seeks elsewhere, or an error says that trying does not help.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import NamedTuple

from felice.clock import Clock
from felice.cluster.backoff import Backoff
from felice.config import ConsumerConfig
from felice.consumer.lookup import Found, Lookup
from felice.consumer.resets import Plight, Reset, decide
from felice.consumer.shelf import Partition, Shelf
from felice.consumer.start import END, START
from felice.errors import ClosedError, FeliceError, OffsetReset
from felice.events import EventBus, PositionReset
from felice.types import TopicPartition

__all__ = ["Finder", "Findings"]


class Findings(NamedTuple):
    """Whom to tell."""

    begin: Callable[[Partition, Shelf, int], object]
    """`begin(partition, shelf, offset)`: reading begins there."""
    jump: Callable[[Partition, Shelf, int], object]
    """`jump(partition, shelf, offset)`: reading goes on there, after what is on the shelf."""
    again: Callable[[Partition, Shelf], object]
    """`again(partition, shelf)`: the position was right after all."""
    fail: Callable[[Partition, Shelf, FeliceError], object]
    """`fail(partition, shelf, error)`: there is none."""


class Finder:
    """Looks up offsets in the background."""

    def __init__(
        self,
        lookup: Lookup,
        config: ConsumerConfig,
        clock: Clock,
        random: Random,
        events: EventBus,
        findings: Findings,
    ) -> None:
        self._lookup = lookup
        self._config = config
        self._clock = clock
        self._random = random
        self._events = events
        self._findings = findings
        self._bell = asyncio.Event()
        self._starts: dict[TopicPartition, tuple[Partition, Shelf]] = {}
        self._resets: dict[TopicPartition, tuple[Partition, Shelf, bool]] = {}

    def find_start(self, partition: Partition, shelf: Shelf) -> None:
        """Find where a partition begins that is to begin at an end or a time."""
        self._starts[partition.tp] = (partition, shelf)
        self._bell.set()

    def find_reset(self, partition: Partition, *, recreated: bool = False) -> None:
        """Find where to go on with a partition whose position is not in its log."""
        shelf, known = partition.adopted, self._resets.get(partition.tp)
        if shelf is None:
            return
        if known is not None and known[1] is shelf:
            recreated = recreated or known[2]
        self._resets[partition.tp] = (partition, shelf, recreated)
        self._bell.set()

    async def run(self) -> None:
        """Look up what is asked for, until the client is closed."""
        with suppress(ClosedError):
            await self._run()

    async def _run(self) -> None:
        backoff = self._backoff()
        while True:
            self._bell.clear()
            self._drop_stale()
            if not self._starts and not self._resets:
                backoff.reset()
                await self._bell.wait()
                continue
            before = len(self._starts) + len(self._resets)
            if self._starts:
                await self._round()
            for tp, (partition, shelf, recreated) in tuple(self._resets.items()):
                await self._reset(tp, partition, shelf, recreated)
            if len(self._starts) + len(self._resets) < before:
                backoff.reset()
            if self._starts or self._resets:
                await asyncio.sleep(backoff.next())

    def _backoff(self) -> Backoff:
        return Backoff(self._config.retry_backoff, self._config.retry_backoff_max, self._random)

    def _drop_stale(self) -> None:
        """Forget partitions that were sought elsewhere meanwhile."""
        self._starts = {tp: item for tp, item in self._starts.items() if item[0].shelf is item[1]}
        self._resets = {tp: item for tp, item in self._resets.items() if item[0].shelf is item[1]}

    async def _round(self) -> None:
        """Ask once for all the starts that are due."""
        asked = dict(self._starts)
        found, errors = await self._lookup.round(
            {tp: shelf.start.timestamp for tp, (_, shelf) in asked.items()}, self._config.request_timeout
        )
        ends = [tp for tp, answer in found.items() if answer.offset < 0]
        if ends:
            # No record is that young: reading begins with the next one that is written.
            more, failed = await self._lookup.round(dict.fromkeys(ends, END), self._config.request_timeout)
            found = {tp: answer for tp, answer in found.items() if answer.offset >= 0} | more
            errors |= failed
        for tp, (partition, shelf) in asked.items():
            current = self._starts.get(tp)
            if current is None or current[1] is not shelf:
                continue
            if tp in found:
                del self._starts[tp]
                self._findings.begin(partition, shelf, found[tp].offset)
            elif tp in errors and not errors[tp].retriable:
                del self._starts[tp]
                self._findings.fail(partition, shelf, errors[tp])

    async def _reset(self, tp: TopicPartition, partition: Partition, shelf: Shelf, recreated: bool) -> None:
        """Find out what became of one position, and follow the policy; leaves it to another round where that fails."""
        begins, errors = await self._lookup.round({tp: START}, self._config.request_timeout)
        ends: dict[TopicPartition, Found] = {}
        if not errors:
            ends, errors = await self._lookup.round({tp: END}, self._config.request_timeout)
        if errors and errors[tp].retriable:
            return
        if self._resets.get(tp) != (partition, shelf, recreated):
            return  # sought elsewhere meanwhile, or created anew
        if errors:
            del self._resets[tp]
            self._findings.fail(partition, shelf, errors[tp])
            return
        offset = partition.fetch_offset
        cut = -1
        if partition.fetched_epoch >= 0 and not recreated:
            cut = await self._lookup.epoch_end(tp, partition.fetched_epoch)
            if self._resets.get(tp) != (partition, shelf, recreated):
                return
        del self._resets[tp]
        plight = Plight(tp, offset, begins[tp].offset, ends[tp].offset, cut, recreated)
        reset = decide(plight, self._config.offset_reset)
        if reset is None:
            self._findings.again(partition, shelf)
        elif reset.moves:
            self._tell(tp, offset, reset)
            self._findings.jump(partition, shelf, reset.target)
        else:
            error = OffsetReset(
                reset.reason,
                topic=tp.topic,
                partition=tp.partition,
                offset=offset,
                next_offset=reset.target,
                hint=f'seek, to {reset.target} for instance, or choose offset_reset="earliest" or "latest"',
            )
            self._findings.fail(partition, shelf, error)

    def _tell(self, tp: TopicPartition, offset: int, reset: Reset) -> None:
        self._events.emit(
            PositionReset(
                client_id=self._config.client_id,
                topic=tp.topic,
                partition=tp.partition,
                before=offset,
                after=reset.target,
                policy=self._config.offset_reset,
                reason=reset.reason,
            )
        )
