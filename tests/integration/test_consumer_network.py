"""A consumer whose network, or whose brokers, do what they should not: every record comes once, and in order."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from felice import AsyncConsumer, Consumer
from felice.broker import Broker, Fault
from felice.events import Event, Throttled
from felice.types import TopicPartition
from felice.wire.messages.fetch import FetchRequest, FetchResponse
from plain_produce import produce
from scripted_broker import ScriptedBroker, topic
from wire_batches import batch

LETTERS_0 = TopicPartition("letters", 0)
FAST: dict[str, Any] = {
    "retry_backoff": 0.01,
    "retry_backoff_max": 0.1,
    "reconnect_backoff": 0.01,
    "reconnect_backoff_max": 0.1,
}


@pytest.fixture
def broker(seed: int) -> Iterator[Broker]:
    with Broker(topics={"letters": 1}, nodes=3, seed=seed) as made:
        made.move_leader("letters", 0, 1)
        yield made


def write(broker: Broker, first: int, count: int = 50) -> None:
    """Write the numbers from `first` on, in batches of ten."""
    for at in range(first, first + count, 10):
        produce(broker, "letters", [(0, batch(0, [b"%d" % n for n in range(at, at + 10)]))])


def read(reading: Consumer[Any, Any], first: int, count: int = 50) -> None:
    """Read the numbers from `first` on."""
    found: list[int] = []
    while len(found) < count:
        batch = reading.poll(20)
        assert batch, f"only {len(found)} of {count} came"
        found += map(int, batch.values())
    assert found == list(range(first, first + count))


def test_2_a_leader_that_is_frozen_is_left_for_the_next_one(broker: Broker) -> None:
    """Row 2: no answer within the request timeout has metadata asked for, at another broker, and that is followed."""
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", **FAST, request_timeout=1.0) as reading:
        write(broker, 0)
        read(reading, 0)
        for first, frozen in ((50, 1), (100, 2)):
            with broker.faults.freeze(frozen):
                broker.move_leader("letters", 0, frozen + 1)
                write(broker, first)
                read(reading, first)


def test_4_a_broker_that_lags_behind_does_not_lead_back_to_the_old_leader(broker: Broker) -> None:
    """Row 4: the picture of before the move is told again and again, with lower epochs, and is not believed."""
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", metadata_max_age=0.05, **FAST) as reading:
        write(broker, 0)
        read(reading, 0)
        stale = broker.faults.stale_metadata(chance=0.5)
        broker.move_leader("letters", 0, 2)
        write(broker, 50)
        read(reading, 50)
        stale.wait(count=5)
        fetched = len(broker.requests.of("Fetch", node=1))
        for first in (100, 150):
            write(broker, first)
            read(reading, first)
        assert len(broker.requests.of("Fetch", node=1)) == fetched


WRONG: dict[str, Callable[[Broker], Fault]] = {
    "half-open": lambda broker: broker.faults.half_open("Fetch", nth=2),
    "half-open, applied": lambda broker: broker.faults.half_open("Fetch", applied=True, nth=2),
    "crossed": lambda broker: broker.faults.cross("Fetch", nth=2, times=2),
    "oversized": lambda broker: broker.faults.oversize("Fetch", nth=2, times=2),
    "late": lambda broker: broker.faults.delay(1.5, "Fetch", nth=2),
}


@pytest.mark.parametrize("what", WRONG)
def test_11_to_13_wrong_answers_and_none_cost_no_record_and_repeat_none(broker: Broker, what: str) -> None:
    """Rows 11, 12 and 13: the connection is given up and made anew, within the request timeout."""
    with Consumer[Any, Any](
        broker.bootstrap_servers, "letters", partition_bytes=1024, request_timeout=0.5, fetch_max_wait=0.1, **FAST
    ) as reading:
        write(broker, 0)
        with WRONG[what](broker) as fault:
            read(reading, 0)
            write(broker, 50)
            read(reading, 50)
            fault.wait()
        assert not reading.poll(0.02)


def test_21_a_pause_that_a_broker_asks_for_is_kept_and_is_no_timeout(broker: Broker) -> None:
    """Row 21 (KIP-219): it is longer than a request may take, and yet nothing fails."""
    heard: list[Event] = []
    with Consumer[Any, Any](
        broker.bootstrap_servers, "letters", request_timeout=0.2, fetch_max_wait=0.1, listeners=[heard.append], **FAST
    ) as reading:
        reading.ready()
        started = time.monotonic()
        with broker.faults.throttle(0.6, "Fetch") as fault:
            fault.wait()
            for first in (0, 50):  # The answer that asks for the pause may bring the first ones.
                write(broker, first)
                read(reading, first)
            assert time.monotonic() - started >= 0.6
        reading._core.engine.callbacks.flush(5)
        assert [event.seconds for event in heard if isinstance(event, Throttled)] == [0.6]
        assert reading.health.state == "up"


async def test_48_a_replica_is_asked_for_only_so_long() -> None:
    """Row 48: a leader's choice holds for `metadata_max_age`; then the leader is asked, and may choose another."""
    async with ScriptedBroker(1) as leader, ScriptedBroker(2) as replica:
        leader.peers = replica.peers = [leader, replica]
        leader.topics["letters"] = replica.topics["letters"] = topic("letters", 1, epoch=3)

        def answer(request: Any, **data: Any) -> FetchResponse:
            told = FetchResponse.PartitionData(partition_index=0, high_watermark=100, **data)
            asked = request.topics[0]
            return FetchResponse(
                responses=[FetchResponse.FetchableTopicResponse(topic_id=asked.topic_id, partitions=[told])]
            )

        def lead(request: Any, _header: Any) -> FetchResponse:
            if leader.count(FetchRequest) == 1:
                return answer(request, preferred_read_replica=2)
            at = request.topics[0].partitions[0].fetch_offset
            return answer(request, records=batch(at, [b"from the leader"]))

        def follow(request: Any, _header: Any) -> FetchResponse:
            at = request.topics[0].partitions[0].fetch_offset
            return answer(request, records=batch(at, [b"from the replica"]))

        leader.on(FetchRequest, lead)
        replica.on(FetchRequest, follow)
        options = {**FAST, "metadata_max_age": 0.2}
        async with AsyncConsumer[Any, bytes](leader.address, "letters", start=0, rack="here", **options) as reading:
            assert (await reading.poll(5, max_records=1)).values() == [b"from the replica"]
            offset = 1
            while (found := await reading.poll(5, max_records=1)).values() == [b"from the replica"]:
                assert found.offsets() == [offset]
                offset += 1
            assert (found.offsets(), found.values()) == ([offset], [b"from the leader"])
