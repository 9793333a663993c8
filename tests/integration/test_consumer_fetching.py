"""How the consumer fetches: within its memory, at once when somebody needs it, and hardly ever when nobody does."""

import asyncio
import gc
import random
import resource
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from felice import Consumer
from felice.broker import Broker
from felice.consumer.core import Core
from felice.consumer.shelf import Partition
from felice.types import TopicPartition
from felice.wire.records import Codec
from plain_produce import produce
from wire_batches import batch


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(topics={"letters": 4, "many": 100, "twenty": 20}) as made:
        yield made


def fill(broker: Broker, topic: str, partitions: int, batches: int, *, codec: Codec = Codec.NONE) -> None:
    """Write so many batches of 16 kB, 16 records each, to each partition."""
    wire = batch(0, [b"x" * 1000] * 16, codec=codec)
    produce(broker, topic, [(n, wire) for n in range(partitions) for _ in range(batches)])


def held(core: Core[Any, Any]) -> int:
    """The bytes of the distinct frames that wait on shelves."""
    frames: dict[int, int] = {}
    for partition in core.outbox.partitions.values():
        for chunk in [*partition.shelf.chunks, *partition.shelf.held]:
            if chunk.frame is not None:
                frames[id(chunk.frame)] = chunk.frame.size
    return sum(frames.values())


def settle(core: Core[Any, Any], seconds: float = 0.15) -> None:
    """Wait until nothing was fetched for a while."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        now = sum(partition.shelf.put for partition in core.outbox.partitions.values())
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.005)


def partitions(core: Core[Any, Any]) -> list[Partition]:
    return list(core.outbox.partitions.values())


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [65536, 1 << 20, 4 << 20])
def test_47_a_hundred_partitions_and_a_stopped_reader_stay_inside_the_budget(broker: Broker, limit: int) -> None:
    """Row 47: what is held and what is under way never pass the limit, and every byte comes in the end."""
    fill(broker, "many", 100, 8)  # 13 MB
    fetch_bytes = min(limit, 1 << 20)
    most = 0
    with Consumer[Any, bytes](
        broker.bootstrap_servers, "many", buffer_bytes=limit, fetch_bytes=fetch_bytes, partition_bytes=1 << 20
    ) as reading:
        core = reading._core
        budget = core._fetcher.budget

        async def counted() -> int:
            return max(budget.buffered + budget.requested, held(core))

        seen = 0
        while seen < 100 * 8 * 16:
            if seen == 0:
                settle(core)
            most = max(most, core.engine.run(counted))
            seen += len(reading.poll(5))
        # One batch may pass it: a broker sends the first one whole, whatever was asked for.
        assert most <= limit + 17_000
        assert most > limit / 4
        settle(core, 0.6)
        assert budget.buffered == 0


def test_47_a_reader_that_takes_one_record_at_a_time_unpacks_one_partition_at_a_time(broker: Broker) -> None:
    """Row 47: a partition whose batch is taken apart keeps its turn until it is used up."""
    fill(broker, "many", 100, 1, codec=Codec.ZSTD)
    with Consumer[Any, bytes](broker.bootstrap_servers, "many") as reading:
        turns = [reading.poll(5, max_records=1).partition for _ in range(1600)]
        unpacked = [p for p in partitions(reading._core) if p.shelf.reader is not None and p.shelf.reader.pending]
        assert unpacked == []
    assert [turns[n : n + 16] for n in range(0, 1600, 16)] == [[turns[n]] * 16 for n in range(0, 1600, 16)]
    assert sorted(set(turns)) == list(range(100))


def test_47_paused_partitions_give_way_when_memory_is_short(broker: Broker) -> None:
    """Row 47: what lies on the shelves of partitions that nobody reads does not keep the others from being read."""
    fill(broker, "many", 100, 4)
    with Consumer[Any, bytes](broker.bootstrap_servers, "many", buffer_bytes=1 << 20, fetch_bytes=1 << 20) as reading:
        core = reading._core
        settle(core)
        reading.pause(*[("many", n) for n in range(1, 100)])
        seen = 0
        while seen < 64:
            found = reading.poll(5)
            assert found.partition == 0
            seen += len(found)
        reading.resume(*[("many", n) for n in range(1, 100)])
        offsets: dict[int, list[int]] = {n: [] for n in range(1, 100)}
        while sum(map(len, offsets.values())) < 99 * 64:
            found = reading.poll(5)
            offsets[found.partition] += found.offsets()
        assert all(found == list(range(64)) for found in offsets.values())


@pytest.mark.parametrize("draw", range(3))
def test_47_so_do_those_that_are_paused_in_the_middle_of_a_batch(broker: Broker, draw: int) -> None:
    """Row 47: what a reader holds half read of paused partitions does not keep the others from being read either."""
    for _ in range(10):
        fill(broker, "twenty", 20, 10)
    chance = random.Random(draw)
    until = [1600] + [chance.randrange(20, 1500) for _ in range(19)]
    with Consumer[Any, bytes](broker.bootstrap_servers, "twenty", buffer_bytes=1 << 20, fetch_bytes=1 << 18) as reading:
        offsets: dict[int, list[int]] = {n: [] for n in range(20)}

        def read(partition: int) -> None:
            while len(offsets[partition]) < 1600:
                found = reading.poll(5, max_records=chance.choice([1, 7, 500]))
                assert found, "the others are starved"
                offsets[found.partition] += found.offsets()
                if len(offsets[found.partition]) > until[found.partition]:
                    reading.pause((found.topic, found.partition))

        read(0)
        until = [1600] * 20
        for partition in reading.paused:
            reading.resume(partition)
            read(partition.partition)
        assert all(found == list(range(len(found))) for found in offsets.values())


def test_28_memory_stays_flat_over_many_times_the_buffer(broker: Broker) -> None:
    """Reading 65 MB in lists through a buffer of 4 MB leaves nothing behind."""
    fill(broker, "letters", 4, 1000)
    options: dict[str, Any] = {"buffer_bytes": 4 << 20, "fetch_bytes": 1 << 20}
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters", **options) as reading:
        seen = 0
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        while seen < 4 * 16_000:
            seen += len(reading.poll(5).values())
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 24 << 20


# -- at once ----------------------------------------------------------------------------------------------------------


def wait_for_long_poll(broker: Broker, core: Core[Any, Any]) -> None:
    """Return when the main lane has just begun a long poll, and the side lane's connection has been used once."""
    after = broker.requests.count
    broker.requests.wait_for("Fetch", after=after)
    time.sleep(0.03)


@pytest.mark.parametrize("what", ["resume", "seek", "low water"])
def test_13_a_partition_that_is_wanted_does_not_wait_behind_a_long_poll(broker: Broker, what: str) -> None:
    """Fetched within 20 ms while another one idles in a 500 ms long poll."""
    fill(broker, "letters", 1, 4)
    took = []
    with Consumer[Any, bytes](
        broker.bootstrap_servers, "letters", partition_bytes=16_500, buffer_bytes=1 << 20, fetch_bytes=66_000
    ) as reading:
        where = TopicPartition("letters", 0)
        partition = reading._core.outbox
        for _ in range(6):
            if what == "resume":
                reading.seek(where, "latest")
                assert not reading.poll(0.01)
                reading.pause(where)
                reading.seek(where, 0)
                wait_for_long_poll(broker, reading._core)
                started = time.perf_counter()
                reading.resume(where)
            elif what == "seek":
                reading.seek(where, "latest")
                assert not reading.poll(0.05)
                wait_for_long_poll(broker, reading._core)
                started = time.perf_counter()
                reading.seek(where, 0)
            else:
                reading.seek(where, 0)
                while partition.partitions[where].shelf.put < 2 * 16_000:
                    time.sleep(0.001)
                wait_for_long_poll(broker, reading._core)
                while len(partition.partitions[where].shelf.chunks):
                    reading.poll(0)
                started = time.perf_counter()
            assert len(reading.poll(5))
            took.append(time.perf_counter() - started)
    took.sort()
    # The first use connects; a busy machine may delay one or two.
    assert took[len(took) // 2] < 0.02, took


def test_a_waiting_consumer_asks_twice_a_second_and_costs_next_to_nothing(broker: Broker) -> None:
    """An idle consumer: one long poll after the other, and less than 0.3 % of a core for itself."""
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters") as reading:
        assert not reading.poll(1.0)
        engine = reading._core.engine
        before, asked = engine.run(_cpu), broker.requests.count
        assert not reading.poll(3.0)
        used, asked = engine.run(_cpu) - before, broker.requests.count - asked
    assert 4 <= asked <= 8
    assert used < 0.003 * 3 + 0.003


async def _cpu() -> float:
    return time.thread_time()


def test_both_lanes_come_together_again(broker: Broker) -> None:
    """After a partition was wanted beside a long poll, there is one lane again as soon as that poll has ended."""
    fill(broker, "letters", 4, 1)
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters") as reading:
        for _ in range(5):
            reading.seek(("letters", 2), 0)
            while not len(reading.poll(0.2)):
                pass
        while len(reading.poll(0.7)):
            pass
        asked = broker.requests.count
        assert not reading.poll(1.5)
        assert broker.requests.count - asked <= 5


def test_11_a_side_lane_that_gets_no_answer_holds_up_its_own_partitions_only(broker: Broker) -> None:
    """Row 11: its connection may be half-open, and the main lane's is not."""
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters", request_timeout=20.0) as reading:
        reading.ready()
        wait_for_long_poll(broker, reading._core)
        with broker.faults.half_open("Fetch") as fault:
            reading.seek(("letters", 0), 0)
            fault.wait()
            for n in range(3):
                produce(broker, "letters", [(1, batch(0, [b"%d" % n]))])
                assert reading.poll(5).values() == [b"%d" % n]
            after = broker.requests.count
            assert not reading.poll(1.2)
            assert broker.requests.count - after <= 6


def test_new_records_come_at_once_whatever_the_lanes_do(broker: Broker) -> None:
    """A record written while the consumer waits is there in milliseconds, for every partition, many times over."""
    took = []
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters") as reading:
        reading.ready()
        for n in range(60):
            assert not reading.poll(0.004)
            wire = batch(0, [b"%d" % n])
            started = time.perf_counter()
            produce(broker, "letters", [(n % 4, wire)])
            assert reading.poll(5).values() == [b"%d" % n]
            took.append(time.perf_counter() - started)
    took.sort()
    assert took[len(took) // 2] < 0.02
    assert took[-2] < 0.2


def test_a_reader_that_is_behind_is_never_starved_by_one_that_waits(broker: Broker) -> None:
    """While the user works on a batch, the next one is fetched: the shelf is never empty for long."""
    fill(broker, "letters", 1, 400)
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters", partition_bytes=65536) as reading:
        waits = 0
        seen = len(reading.poll(5))
        while seen < 6400:
            found = reading.poll(0)
            if not len(found):
                waits += 1
                found = reading.poll(5)
            seen += len(found)
            time.sleep(0.002)  # the user's work
        assert waits < 20


def test_the_session_names_only_what_changed(broker: Broker) -> None:
    """KIP-227: requests of a waiting consumer with a hundred partitions are small."""
    with Consumer[Any, bytes](broker.bootstrap_servers, "many") as reading:
        assert not reading.poll(1.2)
        last = broker.requests.of("Fetch")[-1]
        first = broker.requests.of("Fetch")[0]
        assert last.size < 100 < 1000 < first.size


def test_a_consumer_that_is_closed_takes_its_session_along(broker: Broker) -> None:
    """KIP-227: the broker's few slots are not kept by those who have gone; told beside a long poll, not behind it."""
    nodes = broker._cluster.nodes.values()
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters", fetch_max_wait=30) as reading:
        reading.ready()
        fill(broker, "letters", 4, 1)
        while not any(len(node.sessions) for node in nodes):
            reading.poll(0.1)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert not any(len(node.sessions) for node in nodes)


def test_a_topic_without_an_id_is_fetched_by_name(broker: Broker) -> None:
    """Version 13 and later go by ID; where one is not known the request goes as version 12."""
    fill(broker, "letters", 4, 1)
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters") as reading:
        assert sum(len(reading.poll(5)) for _ in range(4)) == 64
        assert broker.requests.of("Fetch")[-1].version >= 13
        done = threading.Event()

        def forget() -> None:
            for partition in partitions(reading._core):
                partition.topic_id = bytes(16)
            done.set()

        reading._core.engine.post(forget)
        assert done.wait(5)
        for n in range(4):
            reading.seek(("letters", n), 0)
        assert sum(len(reading.poll(5)) for _ in range(4)) == 64
        assert any(seen.version == 12 for seen in broker.requests.of("Fetch"))


def test_the_engine_is_not_woken_for_every_batch(broker: Broker) -> None:
    """Line: the engine is woken only when a partition falls below its low-water mark."""
    fill(broker, "letters", 1, 64)
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters") as reading:
        core = reading._core
        settle(core)
        rung = 0
        bell = core._bell.notify

        class Bell:
            def notify(self) -> None:
                nonlocal rung
                rung += 1
                bell()

        core._bell = Bell()  # type: ignore[assignment]
        polls = 0
        seen = 0
        while seen < 1024:
            seen += len(reading.poll(5, max_records=8))
            polls += 1
        assert polls == 128
        assert rung <= 2


async def test_asyncio_debug_finds_nothing_slow_on_the_engine(broker: Broker) -> None:
    """No answer keeps the engine for long: the unpacking is done on the reader's thread."""
    await asyncio.to_thread(fill, broker, "letters", 4, 200, codec=Codec.GZIP)
    with Consumer[Any, bytes](broker.bootstrap_servers, "letters") as reading:
        engine = reading._core.engine
        before = await asyncio.to_thread(engine.run, _cpu)

        def read_all() -> None:
            seen = 0
            while seen < 12_800:
                seen += len(reading.poll(5))

        await asyncio.to_thread(read_all)
        used = await asyncio.to_thread(engine.run, _cpu) - before
    assert used < 0.1
