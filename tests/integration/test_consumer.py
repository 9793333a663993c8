"""The consumer on the embedded broker: messages, positions, places, and life."""

import asyncio
import gc
import inspect
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from felice import AsyncConsumer, Consumer
from felice.broker import Broker
from felice.consumer import Timestamp
from felice.errors import (
    BrokerError,
    ClosedError,
    ConfigError,
    DeadlineExceeded,
    DeserializeError,
    ErrorCode,
    ForkedError,
    UsageError,
)
from felice.types import TopicPartition
from felice.wire.records import BatchBuilder
from plain_produce import produce
from wire_batches import batch

HOUR = 3_600_000
NOW = 1_700_000_000_000


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(topics={"letters": 4, "cards": 1}) as made:
        yield made


def write(broker: Broker, count: int, *, topic: str = "letters", partitions: int = 4, first: int = 0) -> None:
    """Write the numbers from `first` on, number n to partition n modulo `partitions`, an hour apart."""
    builders = [BatchBuilder() for _ in range(partitions)]
    for n in range(first, first + count):
        builders[n % partitions].append(b"%d" % n, timestamp_ms=NOW + n * HOUR)
    produce(broker, topic, [(n, bytes(builder.seal())) for n, builder in enumerate(builders) if builder.count])


def consumer(broker: Broker, *topics: str, **options: Any) -> Consumer[Any, Any]:
    return Consumer(broker.bootstrap_servers, *topics, **options)


# -- messages ---------------------------------------------------------------------------------------------------------


def test_a_loop_reads_every_message_once_and_each_partition_in_order(broker: Broker) -> None:
    write(broker, 1000)
    found: dict[int, list[int]] = {n: [] for n in range(4)}
    with consumer(broker, "letters") as reading:
        for count, message in enumerate(reading, 1):
            assert message.topic == "letters"
            assert message.offset == len(found[message.partition])
            assert message.timestamp_ms == NOW + int(message.value) * HOUR
            found[message.partition].append(int(message.value))
            if count == 1000:
                break
        assert not reading.poll(0.05)
    assert found == {n: list(range(n, 1000, 4)) for n in range(4)}


async def test_an_async_loop_reads_the_same(broker: Broker) -> None:
    await asyncio.to_thread(write, broker, 1000)
    seen: Counter[bytes] = Counter()
    async with AsyncConsumer[Any, bytes](broker.bootstrap_servers, "letters") as reading:
        async for message in reading:
            seen[message.value] += 1
            if seen.total() == 1000:
                break
        assert not await reading.poll(0.05)
    assert seen == Counter(b"%d" % n for n in range(1000))


def test_batches_have_one_partition_each_and_none_is_empty(broker: Broker) -> None:
    write(broker, 400)
    seen: Counter[bytes] = Counter()
    with consumer(broker, "letters") as reading:
        for found in reading.batches():
            assert len({message.partition for message in found}) == 1 <= len(found)
            assert reading.position((found.topic, found.partition)) == found.next_offset
            seen.update(found.values())
            if seen.total() == 400:
                break
    assert seen == Counter(b"%d" % n for n in range(400))


def test_a_poll_returns_no_more_than_wanted_and_the_partitions_take_turns(broker: Broker) -> None:
    write(broker, 400)
    turns: list[int] = []
    with consumer(broker, "letters") as reading:
        while len(turns) < 400:
            found = reading.poll(5, max_records=7)
            assert 1 <= len(found) <= 7
            turns += [found.partition] * len(found)
    assert all(set(turns[n : n + 350]) == {0, 1, 2, 3} for n in range(50))


def test_a_poll_returns_as_soon_as_there_is_something_and_empty_when_its_time_is_up(broker: Broker) -> None:
    with consumer(broker, "cards") as reading:
        reading.ready()
        started = time.monotonic()
        assert not reading.poll(0.1)
        assert 0.09 < time.monotonic() - started < 1
        writer = threading.Timer(0.1, write, (broker, 1), {"topic": "cards", "partitions": 1})
        writer.start()
        started = time.monotonic()
        assert reading.poll(10).values() == [b"0"]
        assert time.monotonic() - started < 5
        writer.join()
        assert not reading.poll(0)


def test_deserializers_are_used_and_an_error_of_theirs_stays_until_a_seek(broker: Broker) -> None:
    write(broker, 3, topic="cards", partitions=1)
    produce(broker, "cards", [(0, batch(0, [b"no number", b"4"]))])
    with Consumer[Any, int](broker.bootstrap_servers, "cards", value_deserializer=int) as reading:
        messages = iter(reading)
        assert [next(messages).value for _ in range(3)] == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(DeserializeError) as caught:
                next(messages)
            assert reading.position(("cards", 0)) == caught.value.offset == 3
        reading.seek(("cards", 0), caught.value.next_offset)
        assert next(messages).value == 4


# -- positions --------------------------------------------------------------------------------------------------------


def test_while_iterating_the_position_is_the_last_message_plus_one(broker: Broker) -> None:
    write(broker, 100, topic="cards", partitions=1)
    with consumer(broker, "cards") as reading:
        assert reading.position(("cards", 0)) == 0
        for message in reading:
            assert reading.position(("cards", 0)) == message.offset + 1
            if message.offset == 41:
                break
        assert reading.position(("cards", 0)) == 42
        assert reading.poll(5, max_records=3).offsets() == [42, 43, 44]
        assert reading.position(("cards", 0)) == 45
        assert next(iter(reading)).offset == 45
        assert reading.poll(5).offsets() == list(range(46, 100))


def test_a_loop_that_is_left_and_begun_again_goes_on_there(broker: Broker) -> None:
    write(broker, 400)
    seen: Counter[bytes] = Counter()
    with consumer(broker, "letters") as reading:
        while seen.total() < 400:
            for _, message in zip(range(13), reading, strict=False):
                seen[message.value] += 1
                if seen.total() == 400:
                    break
    assert set(seen.values()) == {1}


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("earliest", 0),
        (17, 17),
        (Timestamp(NOW + 20 * HOUR), 20),
        (Timestamp(NOW + 20 * HOUR + 1), 21),
        (datetime.fromtimestamp(NOW / 1000 + 3600 * 5, UTC), 5),
        ({"cards": 30}, 30),
        ({("cards", 0): 31}, 31),
    ],
)
def test_reading_begins_where_it_should(broker: Broker, start: Any, first: int) -> None:
    write(broker, 40, topic="cards", partitions=1)
    with consumer(broker, "cards", start=start) as reading:
        assert next(iter(reading)).offset == first
    with consumer(broker, "cards") as reading:
        reading.seek(("cards", 0), next(iter(start.values())) if isinstance(start, dict) else start)
        assert reading.poll(5).offsets()[0] == first


@pytest.mark.parametrize("start", ["latest", Timestamp(NOW + 10_000 * HOUR)])
def test_reading_begins_with_what_comes_next_at_the_end_or_at_a_later_time(broker: Broker, start: Any) -> None:
    write(broker, 40, topic="cards", partitions=1)
    with consumer(broker, "cards", start=start) as reading:
        reading.ready()
        assert reading.position(("cards", 0)) == 40
        write(broker, 1, topic="cards", partitions=1, first=40)
        assert reading.poll(5).values() == [b"40"]


def test_a_seek_takes_effect_at_the_next_message_also_in_the_loop(broker: Broker) -> None:
    write(broker, 100, topic="cards", partitions=1)
    with consumer(broker, "cards") as reading:
        offsets = []
        for message in reading:
            offsets.append(message.offset)
            if message.offset == 5 and offsets.count(5) == 1:
                reading.seek(("cards", 0), 90)
            if message.offset == 92:
                reading.seek(("cards", 0), 4)
            if len(offsets) == 12:
                break
        assert offsets == [0, 1, 2, 3, 4, 5, 90, 91, 92, 4, 5, 6]
        reading.seek(("cards", 0), "latest")
        assert not reading.poll(0.05)
        assert reading.position(("cards", 0)) == 100


def test_many_seeks_from_other_threads_lose_nothing(broker: Broker) -> None:
    """After the last seek, what is read is what follows it, without gap or repetition."""
    write(broker, 2000, topic="cards", partitions=1)
    with consumer(broker, "cards") as reading:
        reading.ready()

        def jump() -> None:
            for n in range(200):
                reading.seek(("cards", 0), n * 7)

        jumping = threading.Thread(target=jump)
        jumping.start()
        while jumping.is_alive():
            found = reading.poll(0.01, max_records=50)
            assert found.values() == [b"%d" % offset for offset in found.offsets()]
        jumping.join()
        reading.seek(("cards", 0), 1234)
        offsets: list[int] = []
        while len(offsets) < 2000 - 1234:
            offsets += reading.poll(5).offsets()
        assert offsets == list(range(1234, 2000))


def test_after_another_threads_seek_no_message_from_before_comes(broker: Broker) -> None:
    """Also in the middle of a batch, and while the next one is just being taken."""
    wire = batch(0, [b"x"] * 100)
    produce(broker, "cards", [(0, wire) for _ in range(400)])
    targets: list[int] = []
    with consumer(broker, "cards", max_poll_records=50) as reading:
        reading.ready()
        stop = threading.Event()

        def jump() -> None:
            for n in range(300):
                if n == 299:
                    stop.set()  # Before the last one: a reader that has come to the end is woken by it.
                reading.seek(("cards", 0), n * 131)
                targets.append(n * 131)
                stop.wait(0.001)

        jumping = threading.Thread(target=jump)
        jumping.start()
        known = 0
        for message in reading:
            if known:  # The targets ascend, so that whatever is below one was read before the seek to it.
                assert message.offset >= targets[known - 1]
            if stop.is_set():
                break
            known = len(targets)
        jumping.join()
        assert next(iter(reading)).offset >= targets[-1]


def test_a_paused_partition_is_silent_until_it_is_resumed(broker: Broker) -> None:
    write(broker, 400)
    with consumer(broker, "letters") as reading:
        reading.pause(("letters", 1), ("letters", 2))
        assert reading.paused == (TopicPartition("letters", 1), TopicPartition("letters", 2))
        seen: Counter[int] = Counter()
        while seen.total() < 200:
            found = reading.poll(5, max_records=10)
            seen[found.partition] += len(found)
        assert not reading.poll(0.05)
        assert seen == Counter({0: 100, 3: 100})
        assert reading.position(("letters", 1)) == 0
        reading.resume(("letters", 1))
        while seen.total() < 300:
            found = reading.poll(5)
            seen[found.partition] += len(found)
        assert seen[1] == 100
        assert not reading.poll(0.05)


def test_a_pause_in_the_loop_takes_effect_at_the_next_message(broker: Broker) -> None:
    write(broker, 400)
    with consumer(broker, "letters") as reading:
        messages = iter(reading)
        first = next(messages)
        where = (first.topic, first.partition)
        reading.pause(where)
        assert reading.position(where) == 1
        others = [next(messages) for _ in range(300)]
        assert {message.partition for message in others} == {0, 1, 2, 3} - {first.partition}
        reading.resume(where)
        rest = [next(messages) for _ in range(99)]
        assert [message.offset for message in rest] == list(range(1, 100))


def test_ends_times_and_lag_are_answered(broker: Broker) -> None:
    write(broker, 40)
    tps = [TopicPartition("letters", n) for n in range(4)]
    with consumer(broker, "letters") as reading:
        assert reading.beginning_offsets() == dict.fromkeys(tps, 0)
        assert reading.end_offsets() == dict.fromkeys(tps, 10)
        assert reading.end_offsets([("cards", 0)]) == {TopicPartition("cards", 0): 0}
        assert reading.lag() == dict.fromkeys(tps, 10)
        found = reading.offsets_for_times({tps[1]: Timestamp(NOW + 6 * HOUR), tps[2]: Timestamp(NOW + 99 * HOUR)})
        assert found == {tps[1]: (2, NOW + 9 * HOUR), tps[2]: None}
        reading.seek(tps[0], 4)
        assert reading.lag()[tps[0]] == 6
        assert reading.assignment == tuple(tps)
        assert reading.health.state == "up"


# -- what is read -----------------------------------------------------------------------------------------------------


def test_named_partitions_are_read_and_no_others(broker: Broker) -> None:
    write(broker, 40)
    with consumer(broker, partitions=[("letters", 2), TopicPartition("cards", 0)]) as reading:
        assert len(reading.poll(5)) == 10
        assert reading.assignment == (TopicPartition("cards", 0), TopicPartition("letters", 2))
        with pytest.raises(UsageError, match="letters-1 is not assigned"):
            reading.seek(("letters", 1), 0)


def test_5_a_topic_that_is_not_there_is_waited_for_and_then_told(broker: Broker) -> None:
    """Row 5: retried to the deadline, then a clear error; and it is read once it is there, from its beginning."""
    with consumer(broker, "parcels", start="latest", request_timeout=0.5, allow_auto_create_topics=False) as reading:
        with pytest.raises(BrokerError, match="looking for topic parcels: UNKNOWN_TOPIC_OR_PARTITION"):
            reading.poll(10)
        with pytest.raises(DeadlineExceeded, match="parcels"):
            reading.ready(0.2)
        broker.create_topic("parcels", 1)
        produce(broker, "parcels", [(0, batch(0, [b"first"]))])
        reading.ready()
        assert next(iter(reading)).value == b"first"


def test_a_partition_that_does_not_exist_is_told(broker: Broker) -> None:
    with (
        consumer(broker, partitions=[("cards", 7)], request_timeout=0.3) as reading,
        pytest.raises(BrokerError, match="partition cards-7") as caught,
    ):
        reading.poll(10)
    assert "partitions 0 to 0" in caught.value.hint


def test_a_topic_one_may_not_read_is_told_at_once(broker: Broker) -> None:
    code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    with broker.faults.error(code, "Metadata", topic="cards", times=None), consumer(broker, "cards") as reading:
        started = time.monotonic()
        with pytest.raises(BrokerError, match="TOPIC_AUTHORIZATION_FAILED"):
            reading.poll(10)
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("localhost:1",), {}, "nothing to read"),
        (("localhost:1", ""), {}, "topic ''"),
        (("localhost:1", 5), {}, "topic 5"),
        (("localhost",), {"partitions": [("letters", 0)]}, "bootstrap_servers"),
        (("localhost:1",), {"partitions": "letters"}, "partitions='letters'"),
        (("localhost:1",), {"partitions": [("letters", -1)]}, "partitions"),
        (("localhost:1", "letters"), {"start": "newest"}, "start='newest'"),
        (("localhost:1", "letters"), {"start": {"cards": 0}}, "'cards', which is not read"),
        (("localhost:1", "letters"), {"offset_reset": "newest"}, "offset_reset"),
        (("localhost:1", "letters"), {"isolation": "none"}, "isolation"),
        (("localhost:1", "letters"), {"auto_offset_reset": "earliest"}, "auto_offset_reset"),
        (("localhost:1", "letters"), {"value_deserializer": 5}, "value_deserializer=5"),
    ],
)
def test_19_what_cannot_work_fails_in_the_constructor(arguments: Any, options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Consumer(*arguments, **options)


# -- life -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["poll", "iterate", "batches"])
def test_a_close_from_another_thread_wakes_who_waits_and_ends_iterations(broker: Broker, how: str) -> None:
    reading = consumer(broker, "cards")
    reading.ready()
    closing = threading.Timer(0.1, reading.close)
    closing.start()
    started = time.monotonic()
    if how == "poll":
        assert not reading.poll(30)
    elif how == "iterate":
        assert list(reading) == []
    else:
        assert list(reading.batches()) == []
    assert time.monotonic() - started < 5
    closing.join()
    with pytest.raises(ClosedError):
        reading.poll(0)
    assert list(reading) == []
    reading.close()


async def test_closing_the_async_face_wakes_who_waits(broker: Broker) -> None:
    reading = AsyncConsumer[Any, Any](broker.bootstrap_servers, "cards")
    await reading.ready()
    waiting = [asyncio.create_task(anext(aiter(reading), None))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="another"):
        await reading.poll(0)
    await reading.close()
    assert await asyncio.wait_for(waiting[0], 5) is None


async def test_12_a_cancelled_poll_loses_nothing(broker: Broker) -> None:
    """Row 12: cancelling an await desyncs nothing, and the messages come with the next one."""
    async with AsyncConsumer[Any, Any](broker.bootstrap_servers, "cards") as reading:
        await reading.ready()
        for _ in range(20):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reading.poll(10), 0.005)
        await asyncio.to_thread(write, broker, 50, topic="cards", partitions=1)
        seen: list[bytes] = []
        while len(seen) < 50:
            try:
                seen += (await asyncio.wait_for(reading.poll(10), 0.001)).values()
            except TimeoutError:
                continue
        assert seen == [b"%d" % n for n in range(50)]


def test_ctrl_c_interrupts_a_wait_at_once_and_the_consumer_goes_on(broker: Broker) -> None:
    with consumer(broker, "cards") as reading:
        reading.ready()
        for wait in (lambda: reading.poll(30), lambda: next(iter(reading))):
            timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            started = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                wait()
            assert time.monotonic() - started < 2
            timer.join()
        write(broker, 1, topic="cards", partitions=1)
        assert reading.poll(5).values() == [b"0"]


def test_one_thread_polls_at_a_time(broker: Broker) -> None:
    with consumer(broker, "cards") as reading:
        reading.ready()
        polling = threading.Thread(target=reading.poll, args=(0.5,))
        polling.start()
        while not reading._core.polling.locked():
            time.sleep(0.001)
        with pytest.raises(UsageError, match="another thread is polling"):
            reading.poll(0)
        polling.join()
        assert not reading.poll(0)


def test_a_consumer_without_a_name_can_be_iterated_over(broker: Broker) -> None:
    write(broker, 3, topic="cards", partitions=1)

    def three() -> Iterator[bytes]:
        for _, message in zip(range(3), consumer(broker, "cards"), strict=False):
            gc.collect()
            yield message.value

    def all_three() -> None:
        assert list(three()) == [b"0", b"1", b"2"]
        gc.collect()

    with pytest.warns(ResourceWarning, match="not closed"):
        all_three()


def _in_child(reading: Consumer[Any, Any], address: str, answers: Any) -> None:
    said = []
    for call in (lambda: reading.poll(1), lambda: next(iter(reading)), lambda: reading.seek(("cards", 0), 0)):
        try:
            call()
        except ForkedError:
            said.append("forked")
    reading.close()
    with Consumer[Any, Any](address, "cards") as own:
        said.append(own.poll(10).values()[0].decode())
    answers.put(said)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_42_a_child_process_is_told_and_can_have_its_own(broker: Broker) -> None:
    """Row 42: detected after a fork; the parent's goes on."""
    write(broker, 1, topic="cards", partitions=1)
    with consumer(broker, "cards") as reading:
        reading.ready()
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        child = context.Process(target=_in_child, args=(reading, broker.bootstrap_servers, answers))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert answers.get() == ["forked", "forked", "forked", "0"]
        assert reading.poll(5).values() == [b"0"]


def test_a_closed_consumer_leaves_no_connection_task_or_descriptor(broker: Broker) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    with consumer(broker, "letters") as reading:
        reading.ready()
    tasks = len(asyncio.all_tasks(reading._core.engine.loop))
    before = descriptors()
    for _ in range(10):
        with consumer(broker, "letters") as reading:
            reading.ready()
            reading.poll(0)
    assert len(asyncio.all_tasks(reading._core.engine.loop)) <= tasks
    assert descriptors() <= before + 2


def test_both_faces_have_the_same_names_and_arguments() -> None:
    names = {name for name in dir(Consumer) if not name.startswith("_")}
    assert names == {name for name in dir(AsyncConsumer) if not name.startswith("_")}
    for name in [*names, "__init__"]:
        sync, other = inspect.getattr_static(Consumer, name), inspect.getattr_static(AsyncConsumer, name)
        assert type(sync) is type(other)
        if inspect.isfunction(sync):
            assert inspect.signature(sync).parameters == inspect.signature(other).parameters
