"""What the fetcher drops when memory is short, and how that is made good."""

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from felice.clock import SystemClock
from felice.config import ConsumerConfig
from felice.consumer.budget import Frame
from felice.consumer.fetcher import Fetcher
from felice.consumer.outbox import Outbox
from felice.consumer.shelf import Chunk, Partition
from felice.consumer.start import Start
from felice.consumer.trail import Mark
from felice.events import EventBus
from felice.types import TopicPartition

FULL = 65536


@pytest.fixture
def fetcher() -> Fetcher:
    """A fetcher without a cluster, whose memory holds `FULL` bytes, and one partition that is read."""
    made = Fetcher(
        SimpleNamespace(metadata=SimpleNamespace(leader=lambda *_: None)),  # type: ignore[arg-type]
        SimpleNamespace(loop=None),  # type: ignore[arg-type]
        ConsumerConfig(buffer_bytes=FULL, fetch_bytes=FULL),
        SystemClock(),
        Random(1),
        EventBus(lambda *_: None),
        Outbox(),
    )
    made.placement.sources[0] = SimpleNamespace(poke=lambda: None)  # type: ignore[assignment]
    made._outbox.low_water = 1000
    assign(made, "letters")
    return made


def assign(fetcher: Fetcher, topic: str) -> Partition:
    partition = Partition(TopicPartition(topic, 0), Start(100))
    partition.adopted = partition.shelf
    partition.fetch_offset = 100
    fetcher._outbox.partitions = fetcher._outbox.partitions | {partition.tp: partition}
    return partition


def fetched(fetcher: Fetcher, partition: Partition) -> None:
    """Let all of the memory be taken by one chunk of a partition, which is paused then."""
    frame = Frame(FULL)
    fetcher.budget.hold(frame)
    partition.shelf.add(Chunk(partition.shelf, 100, following=200, data=b"x", frame=frame))
    partition.fetch_offset = 200
    partition.paused = True


def asks(fetcher: Fetcher) -> Any:
    """What becomes of a request for the other partition."""
    (reading,) = (p for p in fetcher._outbox.partitions.values() if not p.paused)
    return fetcher.depart([reading])


def test_nonsense_that_was_dropped_is_fetched_again(fetcher: Fetcher) -> None:
    """A chunk behind which nothing could be fetched, because it makes no sense, may be the one that gives way."""
    paused = assign(fetcher, "cards")
    fetched(fetcher, paused)
    paused.halted = True
    assert asks(fetcher) is not None
    assert (paused.fetch_offset, paused.halted) == (100, False)
    paused.paused = False
    assert fetcher.wanted([paused]) == [paused]


def test_a_partition_whose_position_is_looked_for_keeps_what_was_read_before_it(fetcher: Fetcher) -> None:
    """Its next chunk is where reading goes on; what was dropped before that would be lost."""
    paused = assign(fetcher, "cards")
    fetched(fetcher, paused)
    paused.looking = True
    assert asks(fetcher) is None
    fetcher._jump(paused, paused.shelf, Mark(-1, 500))
    assert [(chunk.offset, chunk.jump) for chunk in paused.shelf.chunks] == [(100, -1), (200, 500)]


def test_a_shelf_that_was_sought_away_gives_back_what_its_reader_held(fetcher: Fetcher) -> None:
    """Also where a signal has interrupted the seek right after it."""
    partition = assign(fetcher, "cards")
    fetched(fetcher, partition)
    shelf = partition.shelf
    shelf.held.append(shelf.chunks.popleft())
    partition.shelf = type(shelf)(Start(7))
    fetcher.drain()
    assert fetcher.budget.buffered == 0
    assert partition.fetch_offset == 7


def test_a_pause_ends_when_its_timer_says_so(fetcher: Fetcher) -> None:
    """The timer's clock may be coarser than ours, and nobody would look a second time; a later pause goes on."""
    (partition,) = fetcher._outbox.partitions.values()
    timers: list[Any] = []
    fetcher.placement._loop = SimpleNamespace(call_later=lambda _, *what: timers.append(what))  # type: ignore[assignment]
    fetcher.placement.poke_later(partition)
    fetcher.placement.poke_later(partition)
    for (call, *arguments), expected in zip(timers, ([], [partition]), strict=True):
        assert fetcher.wanted([partition]) == []
        call(*arguments)
        assert fetcher.wanted([partition]) == expected
