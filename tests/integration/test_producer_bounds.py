"""The bounds of producers of both faces: memory, time in the buffer, and buffers of requests that are under way."""

import gc
import threading
import time
from typing import Any

import pytest

from felice import Producer
from felice.broker import Broker
from felice.errors import BufferFull, DeadlineExceeded, ErrorCode, FeliceError
from felice.events import EngineLate, Event
from felice.producer import _accumulator
from felice.wire.records import check
from producer_faces import Connect, Face, log, values

LIMIT = 300_000


def small(connect: Connect, broker: Broker, **changes: Any) -> Face:
    """Make a producer with little room."""
    options = {"buffer_bytes": LIMIT, "batch_bytes": 20_000, "buffer_timeout": 0.3}
    return connect(broker, **(options | changes))


def fill(producer: Face, topic: str = "letters", partition: int | None = 0) -> list[Any]:
    """Send without waiting until there is no room; return the deliveries."""
    deliveries = []
    while True:
        try:
            deliveries.append(producer.try_send(topic, b"x" * 1000, partition=partition))
        except BufferFull:
            return deliveries
        assert len(deliveries) < 10_000, "there is no bound"


def test_row_47_memory_is_bounded_while_the_broker_is_frozen(broker: Broker, connect: Connect) -> None:
    """Row 47: what the buffer takes stays below its limit, the rest is refused, and after the thaw all goes."""
    producer = small(connect, broker)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.freeze():
        deliveries = fill(producer)
        core = producer.core
        assert LIMIT * 0.8 < len(deliveries) * 1000 < LIMIT
        assert core.used <= LIMIT
        assert core.used + core.pooled <= LIMIT
        for _ in range(100):
            with pytest.raises(BufferFull, match=rf"of {LIMIT} bytes are taken"):
                producer.try_send("letters", b"x" * 1000, partition=0)
        assert core.used <= LIMIT
    for delivery in deliveries:
        producer.outcome(delivery)
    assert len(values(broker)) == len(deliveries) + 1
    assert producer.holds_nothing()


def test_row_47_staged_records_are_in_the_same_bound(broker: Broker, connect: Connect) -> None:
    """Row 47: those of a topic that is not known take from the same room, and give it back when they fail."""
    producer = small(connect, broker, delivery_timeout=1.0)
    taken = len(fill(producer, topic="cards", partition=None))
    assert LIMIT * 0.8 < taken * 1000 < LIMIT
    assert producer.core.used <= LIMIT
    with pytest.raises(FeliceError, match=f"{taken} records"):
        producer.flush()
    assert producer.holds_nothing()
    producer.send_and_wait("letters", b"x")


@pytest.mark.parametrize("patience", [0, 0.3])
def test_row_47_a_send_waits_for_room_up_to_its_deadline(broker: Broker, connect: Connect, patience: float) -> None:
    """Row 47: then BufferFull says what is full and what to do; nothing was accepted."""
    producer = small(connect, broker, buffer_timeout=patience)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.freeze():
        deliveries = fill(producer)
        started = time.monotonic()
        with pytest.raises(BufferFull, match=f"within {patience:g} s") as raised:
            producer.send("letters", b"y" * 1000, partition=0)
        assert patience <= time.monotonic() - started < patience + 1.5
        assert raised.value.retriable
        assert "buffer_bytes" in raised.value.hint
        assert producer.core._waiters == []
    producer.flush()
    assert len(values(broker)) == len(deliveries) + 1


def test_row_47_a_send_goes_on_when_there_is_room(broker: Broker, connect: Connect) -> None:
    """Row 47: those that wait are woken, all of them, and every record arrives."""
    producer = small(connect, broker, buffer_timeout=30)
    producer.send_and_wait("letters", b"first", partition=0)
    failed: list[BaseException] = []

    def send() -> None:
        try:
            for _ in range(100):
                producer.send("letters", b"x" * 1000)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=send) for _ in range(5)]
    with broker.faults.freeze():
        for thread in threads:
            thread.start()
        while not producer.core._waiters:
            time.sleep(0.001)
    for thread in threads:
        thread.join(30)
    producer.flush()
    assert failed == []
    assert len(values(broker)) == 501


def test_row_47_a_long_linger_with_many_partitions_does_not_lock_the_room(broker: Broker, connect: Connect) -> None:
    """Row 47: when every partition has reserved a little and nothing is left, what lingers is sent."""
    broker.create_topic("wide", 500)
    producer = connect(broker, buffer_bytes=200_000, batch_bytes=50_000, linger=60, buffer_timeout=20)
    producer.partitions_for("wide")
    started = time.monotonic()
    for n in range(1500):
        producer.send("wide", b"%d" % n, partition=n % 500)
    assert time.monotonic() - started < 15
    producer.flush()
    assert len(values(broker, "wide")) == 1500
    assert producer.holds_nothing()


def test_row_47_a_long_linger_does_not_lock_out_what_was_staged_late(broker: Broker, connect: Connect) -> None:
    """Row 47: staged records fill the room, then linger in batches, which need more; who waits for room gets it."""
    broker.create_topic("wide", 500)
    producer = connect(broker, buffer_bytes=200_000, batch_bytes=50_000, linger=60, buffer_timeout=20)
    sent = 0

    def send() -> None:
        nonlocal sent
        for sent in range(6000):
            producer.send("wide", b"%d" % sent, partition=sent % 500)

    thread = threading.Thread(target=send)
    with broker.faults.hold("Metadata"):
        thread.start()
        while not producer.core._waiters:
            time.sleep(0.001)
    thread.join(30)
    assert sent == 5999
    producer.flush()
    assert len(values(broker, "wide")) == 6000
    assert producer.holds_nothing()


def test_row_47_what_lingers_does_not_lock_out_an_unknown_topic(broker: Broker, connect: Connect) -> None:
    """Row 47: it is sent when a record that has to be staged finds no room."""
    broker.create_topic("wide", 500)
    broker.create_topic("cards", 1)
    producer = connect(broker, buffer_bytes=200_000, batch_bytes=50_000, linger=60, buffer_timeout=20)
    producer.send_and_wait("wide", b"known", partition=0)
    partition = 1
    while producer.core.used + 5000 < producer.core.limit:
        producer.send("wide", b"x" * 1000, partition=partition)
        partition += 1
    producer.send("cards", b"x" * 10_000)
    producer.flush()
    assert len(values(broker, "cards")) == 1


def test_row_47_large_records_get_in_beside_small_ones(broker: Broker, connect: Connect) -> None:
    """Row 47: one that needs most of the room waits for it and gets it."""
    producer = small(connect, broker, buffer_timeout=20, record_bytes=250_000)
    for _ in range(3):
        for _ in range(50):
            producer.send("letters", b"x" * 1000)
        producer.send("letters", b"L" * 200_000)
    producer.flush()
    assert sorted({len(value or b"") for value in values(broker)}) == [1000, 200_000]


def test_many_records_beyond_the_room_tell_what_was_accepted(broker: Broker, connect: Connect) -> None:
    """BufferFull of `send_many` has the count and the handle of those that are on their way."""
    producer = small(connect, broker)
    producer.send_and_wait("letters", b"first", partition=0)
    rows = [b"%05d" % n + b"x" * 500 for n in range(2000)]
    with broker.faults.freeze():
        with pytest.raises(BufferFull) as raised:
            producer.send_many("letters", rows, partition=0)
        accepted, handle = raised.value.accepted, raised.value.delivery
        assert LIMIT * 0.7 < accepted * 500 < LIMIT
        assert len(handle) == accepted
        assert not handle.done()
    assert sum(r.length for r in producer.outcome(handle)) == accepted
    producer.outcome(producer.send_many("letters", rows[accepted:], partition=0))
    assert log(broker)[0] == [b"first", *rows]


def test_many_records_wait_for_room_and_all_arrive(broker: Broker, connect: Connect) -> None:
    """More than the buffer holds, by far, in one call."""
    producer = small(connect, broker, buffer_timeout=30)
    rows = [b"%05d" % n + b"x" * 200 for n in range(10_000)]
    ranges = producer.outcome(producer.send_many("letters", rows, partition=1))
    assert sum(r.length for r in ranges) == 10_000
    assert log(broker)[1] == rows


@pytest.mark.skipif(not hasattr(_accumulator, "Accumulator"), reason="the pool is the compiled twin's")
def test_row_20_buffers_of_requests_under_way_are_not_used_again(broker: Broker, connect: Connect) -> None:
    """Row 20: a batch that is given up while its request is held keeps its bytes and its room until that ends."""
    producer = connect(broker, delivery_timeout=0.4, request_timeout=20, batch_bytes=400_000, linger=0)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.hold("Produce", partition=0) as held:
        value = b"old" * 60_000
        delivery = producer.send("letters", value, partition=0)
        held.wait()
        error = producer.error(delivery)
        assert isinstance(error, DeadlineExceeded)
        assert error.may_have_happened
        core = producer.core
        assert core.used >= len(value)
        assert core.pooled == 0
        for partition in (1, 2, 3):
            producer.try_send("letters", b"new" * 60_000, partition=partition)
    producer.flush()
    assert core.used == 0
    for partition in range(4):
        for batch in broker.batches("letters", partition):
            check(batch)
    assert log(broker)[0] == [b"first", value]


def test_a_long_run_of_failures_holds_no_memory(broker: Broker, connect: Connect) -> None:
    """Buffers of failed, split and delivered batches are let go although their deliveries live on."""
    producer = connect(broker, linger=0.05)
    kept: list[Any] = []
    producer.partitions_for("letters")
    with broker.faults.error(ErrorCode.MESSAGE_TOO_LARGE, "Produce", times=3):
        kept += [producer.send("letters", b"x" * 2000, partition=0) for _ in range(50)]
        producer.flush()
    with broker.faults.error(ErrorCode.INVALID_RECORD, "Produce", times=1):
        kept += [producer.send("letters", b"x" * 2000, partition=0) for _ in range(50)]
        kept[-1].exception(10)
    gc.collect()
    for delivery in kept:
        batch = delivery._place()[0]
        assert batch.builder is None
        assert batch.payload is None
    assert producer.holds_nothing()


def test_two_thousand_new_topics_at_once_do_not_hold_up_the_engine() -> None:
    """What a topic costs that is met for the first time does not depend on how many others are."""
    names = [f"topic-{number}" for number in range(2000)]
    late: list[Event] = []

    def hear(event: Event) -> None:
        if isinstance(event, EngineLate):
            late.append(event)

    with Broker(topics=dict.fromkeys(names, 1)) as broker:
        with Producer(broker.bootstrap_servers, listeners=[hear]) as producer:
            deliveries = [producer.send(name, b"x") for name in names]
            assert {delivery.result(30).offset for delivery in deliveries} == {0}
        assert len(broker.requests.of("Metadata")) < 50
    assert not late


def test_a_request_carries_no_more_than_its_limit(broker: Broker, connect: Connect) -> None:
    """Batches of many partitions share requests up to `request_bytes`; one that is larger goes alone."""
    broker.create_topic("wide", 20)
    producer = connect(broker, request_bytes=30_000, batch_bytes=20_000, linger=60, record_bytes=100_000)
    producer.partitions_for("wide")
    before = broker.requests.count
    for n in range(100):
        producer.send("wide", b"x" * 1500, partition=n % 20)
    producer.send("letters", b"x" * 60_000)
    producer.flush()
    sizes = sorted(seen.size for seen in broker.requests.of("Produce", after=before))
    assert 60_000 < sizes[-1] < 61_000
    assert all(size < 31_000 for size in sizes[:-1])
    assert 100 * 1500 / 30_000 <= len(sizes) - 1 <= 10
