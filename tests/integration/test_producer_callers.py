"""Callers of producers who come at any time: finalizers, signal handlers, callbacks, threads, several loops."""

import asyncio
import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from felice import AsyncProducer, Producer
from felice.broker import Broker
from felice.errors import BufferFull, FeliceError
from producer_faces import QUICK, Connect, log, values


class Sends:
    """Sends when it is collected; a cycle, so that only the garbage collector frees it."""

    def __init__(self, send: Callable[[], object]) -> None:
        self.send = send
        self.me = self

    def __del__(self) -> None:
        self.send()


@pytest.fixture
def busy_collector() -> Iterator[None]:
    """Have the garbage collector run at (nearly) every allocation, on whichever thread."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)
    gc.collect()


@pytest.fixture
def producer(broker: Broker) -> Iterator[Producer[Any, Any]]:
    made: Producer[Any, Any] = Producer(broker.bootstrap_servers, batch_bytes=500, **QUICK)
    yield made
    with contextlib.suppress(FeliceError):
        made.close(0)


@pytest.mark.usefixtures("busy_collector")
def test_finalizers_may_send_from_inside_a_send(broker: Broker, producer: Producer[Any, Any]) -> None:
    """While the topic is staged and afterwards, also on the engine's own thread: no deadlock, nothing lost."""
    sent: list[bytes] = []

    def send(value: bytes) -> None:
        sent.append(value)
        producer.send("letters", value, headers={"h": b"1"} if value.endswith(b"7") else None)

    for n in range(300):
        Sends(lambda n=n: send(b"finalizer %d" % n))
        send(b"send %d" % n)
    gc.collect()
    producer.flush(30)
    assert len(sent) == 600
    assert sorted(filter(None, values(broker))) == sorted(sent)


def test_a_signal_handler_may_send_from_inside_a_send(broker: Broker, producer: Producer[Any, Any]) -> None:
    """It interrupts the main thread in a send, in a wait, in a flush: no deadlock, nothing lost."""
    sent: list[bytes] = []

    def on_signal(*_: object) -> None:
        value = b"handler %d" % len(sent)
        sent.append(value)
        producer.send("letters", value)

    before = signal.signal(signal.SIGALRM, on_signal)
    signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
    try:
        for n in range(3000):
            value = b"send %d" % n
            sent.append(value)
            delivery = producer.send("letters", value, headers={"h": b"1"} if n % 3 == 0 else None)
            if n % 100 == 0:
                delivery.result(20)
        producer.flush(20)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    producer.flush(20)
    assert len(sent) > 3005
    assert sorted(filter(None, values(broker))) == sorted(sent)


def test_threads_that_share_a_producer_keep_their_own_order(broker: Broker, producer: Producer[Any, Any]) -> None:
    """Each thread's records of one partition are in the log in the order of its sends, from the first one on."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    count = 800

    def work(name: int) -> None:
        for n in range(0, count, 2):
            producer.send("letters", b"%d:%d" % (name, n), partition=name % 4)
            producer.send_many("letters", [b"%d:%d" % (name, n + 1)], partition=name % 4)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    producer.flush(30)
    found = log(broker)
    for name in range(8):
        mine = [int(v.split(b":")[1]) for v in found[name % 4] if v is not None and v.startswith(b"%d:" % name)]
        assert mine == list(range(count))


def test_a_callback_may_send_wait_and_flush(broker: Broker, producer: Producer[Any, Any]) -> None:
    """Callbacks have a thread of their own, so that they may use the producer as anybody does."""
    done = threading.Event()
    told: list[Any] = []

    def second(delivery: Any) -> None:
        told.append(delivery.result(0).offset)
        told.append(producer.send_and_wait("letters", b"of a callback", partition=0, timeout=10).offset)
        producer.flush(10)
        done.set()

    producer.send("letters", b"first", partition=0).add_done_callback(second)
    assert done.wait(20)
    assert told == [0, 1]


def test_a_listener_may_send(broker: Broker) -> None:
    """Events come on the same thread as callbacks."""
    sent = threading.Event()
    made: list[Producer[Any, Any]] = []

    def listen(event: Any) -> None:
        if not sent.is_set() and made:
            made[0].send("letters", type(event).__name__.encode())
            sent.set()

    with Producer(broker.bootstrap_servers, listeners=[listen]) as producer:
        made.append(producer)
        producer.send_and_wait("letters", b"x")
        assert sent.wait(10)
    assert len(values(broker)) == 2


def test_one_async_producer_serves_several_loops(broker: Broker) -> None:
    """Sends, awaits and flushes of two loops in two threads do not disturb each other."""
    producer: AsyncProducer[Any, Any] = AsyncProducer(broker.bootstrap_servers, linger=0.001)
    failed: list[BaseException] = []

    async def work(name: int) -> None:
        for n in range(100):
            delivery = await producer.send("letters", b"%d:%d" % (name, n), partition=name)
            if n % 10 == 0:
                assert (await delivery).offset == n
        await producer.flush()

    def run(name: int) -> None:
        try:
            asyncio.run(work(name))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    asyncio.run(producer.close())
    assert failed == []
    for name in range(3):
        assert log(broker)[name] == [b"%d:%d" % (name, n) for n in range(100)]


async def test_a_blocked_loop_delays_its_own_answers_only(broker: Broker) -> None:
    """The network has a thread of its own: what was sent arrives while the loop does not run."""
    async with AsyncProducer(broker.bootstrap_servers, linger=0) as producer:
        await producer.send_and_wait("letters", b"first")
        before = broker.requests.count
        await producer.send("letters", b"second")
        broker.requests.wait_for("Produce", after=before)  # blocks this loop on purpose


async def test_row_12_a_send_that_is_cancelled_while_it_waits_for_room_sends_nothing(broker: Broker) -> None:
    """Row 12: it was not accepted, it leaves no waiter behind, and the producer goes on."""
    async with AsyncProducer(
        broker.bootstrap_servers, buffer_bytes=70_000, batch_bytes=30_000, buffer_timeout=30, **QUICK
    ) as producer:
        await producer.send_and_wait("letters", b"first", partition=0)
        taken = 0
        with broker.faults.freeze():
            with contextlib.suppress(BufferFull):
                while True:
                    producer.try_send("letters", b"x" * 1000, partition=0)
                    taken += 1
            waiting = asyncio.ensure_future(producer.send("letters", b"cancelled" + b"x" * 1000, partition=0))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert producer._core._waiters == []
        await producer.flush()
    assert len(values(broker)) == taken + 1
    assert not any(value and value.startswith(b"cancelled") for value in values(broker))


async def test_row_12_cancelled_awaits_lose_no_record_and_mix_up_no_answer(broker: Broker) -> None:
    """Row 12: half of the awaits are cancelled; every record is written once, and the others' offsets are right."""
    async with AsyncProducer(broker.bootstrap_servers, linger=0, batch_bytes=256) as producer:
        tasks = []
        for n in range(400):
            delivery = await producer.send("letters", b"%d" % n, partition=0)
            tasks.append(asyncio.ensure_future(delivery))
            if n % 2:
                await asyncio.sleep(0)
                tasks[-1].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        await producer.flush()
    assert log(broker)[0] == [b"%d" % n for n in range(400)]
    for n, outcome in enumerate(found):
        if not isinstance(outcome, BaseException):
            assert outcome.offset == n


@pytest.mark.parametrize("face", ["async"], indirect=True)
def test_a_cancelled_flush_leaves_the_records_on_their_way(broker: Broker, connect: Connect) -> None:
    """And the next flush waits for them."""
    producer = connect(broker)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.hold("Produce") as held:
        delivery = producer.send("letters", b"second", partition=0)

        async def cancel() -> None:
            flushing = asyncio.ensure_future(producer.producer.flush())
            await asyncio.to_thread(held.wait)
            flushing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await flushing

        producer.on_loop(cancel())
        assert not delivery.done()
    producer.flush()
    assert producer.outcome(delivery).offset == 1
