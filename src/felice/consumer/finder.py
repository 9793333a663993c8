"""Finds the offset of a partition that has none: where to begin, and where to go on when a position is lost.

It also finds out whether a position is lost: whether the log of a new leader has what was read (KIP-320), as `trail`
tells.

Runs on the engine. What it finds it tells the fetcher; everything is tried again, with backoff, until it succeeds, the
user seeks elsewhere, or an error says that trying does not help.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import Enum, auto
from random import Random
from typing import Any, NamedTuple

from felice.clock import Clock
from felice.cluster.backoff import Backoff
from felice.config import ConsumerConfig
from felice.consumer.lookup import Answers, Lookup
from felice.consumer.resets import Plight, decide, moved, refusal
from felice.consumer.shelf import Partition, Shelf
from felice.consumer.start import END, START
from felice.consumer.trail import UNKNOWN, Mark
from felice.errors import ClosedError, FeliceError
from felice.events import EventBus
from felice.types import TopicPartition

__all__ = ["Finder", "Findings"]


class Findings(NamedTuple):
    """Whom to tell."""

    begin: Callable[[Partition, Shelf, Mark], object]
    """`begin(partition, shelf, mark)`: reading begins there; the epoch is what the leader told with the offset."""
    jump: Callable[[Partition, Shelf, Mark], object]
    """`jump(partition, shelf, mark)`: reading goes on there, after what is on the shelf."""
    again: Callable[[Partition, Shelf], object]
    """`again(partition, shelf)`: the position was right after all."""
    agreed: Callable[[Partition, Shelf], object]
    """`agreed(partition, shelf)`: the leader's log has what was read."""
    cut: Callable[[Partition, Shelf, Mark], object]
    """`cut(partition, shelf, mark)`: the leader's log was cut off there; what was read from there on is not in it."""
    fail: Callable[[Partition, Shelf, FeliceError], object]
    """`fail(partition, shelf, error)`: there is none."""


class Kind(Enum):
    """What is to be found."""

    START = auto()
    """Where to begin."""
    CUT = auto()
    """Whether the leader's log has what was read."""
    RESET = auto()
    """Where to go on: the leader has said that the position is not in its log."""


class Question(NamedTuple):
    """What is to be found of a partition, for a shelf."""

    kind: Kind
    partition: Partition
    shelf: Shelf
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
        self._ask(Question(Kind.START, partition, shelf))

    def ask_leader(self, partition: Partition) -> None:
        """Ask another leader what is being asked; where that is nothing, whether its log has what was read."""
        shelf, known = partition.adopted, self._open.get(partition.tp)
        if shelf is None:
            return
        if known is not None and known.shelf is shelf and known.kind is not Kind.CUT:
            # Another object: what the leader before may still answer is not waited for, for it may be frozen.
            self._ask(known._replace())
        elif partition.trail.latest >= 0:
            self._ask(Question(Kind.CUT, partition, shelf))

    def find_reset(self, partition: Partition, *, recreated: bool = False) -> None:
        """Find where to go on with a partition whose position is not in its log."""
        shelf, known = partition.adopted, self._open.get(partition.tp)
        if shelf is None:
            return
        if known is not None and known.shelf is shelf:
            recreated = recreated or known.recreated
        self._ask(Question(Kind.RESET, partition, shelf, recreated))

    def renew(self, partition: Partition, old: Shelf) -> bool:
        """Ask again, for a shelf that goes on where an old one was, what is being asked; tell whether anything is."""
        shelf, known = partition.adopted, self._open.get(partition.tp)
        if shelf is None or known is None or known.shelf is not old or known.kind is Kind.START:
            return False
        self._ask(known._replace(shelf=shelf))
        return True

    def forget(self, partition: Partition) -> None:
        """Ask nothing more about a partition: it is gone."""
        self._open.pop(partition.tp, None)
        self._fresh.pop(partition.tp, None)

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
                for kind, find in ((Kind.START, self._begin), (Kind.CUT, self._compare), (Kind.RESET, self._go_on)):
                    if asked := [each for each in questions if each.kind is kind and self._stands(each)]:
                        await find(asked)
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
                self._findings.begin(question.partition, question.shelf, found[tp].mark)
            elif tp in errors and not errors[tp].retriable:
                self._fail(question, errors[tp])

    async def _compare(self, questions: list[Question]) -> None:
        """Ask once whether the leaders' logs have what was read of these partitions."""
        agreed, errors = await self._agreed(questions)
        for question in questions:
            _, partition, shelf, _ = question
            if not self._stands(question):
                continue
            if partition.tp in errors:
                if not errors[partition.tp].retriable:
                    self._fail(question, errors[partition.tp])
                continue
            mark = agreed.get(partition.tp)
            if mark == UNKNOWN:
                self.find_reset(partition)
                continue
            del self._open[partition.tp]
            if mark is None or mark.offset >= partition.fetch_offset:
                self._findings.agreed(partition, shelf)
            else:
                self._findings.cut(partition, shelf, mark)

    async def _agreed(self, questions: list[Question]) -> Answers[Mark]:
        """Ask up to where the leaders' logs are what was read; neither that nor an error where nobody can tell."""
        trails = {q.partition.tp: q.partition.trail for q in questions if not q.recreated}
        marks = {q.partition.tp: Mark(q.partition.trail.latest, q.partition.fetch_offset) for q in questions}
        marks = {tp: mark for tp, mark in marks.items() if mark.epoch >= 0 and tp in trails}
        agreed: dict[TopicPartition, Mark] = {}
        errors: dict[TopicPartition, FeliceError] = {}
        while marks:
            epochs = {tp: mark.epoch for tp, mark in marks.items()}
            told, failed = await self._lookup.epoch_ends(epochs, self._config.request_timeout)
            errors |= failed
            asked, marks = marks, {}
            for tp, answer in told.items():
                if min(answer) < 0:
                    agreed[tp] = UNKNOWN
                    continue
                mark, certain = trails[tp].compare(asked[tp], answer)
                (agreed if certain else marks)[tp] = mark
        return agreed, errors

    async def _go_on(self, questions: list[Question]) -> None:
        """Ask once what became of these positions, and follow the policy where that can be told."""
        agreed, errors = await self._agreed(questions)
        tps = [question.partition.tp for question in questions if question.partition.tp not in errors]
        begins, failed = await self._lookup.round(dict.fromkeys(tps, START), self._config.request_timeout)
        errors |= failed
        ends, failed = await self._lookup.round(dict.fromkeys(begins, END), self._config.request_timeout)
        errors |= failed
        for question in questions:
            tp = question.partition.tp
            if not self._stands(question):
                continue
            if tp in ends:
                del self._open[tp]
                self._reset(question, begins[tp].mark, ends[tp].mark, agreed.get(tp))
            elif not errors[tp].retriable:
                self._fail(question, errors[tp])

    def _fail(self, question: Question, error: FeliceError) -> None:
        del self._open[question.partition.tp]
        self._findings.fail(question.partition, question.shelf, error)

    def _reset(self, question: Question, begin: Mark, end: Mark, mark: Mark | None) -> None:
        """Follow the policy for one position, in the log from `begin` to `end`, which agrees up to `mark`."""
        _, partition, shelf, recreated = question
        tp, offset = partition.tp, partition.fetch_offset
        if mark is not None and 0 <= mark.offset < offset:
            self._findings.cut(partition, shelf, Mark(mark.epoch, max(mark.offset, begin.offset)))
            return
        plight = Plight(tp, offset, begin.offset, end.offset, recreated, mark == UNKNOWN)
        reset = decide(plight, self._config.offset_reset)
        if reset is None:
            self._findings.again(partition, shelf)
        elif reset.moves:
            self._events.emit(moved(self._config, tp, offset, reset))
            self._findings.jump(partition, shelf, end if self._config.offset_reset == "latest" else begin)
        else:
            self._findings.fail(partition, shelf, refusal(tp, offset, reset))
