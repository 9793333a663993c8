"""The packer: batches that are compressed here, elsewhere, or not at all."""

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from accumulators import make, put, written
from felice.errors import FeliceError
from felice.producer.lane import Lane
from felice.producer.packer import COMPRESS_HERE, Packer, _compress
from felice.wire.records import read_header


class Told:
    """What a packer told its sender."""

    def __init__(self, accumulator: Any) -> None:
        self._accumulator = accumulator
        self.failed: list[tuple[Any, FeliceError]] = []
        self.woken = asyncio.Event()
        self.packer = Packer(asyncio.get_running_loop(), accumulator.compressed, self._fail, self.woken.set)

    def _fail(self, lane: Lane, batch: Any, error: FeliceError) -> None:
        self.failed.append((batch, error))


def head(twin: ModuleType, size: int, codec: str = "gzip") -> tuple[Told, Lane, Any]:
    """Return a packer, and a lane with one sealed batch of about so many bytes."""
    accumulator, known = make(twin, partitions=1, compression=codec)
    for _ in range(size // 100):
        put(accumulator, b"x" * 90)
    accumulator.seal_all()
    lane = Lane(known.queues[0])
    return Told(accumulator), lane, known.queues[0].sealed[0]


async def test_without_a_codec_a_batch_goes_as_it_is(twin: ModuleType) -> None:
    """Nothing is made of it before it goes."""
    told, lane, batch = head(twin, 1000, "none")
    assert told.packer.ready(lane, batch)
    assert batch.payload is None


async def test_a_small_batch_is_compressed_at_once(twin: ModuleType) -> None:
    """A wake of another thread would cost more."""
    told, lane, batch = head(twin, COMPRESS_HERE // 2)
    assert told.packer.ready(lane, batch)
    assert read_header(batch.payload).codec.name == "GZIP"
    assert not told.woken.is_set()


async def test_a_large_batch_is_compressed_elsewhere_and_once(twin: ModuleType) -> None:
    """Meanwhile the lane waits; then its batch can go."""
    told, lane, batch = head(twin, COMPRESS_HERE * 4)
    assert not told.packer.ready(lane, batch)
    assert lane.preparing
    assert not told.packer.ready(lane, batch)
    await asyncio.wait_for(told.woken.wait(), 10)
    assert not lane.preparing
    assert told.packer.ready(lane, batch)
    assert len(written(told._accumulator, batch)) == COMPRESS_HERE * 4 // 100
    told.packer.close()


@pytest.mark.parametrize("size", [COMPRESS_HERE // 2, COMPRESS_HERE * 4])
async def test_a_batch_that_cannot_be_compressed_fails_alone(
    twin: ModuleType, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken out of its lane, and told as failed; nothing else stops."""

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("felice.producer.packer._compress", fail)
    told, lane, batch = head(twin, size)
    assert not told.packer.ready(lane, batch)
    if not told.failed:
        await asyncio.wait_for(told.woken.wait(), 10)
    ((failed, error),) = told.failed
    assert failed is batch
    assert "letters-0: compression failed: MemoryError" in str(error)
    assert not lane.queue.sealed
    told.packer.close()


async def test_a_batch_that_is_given_up_before_its_turn_leaves_no_error_behind(twin: ModuleType) -> None:
    """The threads are busy, and the producer is closed meanwhile."""
    told, lane, batch = head(twin, COMPRESS_HERE * 4)
    busy = threading.Event()
    told.packer._pool = ThreadPoolExecutor(1)
    told.packer._pool.submit(busy.wait, 10)
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    assert not told.packer.ready(lane, batch)
    batch.settle(-1, -1, FeliceError("closed"))
    busy.set()
    await asyncio.wait_for(told.woken.wait(), 10)
    gc.collect()
    told.packer.close()
    assert not told.failed
    assert not complaints


async def test_when_threads_take_no_more_work_it_is_done_here(twin: ModuleType) -> None:
    """As at the interpreter's exit."""
    told, lane, batch = head(twin, COMPRESS_HERE * 4)
    other, other_lane, other_batch = head(twin, COMPRESS_HERE * 4)
    assert not told.packer.ready(lane, batch)
    await asyncio.wait_for(told.woken.wait(), 10)
    told.packer.close()
    assert told.packer.ready(other_lane, other_batch)
    assert other_batch.payload is not None
    other.packer.close()


async def test_without_a_thread_it_is_done_here_and_not_again_later(
    twin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system has no thread left for a while: what was queued in vain has been done when there is one again."""
    packed: list[Any] = []

    def compress(builder: Any, options: Any) -> Any:
        packed.append(builder)
        return _compress(builder, options)

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("felice.producer.packer._compress", compress)
    told, lane, batch = head(twin, COMPRESS_HERE * 4)
    builder = batch.builder
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert told.packer.ready(lane, batch)
    _, next_lane, next_batch = head(twin, COMPRESS_HERE * 4)
    next_builder = next_batch.builder
    assert not told.packer.ready(next_lane, next_batch)
    await asyncio.wait_for(told.woken.wait(), 10)
    assert packed == [builder, next_builder]
    told.packer.close()
