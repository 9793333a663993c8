"""Finds the offset of a partition that has none: where to begin, and where to go on when a position is lost.

Runs on the engine. What it finds it tells the fetcher; everything is tried again, with backoff, until it succeeds, the
user seeks elsewhere, or an error says that trying does not help.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any, NamedTuple

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


class Question(NamedTuple):
    """A partition whose offset is to be found, for a shelf: where it begins, or where to go on if it is `lost`."""

    partition: Partition
    shelf: Shelf
    lost: bool = False
    recreated: bool = False


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
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        """Take what it works with; `spawn(coroutine, name)` runs a task."""
        self._lookup = lookup
        self._config = config
        self._clock = clock
        self._random = random
        self._events = events
        self._findings = findings
        self._spawn = spawn
        self._bell = asyncio.Event()
        self._open: dict[TopicPartition, Question] = {}
        self._fresh: dict[TopicPartition, Question] = {}  # those of them that nobody asks yet

    def find_start(self, partition: Partition, shelf: Shelf) -> None:
        """Find where a partition begins that is to begin at an end or a time."""
        self._ask(Question(partition, shelf))

    def find_reset(self, partition: Partition, *, recreated: bool = False) -> None:
        """Find where to go on with a partition whose position is not in its log."""
        shelf, known = partition.adopted, self._open.get(partition.tp)
        if shelf is None:
            return
        if known is not None and known.shelf is shelf:
            recreated = recreated or known.recreated
        self._ask(Question(partition, shelf, True, recreated))

    def _ask(self, question: Question) -> None:
        self._open[question.partition.tp] = self._fresh[question.partition.tp] = question
        self._bell.set()

    def _stands(self, question: Question) -> bool:
        """Tell whether a question is still to be answered: nobody has sought elsewhere, or asked another."""
        return self._open.get(question.partition.tp) is question and question.partition.shelf is question.shelf

    async def run(self) -> None:
        """Look up what is asked for, until the client is closed."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            fresh, self._fresh = self._fresh, {}
            # A task for each broker: one that does not answer holds up nobody's question to another one.
            for tps in self._lookup.by_leader(fresh):
                self._spawn(self._look([fresh[tp] for tp in tps]), "finds offsets")

    async def _look(self, questions: list[Question]) -> None:
        """Ask until each of these is answered, or stands no more."""
        backoff = Backoff(self._config.retry_backoff, self._config.retry_backoff_max, self._random)
        with suppress(ClosedError):
            while True:
                if starts := [each for each in questions if not each.lost and self._stands(each)]:
                    await self._begin(starts)
                if lost := [each for each in questions if each.lost and self._stands(each)]:
                    await self._go_on(lost)
                left = [each for each in questions if self._stands(each)]
                if not left:
                    return
                if len(left) < len(questions):
                    backoff.reset()
                questions = left
                await asyncio.sleep(backoff.next())

    async def _begin(self, questions: list[Question]) -> None:
        """Ask once where these partitions begin."""
        asked = {question.partition.tp: question for question in questions}
        found, errors = await self._lookup.round(
            {tp: question.shelf.start.timestamp for tp, question in asked.items()}, self._config.request_timeout
        )
        ends = [tp for tp, answer in found.items() if answer.offset < 0]
        if ends:
            # No record is that young: reading begins with the next one that is written.
            more, failed = await self._lookup.round(dict.fromkeys(ends, END), self._config.request_timeout)
            found = {tp: answer for tp, answer in found.items() if answer.offset >= 0} | more
            errors |= failed
        for tp, question in asked.items():
            if not self._stands(question):
                continue
            if tp in found:
                del self._open[tp]
                self._findings.begin(question.partition, question.shelf, found[tp].offset)
            elif tp in errors and not errors[tp].retriable:
                self._fail(question, errors[tp])

    async def _go_on(self, questions: list[Question]) -> None:
        """Ask once what became of these positions, and follow the policy where that can be told."""
        tps = [question.partition.tp for question in questions]
        begins, errors = await self._lookup.round(dict.fromkeys(tps, START), self._config.request_timeout)
        ends: dict[TopicPartition, Found] = {}
        if begins:
            ends, failed = await self._lookup.round(dict.fromkeys(begins, END), self._config.request_timeout)
            errors |= failed
        for question in questions:
            tp = question.partition.tp
            if tp in ends:
                await self._reset(question, begins[tp].offset, ends[tp].offset)
            elif self._stands(question) and not errors[tp].retriable:
                self._fail(question, errors[tp])

    def _fail(self, question: Question, error: FeliceError) -> None:
        del self._open[question.partition.tp]
        self._findings.fail(question.partition, question.shelf, error)

    async def _reset(self, question: Question, begin: int, end: int) -> None:
        """Follow the policy for one position, in the log from `begin` to `end`."""
        partition, shelf, _, recreated = question
        cut = -1
        if partition.fetched_epoch >= 0 and not recreated and self._stands(question):
            cut = await self._lookup.epoch_end(partition.tp, partition.fetched_epoch)
        if not self._stands(question):
            return
        tp, offset = partition.tp, partition.fetch_offset
        del self._open[tp]
        reset = decide(Plight(tp, offset, begin, end, cut, recreated), self._config.offset_reset)
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
