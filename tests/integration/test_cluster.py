"""The cluster's side of the client against the embedded broker, over real sockets, on the real engine."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

from felice.broker import Broker
from felice.clock import SystemClock
from felice.cluster.engine import Engine
from felice.cluster.link import Role
from felice.cluster.router import Cluster
from felice.config import ClientConfig
from felice.errors import ConnectionLost, DeadlineExceeded, ErrorCode, NetworkError, RequestTimeout
from felice.events import EngineLate, Event, EventBus, TopicRecreated
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse

ASK = MetadataRequest(topics=[])

Make = Callable[..., Cluster]


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.stop()


@pytest.fixture
def heard() -> list[Event]:
    return []


@pytest.fixture
def make(engine: Engine, heard: list[Event], seed: int) -> Iterator[Make]:
    """Make clusters; each is closed at the end, and must leave no task on the engine."""
    made: list[Cluster] = []

    def make(addresses: str, **options: float) -> Cluster:
        cluster = Cluster(
            ClientConfig(bootstrap_servers=addresses, **{"retry_backoff": 0.02, "reconnect_backoff": 0.02} | options),  # type: ignore[arg-type]
            engine=engine,
            clock=SystemClock(),
            random=Random(seed),
            events=EventBus(lambda listener, event: listener(event), [heard.append]),
        )
        made.append(cluster)
        return cluster

    yield make

    async def close() -> list[str]:
        for cluster in made:
            await cluster.close(soon(1))
        left = asyncio.all_tasks() - {asyncio.current_task()}
        return [task.get_name() for task in left if task is not None]

    assert engine.run(close, timeout=10) == []


def long_poll(topic_id: bytes, seconds: float) -> FetchRequest:
    """Ask for records that will not come."""
    partition = FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    return FetchRequest(
        max_wait_ms=int(seconds * 1000),
        min_bytes=1,
        max_bytes=1 << 20,
        topics=[FetchRequest.FetchTopic(topic_id=topic_id, partitions=[partition])],
    )


def test_a_virtual_cluster_is_found_and_spoken_to(make: Make, engine: Engine) -> None:
    with Broker(topics={"letters": 6}, nodes=3) as broker:
        cluster = make(broker.bootstrap_servers.split(",")[0])

        async def talk() -> None:
            await cluster.ready(soon())
            view = await cluster.wait_for_topic("letters", soon())
            assert view.topic_id == topic_id
            for partition in view.partitions:
                assert partition.leader == leaders[partition.partition]
            for node in (1, 2, 3):
                answer = await cluster.send(node, ASK, role=Role.CONTROL, timeout=5)
                assert len(answer.brokers) == 3
            assert cluster.health.connections == 3

        topic_id = broker.topic_id("letters")
        leaders = {n: broker.leader("letters", n) for n in range(6)}
        engine.run(talk, timeout=20)


def test_row_1_and_2_a_stopped_leader_is_replaced_and_used_again_when_it_is_back(make: Make, engine: Engine) -> None:
    with Broker(topics={"letters": 1}, nodes=3) as broker:
        cluster = make(broker.bootstrap_servers)

        async def leader() -> int:
            cluster.want_topics(["letters"])
            await cluster.ready(soon())
            return (await cluster.wait_for_leader("letters", 0, soon())).leader

        async def lose(node: int) -> int:
            with pytest.raises(NetworkError):
                await cluster.send(node, ASK, role=Role.PRODUCE, timeout=5)
            while (view := await cluster.wait_for_leader("letters", 0, soon())).leader == node:
                await cluster._refresher.turn(soon())
            return view.leader

        async def again(node: int) -> MetadataResponse:
            return await cluster.call(ASK, node=node, deadline=soon())

        first = engine.run(leader, timeout=20)
        broker.stop(first)
        second = engine.run(lose, first, timeout=20)
        assert second != first
        assert broker.leader("letters", 0) == second
        broker.start(first)
        engine.run(again, first, timeout=20)


def test_row_4_and_5_a_topic_made_anew_is_another_topic(make: Make, engine: Engine, heard: list[Event]) -> None:
    with Broker(topics={"letters": 1}, nodes=1, auto_create=False) as broker:
        cluster = make(broker.bootstrap_servers)

        async def first() -> bytes:
            cluster.want_topics(["letters"])
            await cluster.start()
            return (await cluster.wait_for_topic("letters", soon())).topic_id

        async def gone() -> None:
            cluster.request_refresh("a test")
            while not (cluster.metadata.topic("letters") or ()).error:  # type: ignore[union-attr]
                await cluster._refresher.turn(soon())
            with pytest.raises(DeadlineExceeded, match="UNKNOWN_TOPIC_OR_PARTITION"):
                await cluster.wait_for_topic("letters", soon(0.1))

        before = engine.run(first, timeout=20)
        broker.delete_topic("letters")
        engine.run(gone, timeout=20)
        broker.create_topic("letters", 1)
        after = engine.run(first, timeout=20)
        assert (before != after, after) == (True, broker.topic_id("letters"))
        assert [event.new_id for event in heard if isinstance(event, TopicRecreated)] == [after.hex()]


def test_row_11_a_frozen_broker_is_given_up_and_used_again(make: Make, engine: Engine) -> None:
    """It accepts connections and never answers: a half-open peer, as far as a client can see."""
    with Broker(nodes=2) as broker:
        cluster = make(broker.bootstrap_servers, connect_timeout=0.3, request_timeout=0.3)

        async def warm() -> None:
            await cluster.ready(soon())
            for node in (1, 2):
                await cluster.send(node, ASK, role=Role.CONTROL, timeout=5)

        async def frozen() -> None:
            started = time.monotonic()
            with pytest.raises(RequestTimeout, match="did not answer Metadata"):
                await cluster.send(1, ASK, role=Role.CONTROL, timeout=0.2)
            with pytest.raises(NetworkError):
                await cluster.send(1, ASK, role=Role.CONTROL, timeout=0.4)
            for _ in range(3):
                assert (await cluster.call(ASK, deadline=soon(5))).brokers, "the other broker answers"
            assert time.monotonic() - started < 5

        async def thawed() -> None:
            await cluster.call(ASK, node=1, deadline=soon())

        engine.run(warm, timeout=20)
        with broker.faults.freeze(node=1):
            engine.run(frozen, timeout=20)
        engine.run(thawed, timeout=20)


def test_row_12_a_cut_answer_ends_its_connection_and_the_next_one_is_right(make: Make, engine: Engine) -> None:
    with Broker() as broker:
        cluster = make(broker.bootstrap_servers)

        async def talk() -> None:
            with pytest.raises(ConnectionLost, match="in the middle of an answer") as caught:
                await cluster.send(1, ASK, role=Role.PRODUCE, timeout=5)
            assert caught.value.may_have_happened
            assert (await cluster.send(1, ASK, role=Role.PRODUCE, timeout=5)).brokers

        engine.run(cluster.ready, soon(), timeout=20)
        with broker.faults.cut("Metadata", keep=0.5):
            engine.run(talk, timeout=20)


def test_metadata_never_waits_behind_a_long_poll(make: Make, engine: Engine) -> None:
    """Roles have connections of their own: twenty answers come while a Fetch waits for half a second."""
    with Broker(topics={"letters": 1}) as broker:
        cluster = make(broker.bootstrap_servers)
        topic_id = broker.topic_id("letters")

        async def talk() -> tuple[float, float]:
            await cluster.ready(soon())
            await cluster.send(1, long_poll(topic_id, 0), role=Role.FETCH, timeout=5)
            started = time.monotonic()
            poll = asyncio.create_task(cluster.send(1, long_poll(topic_id, 0.5), role=Role.FETCH, timeout=5))
            await asyncio.sleep(0)
            slowest = 0.0
            for _ in range(20):
                asked = time.monotonic()
                await cluster.send(1, ASK, role=Role.CONTROL, timeout=5)
                slowest = max(slowest, time.monotonic() - asked)
            assert not poll.done()
            await poll
            return slowest, time.monotonic() - started

        slowest, polled = engine.run(talk, timeout=20)
        assert slowest < 0.2
        assert polled > 0.4


def test_errors_of_many_partitions_make_few_metadata_requests(make: Make, engine: Engine) -> None:
    """Row 50: a thousand errors at once are one question."""
    with Broker(topics={"letters": 1}) as broker:
        cluster = make(broker.bootstrap_servers)
        engine.run(cluster.ready, soon(), timeout=20)
        before = len(broker.requests.of("Metadata"))

        async def storm() -> None:
            for n in range(1000):
                cluster.request_refresh(f"partition {n}")
            await cluster._refresher.turn(soon())

        engine.run(storm, timeout=20)
        assert len(broker.requests.of("Metadata")) - before <= 2


def test_an_error_code_of_metadata_is_no_picture(make: Make, engine: Engine) -> None:
    with Broker(topics={"letters": 1}) as broker:
        cluster = make(broker.bootstrap_servers)
        with broker.faults.error(ErrorCode.LEADER_NOT_AVAILABLE, "Metadata", topic="letters", times=3) as fault:

            async def wait() -> int:
                await cluster.start()
                return (await cluster.wait_for_leader("letters", 0, soon())).leader

            assert engine.run(wait, timeout=20) == 1
            assert fault.count == 3


def test_an_idle_client_takes_next_to_no_cpu(make: Make, engine: Engine) -> None:
    """Connected and waiting: below 0.3 % of a core."""
    with Broker(topics={"letters": 1}) as broker:
        cluster = make(broker.bootstrap_servers)

        async def spent() -> float:
            return time.thread_time()

        engine.run(cluster.ready, soon(), timeout=20)
        before = engine.run(spent, timeout=5)
        time.sleep(3)
        assert engine.run(spent, timeout=5) - before < 0.003 * 3


def test_an_engine_that_is_held_up_is_an_event(
    make: Make, engine: Engine, heard: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("felice.cluster.engine.LATE", 0.05)
    with Broker() as broker:
        cluster = make(broker.bootstrap_servers)
        engine.run(cluster.ready, soon(), timeout=20)
        engine.run(asyncio.sleep, 0.1, timeout=5)
        engine.post(time.sleep, 0.3)
        engine.run(asyncio.sleep, 0.1, timeout=5)
        assert max(event.seconds for event in heard if isinstance(event, EngineLate)) > 0.2


def test_a_hundred_clients_opened_and_closed_leave_no_descriptor(make: Make, engine: Engine) -> None:
    with Broker() as broker:

        async def one() -> None:
            cluster = make(broker.bootstrap_servers)
            await cluster.ready(soon())
            await cluster.send(1, ASK, role=Role.PRODUCE, timeout=5)
            await cluster.close(soon(1))

        async def all_of_them() -> int:
            await one()
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(100):
                await one()
            # The broker's own ends of the connections close a moment later, on its thread.
            async with asyncio.timeout(5):
                while (after := len(os.listdir("/proc/self/fd"))) > before + 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            return after - before

        assert engine.run(all_of_them, timeout=60) <= 2
