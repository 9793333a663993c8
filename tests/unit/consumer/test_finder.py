"""Which leader is asked where to read, while leaders come and go and callers seek."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from random import Random
from typing import Any

import pytest

from felice.clock import SystemClock
from felice.config import ConsumerConfig
from felice.consumer.finder import Finder, Findings
from felice.consumer.lookup import Answers, Found
from felice.consumer.shelf import Partition, Shelf
from felice.consumer.start import EARLIEST, Start
from felice.consumer.trail import Mark
from felice.events import EventBus
from felice.types import TopicPartition
from wire_batches import batch

Asked = Mapping[TopicPartition, int]


class Leaders:
    """Whoever leads: a node for each partition, of which some do not answer."""

    def __init__(self) -> None:
        self.nodes: dict[TopicPartition, int] = {}
        self.frozen: set[int] = set()
        self.asked: list[tuple[str, int, list[int]]] = []
        self.news = asyncio.Event()
        self.thaw = asyncio.Event()
        self.ends: dict[int, Mark] = {}

    def by_leader(self, tps: Iterable[TopicPartition]) -> Iterable[list[TopicPartition]]:
        found: dict[int, list[TopicPartition]] = {}
        for tp in tps:
            found.setdefault(self.nodes[tp], []).append(tp)
        return found.values()

    async def _ask(self, what: str, wanted: Asked) -> None:
        silent = False
        for tps in self.by_leader(wanted):
            node = self.nodes[tps[0]]
            self.asked.append((what, node, [tp.partition for tp in tps]))
            silent = silent or node in self.frozen
        self.news.set()
        if silent:
            await self.thaw.wait()

    async def round(self, wanted: Asked, timeout: float) -> Answers[Found]:
        await self._ask("offset", wanted)
        return {tp: Found(10 if time == -2 else 90, -1, 4) for tp, time in wanted.items()}, {}

    async def epoch_ends(self, wanted: Asked, timeout: float) -> Answers[Mark]:
        await self._ask("epoch", wanted)
        return {tp: self.ends[epoch] for tp, epoch in wanted.items()}, {}


class Told(list[tuple[Any, ...]]):
    """What the finder has found."""

    def __init__(self) -> None:
        self.news = asyncio.Event()

    def hear(self, kind: str) -> Callable[..., None]:
        def take(partition: Partition, shelf: Shelf, *what: Any) -> None:
            self.append((kind, partition.tp.partition, *what))
            self.news.set()

        return take

    async def wait(self, count: int = 1) -> None:
        async with asyncio.timeout(5):
            while len(self) < count:
                self.news.clear()
                await self.news.wait()


class Desk:
    """A finder at work, and both its neighbours."""

    def __init__(self) -> None:
        self.leaders = Leaders()
        self.told = Told()
        self.tasks: list[asyncio.Task[None]] = []
        kinds = ("begin", "jump", "again", "agreed", "cut", "fail")
        self.finder = Finder(
            self.leaders,  # type: ignore[arg-type]
            ConsumerConfig(retry_backoff=0.01, retry_backoff_max=0.01),
            SystemClock(),
            Random(1),
            EventBus(lambda *_: None),
            Findings(*map(self.told.hear, kinds)),
            self.spawn,
        )

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        self.tasks.append(asyncio.create_task(coroutine, name=name))

    def partition(self, index: int, start: Start = EARLIEST, *, node: int) -> Partition:
        made = Partition(TopicPartition("letters", index), start)
        made.adopted = made.shelf
        made.fetch_offset = start.offset
        self.leaders.nodes[made.tp] = node
        return made

    async def asked(self, count: int) -> list[tuple[str, int, list[int]]]:
        """Return the questions, as soon as there are so many."""
        async with asyncio.timeout(5):
            while len(self.leaders.asked) < count:
                self.leaders.news.clear()
                await self.leaders.news.wait()
        return self.leaders.asked


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    made.spawn(made.finder.run(), "finds offsets")
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


async def test_where_to_begin_is_asked_of_the_next_leader_when_the_one_before_is_frozen(desk: Desk) -> None:
    desk.leaders.frozen.add(1)
    partition = desk.partition(0, node=1)
    desk.finder.find_start(partition, partition.shelf)
    await desk.asked(1)
    desk.leaders.nodes[partition.tp] = 2
    desk.finder.ask_leader(partition)
    await desk.told.wait()
    assert desk.leaders.asked == [("offset", 1, [0]), ("offset", 2, [0])]
    assert desk.told == [("begin", 0, Mark(4, 10))]


async def test_where_to_go_on_is_asked_of_the_next_leader_too(desk: Desk) -> None:
    desk.leaders.frozen.add(1)
    partition = desk.partition(0, Start(1000), node=1)
    desk.finder.find_reset(partition, recreated=True)
    await desk.asked(1)
    desk.leaders.nodes[partition.tp] = 2
    desk.finder.ask_leader(partition)
    await desk.told.wait()
    assert desk.told == [("jump", 0, Mark(4, 10))]


async def test_questions_that_nobody_could_be_asked_go_to_each_leader_by_itself(desk: Desk) -> None:
    """Asked together while no leader was known, they would wait for the slowest of their leaders together."""
    partitions = [desk.partition(index, node=-1) for index in range(3)]
    desk.leaders.frozen |= {-1, 3}
    for partition in partitions:
        desk.finder.find_start(partition, partition.shelf)
    await desk.asked(1)
    for partition in partitions:
        desk.leaders.nodes[partition.tp] = partition.tp.partition + 1
        desk.finder.ask_leader(partition)
    await desk.told.wait(2)
    assert sorted(desk.told) == [("begin", 0, Mark(4, 10)), ("begin", 1, Mark(4, 10))]
    assert sorted(desk.leaders.asked) == [
        ("offset", -1, [0, 1, 2]),
        ("offset", 1, [0]),
        ("offset", 2, [1]),
        ("offset", 3, [2]),
    ]


async def test_nothing_is_asked_of_another_leader_where_nothing_was_read(desk: Desk) -> None:
    partition = desk.partition(0, Start(5), node=1)
    desk.finder.ask_leader(partition)
    partition.trail.read(batch(5, [b"x"], leader_epoch=2), 5, 2)
    partition.fetch_offset = 6
    desk.leaders.ends[2] = Mark(2, 6)
    desk.finder.ask_leader(partition)
    await desk.told.wait()
    assert desk.leaders.asked == [("epoch", 1, [0])]
    assert desk.told == [("agreed", 0)]


async def test_a_seek_makes_an_answer_too_late(desk: Desk) -> None:
    """What was asked for the shelf before is answered, and told to nobody."""
    desk.leaders.frozen.add(1)
    partition = desk.partition(0, node=1)
    desk.finder.find_start(partition, partition.shelf)
    await desk.asked(1)
    partition.shelf = partition.adopted = Shelf(Start(timestamp=-1))
    desk.finder.find_start(partition, partition.shelf)
    await desk.asked(2)
    desk.leaders.thaw.set()
    await asyncio.gather(*desk.tasks[1:])
    assert desk.told == [("begin", 0, Mark(4, 90))]
