"""Waits of a client's callers: that they end with it, that nonsense is told, and that a second close waits too."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from felice import AsyncConsumer, AsyncProducer, Consumer, Producer
from felice.broker import Broker
from felice.cluster.router import Cluster
from felice.errors import ClosedError, DeadlineExceeded, DeliveryError, UsageError
from felice.events import Event, TopicMissing
from scripted_broker import ScriptedBroker, topic


class SlowEnd:
    """Keeps a cluster from closing until `let`."""

    def __init__(self, cluster: Cluster) -> None:
        self.begun = threading.Event()
        self._allowed = threading.Event()
        self._real = cluster.close
        cluster.close = self  # type: ignore[method-assign, assignment]

    async def __call__(self, deadline: float) -> None:
        self.begun.set()
        await asyncio.to_thread(self._allowed.wait, 10)
        await self._real(deadline)

    def let(self) -> None:
        self._allowed.set()


def opened(broker: Broker, kind: type[Any]) -> tuple[Any, Cluster]:
    """A client that is connected, and what it is connected by."""
    if issubclass(kind, Consumer):
        made = kind(broker.bootstrap_servers, "letters")
        made.ready()
        return made, made._core._cluster
    made = kind(broker.bootstrap_servers)
    made.send_and_wait("letters", b"x")
    return made, made._core._cluster


@pytest.mark.parametrize("kind", [Consumer, Producer])
def test_a_second_close_waits_for_the_first(broker: Broker, kind: type[Any]) -> None:
    """Whoever returns from a close may count on it; but nobody waits longer than their own timeout."""
    client, cluster = opened(broker, kind)
    slow = SlowEnd(cluster)
    first = threading.Thread(target=client.close)
    first.start()
    assert slow.begun.wait(5)
    client.close(0.05)
    assert first.is_alive()
    second = threading.Thread(target=client.close)
    second.start()
    second.join(0.1)
    assert second.is_alive()
    slow.let()
    for closing in (first, second):
        closing.join(5)
        assert not closing.is_alive()
    assert cluster.health.state == "closed"
    client.close(0)


async def test_a_close_that_is_cancelled_at_its_very_end_ends_all_the_same(broker: Broker) -> None:
    """Its own limit and the close's come together, say: connections and tasks are not left to nobody."""
    client = AsyncProducer(broker.bootstrap_servers)
    await client.send_and_wait("letters", b"x")
    cluster = client._core._cluster
    slow = SlowEnd(cluster)
    closing = asyncio.create_task(client.close())
    await asyncio.to_thread(slow.begun.wait, 5)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    # What was cancelled has reached the engine before this comes back from there.
    await client._core._engine.run_async(asyncio.sleep, 0)
    slow.let()
    await asyncio.wait_for(client.close(), 5)
    assert cluster.health.state == "closed"
    assert cluster.health.connections == 0


def test_a_call_that_a_close_overtakes_starts_nothing(broker: Broker) -> None:
    """It had been found open; nobody would end what it starts."""
    producer = Producer(broker.bootstrap_servers)
    core = producer._core
    producer.close()
    with pytest.raises(ClosedError):
        core._engine.run(core._partitions_for, "letters", 5.0)
    assert core._cluster is None


@pytest.mark.parametrize("kind", [AsyncConsumer, AsyncProducer])
async def test_a_second_close_of_an_async_face_waits_for_the_first(broker: Broker, kind: type[Any]) -> None:
    if kind is AsyncConsumer:
        client = kind(broker.bootstrap_servers, "letters")
        await client.ready()
    else:
        client = kind(broker.bootstrap_servers)
        await client.send_and_wait("letters", b"x")
    slow = SlowEnd(client._core._cluster)
    first = asyncio.create_task(client.close())
    await asyncio.to_thread(slow.begun.wait, 5)
    await client.close(0.05)
    second = asyncio.create_task(client.close())
    await asyncio.sleep(0.05)
    assert not first.done()
    assert not second.done()
    slow.let()
    await asyncio.wait_for(asyncio.gather(first, second), 5)


@pytest.mark.parametrize("timeout", ["1", b"1", None, True, float("nan"), [1]])
def test_a_timeout_that_is_none_is_told(broker: Broker, timeout: Any) -> None:
    """Where None means something, it is allowed; all else is refused by name, and nothing has begun."""
    with (
        Consumer[Any, Any](broker.bootstrap_servers, "letters") as consumer,
        Producer[Any, Any](broker.bootstrap_servers) as producer,
    ):
        calls: list[Callable[[], object]] = [
            lambda: consumer.ready(timeout),
            lambda: consumer.seek(("letters", 0), 3, timeout=timeout),
            lambda: consumer.end_offsets(timeout=timeout),
            lambda: consumer.close(timeout),
            lambda: producer.ready(timeout),
            lambda: producer.partitions_for("letters", timeout),
        ]
        if timeout is not None:
            delivery = producer.send("nowhere", b"x")
            calls += [
                lambda: consumer.poll(timeout),
                lambda: delivery.result(timeout),
                lambda: delivery.exception(timeout),
                lambda: producer.flush(timeout),
                lambda: producer.close(timeout),
            ]
        for call in calls:
            with pytest.raises(UsageError, match=r"timeout=.*give a number of seconds"):
                call()
        assert not consumer.poll(0)
        with contextlib.suppress(DeliveryError):
            producer.close(0)


async def test_waits_end_with_the_consumer() -> None:
    """For a position, for offsets, for being ready: ClosedError at once, and not at their deadline."""
    async with ScriptedBroker() as server:
        server.topics["letters"] = topic("letters", -1)
        reading = AsyncConsumer[Any, Any](server.address, "letters", retry_backoff_max=0.1)
        waits = [
            asyncio.create_task(waiting)
            for waiting in (reading.position(("letters", 0)), reading.end_offsets([("letters", 0)]), reading.ready())
        ]
        done, _ = await asyncio.wait(waits, timeout=0.3)
        assert not done
        started = time.monotonic()
        await reading.close()
        for waiting in waits:
            with pytest.raises(ClosedError):
                await waiting
        assert time.monotonic() - started < 2


async def test_polls_that_find_something_give_other_tasks_their_turn(broker: Broker) -> None:
    """An await that never waits would starve the loop's other tasks while there is much to read."""
    async with AsyncProducer[Any, Any](broker.bootstrap_servers) as producer:
        await producer.send_many("letters", [b"x"] * 2000, partition=0)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with AsyncConsumer[Any, Any](broker.bootstrap_servers, "letters") as reading:
        assert await reading.poll(5, 1)
        task = asyncio.create_task(other())
        for _ in range(100):
            assert await reading.poll(0, 1)
        task.cancel()
    assert turns >= 100


@pytest.mark.parametrize("kind", [Consumer, Producer])
def test_a_wait_for_a_topic_that_is_not_there_is_told_once(
    broker: Broker, kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before the wait's deadline, by one event that names the topic; the wait goes on, and may succeed."""
    module = "felice.consumer.subscription" if kind is Consumer else "felice.producer.core"
    monkeypatch.setattr(f"{module}.MISSING_TOLD", 0.05)
    heard: list[TopicMissing] = []

    def hear(event: Event) -> None:
        if isinstance(event, TopicMissing):
            heard.append(event)

    if kind is Consumer:
        with Consumer[Any, bytes](broker.bootstrap_servers, "parcels", listeners=[hear]) as reading:
            assert not reading.poll(1)
            broker.create_topic("parcels", 1)
            with Producer[Any, Any](broker.bootstrap_servers) as other:
                other.send("parcels", b"x")
            assert reading.poll(10).values() == [b"x"]
    else:
        with Producer[Any, Any](broker.bootstrap_servers, listeners=[hear], delivery_timeout=20) as sending:
            delivery = sending.send("parcels", b"x")
            with pytest.raises(DeadlineExceeded):
                delivery.result(3)
            broker.create_topic("parcels", 1)
            assert delivery.result(10).topic == "parcels"
    (event,) = heard
    assert (event.topic, event.partition) == ("parcels", -1)
    assert "UNKNOWN_TOPIC_OR_PARTITION" in event.reason
