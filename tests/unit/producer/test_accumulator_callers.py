"""The accumulator, compiled and plain, under callers who come at any time: finalizers, signal handlers, threads."""

import gc
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from accumulators import everything, make, put, written
from felice.wire.records import read_records


class Sends:
    """Sends when it is collected, as a user's object might; makes a cycle, so that only the collector frees it."""

    def __init__(self, send: Callable[[], object]) -> None:
        self.send = send
        self.me = self

    def __del__(self) -> None:
        self.send()


@pytest.fixture
def busy_collector() -> Iterator[None]:
    """Have the garbage collector run at (nearly) every allocation."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)
    gc.collect()


@pytest.mark.usefixtures("busy_collector")
def test_a_finalizer_may_send_from_inside_a_send(twin: ModuleType) -> None:
    """It neither deadlocks nor tears a batch, and both records are there, once each."""
    accumulator, _ = make(twin, batch_bytes=700)
    sent: list[tuple[bytes, Any]] = []

    def send(value: bytes) -> None:
        sent.append((value, put(accumulator, value, key=value[:1], headers=[("h", b"1")])))

    for n in range(600):
        Sends(lambda n=n: send(b"f%d" % n))
        send(b"s%d" % n)
    gc.collect()
    assert len(sent) == 1200
    assert all(isinstance(delivery, twin.Delivery) for _, delivery in sent)
    assert sorted(filter(None, everything(accumulator))) == sorted(value for value, _ in sent)
    for value, delivery in sent:
        batch, index = delivery._place()
        assert read_records(batch.payload)[index].value == value


@pytest.mark.usefixtures("busy_collector")
def test_a_finalizer_may_send_from_inside_a_bulk_send(twin: ModuleType) -> None:
    """The spans of the bulk send still cover its own records and no others."""
    accumulator, _ = make(twin, batch_bytes=700)
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        put(accumulator, b"finalizer")

    values = [b"v%d" % n for n in range(400)]
    spans: list[Any] = []
    at = 0
    while at < len(values):
        Sends(send)
        taken, reason = accumulator.offer_many("letters", values[: at + 40], None, None, None, None, at, spans)
        assert (taken, reason) == (at + 40, 0)
        at = taken
    gc.collect()
    assert sent == 10
    found = everything(accumulator)
    assert sorted(filter(None, found)) == sorted([*values, *[b"finalizer"] * 10])
    mine = [
        read_records(batch.payload)[index].value
        for span in spans
        for batch, index in (span.batch.place(n) for n in range(span.first, span.first + span.count))
    ]
    assert mine == values


def test_a_signal_handler_may_send_from_inside_a_send(twin: ModuleType) -> None:
    """It interrupts the main thread's sends at any point, and nothing is lost or torn."""
    accumulator, _ = make(twin, batch_bytes=700)
    expected: list[bytes] = []

    def on_signal(*_: object) -> None:
        value = b"h%d" % len(expected)
        expected.append(value)
        assert isinstance(put(accumulator, value), twin.Delivery)

    before = signal.signal(signal.SIGALRM, on_signal)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        n = 0
        while n < 2000 or len(expected) < 2010:
            value = b"s%d" % n
            expected.append(value)
            put(accumulator, value)
            n += 1
            if n % 500 == 0 and n > 200_000:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sorted(filter(None, everything(accumulator))) == sorted(expected)


def test_threads_that_share_an_accumulator_lose_nothing(twin: ModuleType, seed: int) -> None:
    """Eight threads send, singly and in bulk, while one takes and settles as the engine does: all is there."""
    accumulator, known = make(twin, partitions=3, batch_bytes=3000, limit=300_000)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    rows = 1500
    taken: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    running = True

    def engine() -> None:
        while running or accumulator.used:
            dirty = accumulator.take_dirty()
            for queue in dirty or known.queues:
                if not running or accumulator.used > 200_000:
                    accumulator.seal(queue)
                while queue.sealed:
                    batch = queue.sealed.popleft()
                    taken[queue.partition] += [value for value, _, _ in written(accumulator, batch) if value]
                    builder = batch.builder
                    batch.settle(0)
                    accumulator.release(batch, builder)

    def caller(name: int) -> None:
        rng = random.Random(seed + name)
        n = 0
        while n < rows:
            if rng.random() < 0.2:
                values = [b"%d:%d" % (name, m) for m in range(n, min(n + 20, rows))]
                at = 0
                while at < len(values):
                    at, _ = accumulator.offer_many("letters", values, None, None, name % 3, None, at, [])
                n += len(values)
            elif isinstance(put(accumulator, b"%d:%d" % (name, n), partition=name % 3), twin.Delivery):
                n += 1

    threads = [threading.Thread(target=caller, args=(name,)) for name in range(8)]
    worker = threading.Thread(target=engine)
    worker.start()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        running = False
        worker.join(60)
        sys.setswitchinterval(before)
    assert accumulator.used == 0
    for name in range(8):
        mine = [int(value.split(b":")[1]) for value in taken[name % 3] if value.startswith(b"%d:" % name)]
        assert mine == list(range(rows))
