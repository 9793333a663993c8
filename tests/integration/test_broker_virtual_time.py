"""Timeouts pass by `broker.clock.advance` in no real time, for others' clients too; long polls stay in real time."""

import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer

import felice
from asking import Asker, batch
from felice.broker import Broker, StoppedClock
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.offset_commit import OffsetCommitRequest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python's own
    from kafka import KafkaConsumer

DAY = 86_400.0
WEEK_AND_A_DAY = 8 * DAY


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a topic of four partitions."""
    with Broker(topics={"letters": 4}) as broker:
        yield broker


def confluent(broker: Broker, name: str, **settings: Any) -> Consumer:
    """A member of the group `readers`."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "readers",
            "client.id": name,
            "auto.offset.reset": "earliest",
            **settings,
        }
    )
    consumer.subscribe(["letters"])
    return consumer


def until_owned(broker: Broker, consumer: Consumer, name: str, partitions: int = 4) -> None:
    """Let a member poll until it has so many partitions, alone."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        consumer.poll(0.05)
        group = broker.groups.get("readers")
        if group is None or group.state != "Stable" or [member.client_id for member in group.members] != [name]:
            continue
        if len(group.owners()) == partitions:
            return
    raise AssertionError(broker.groups)


def silence(broker: Broker, name: str) -> None:
    """Let a client's requests go nowhere from now on: it is as good as dead, and does not know."""
    broker.faults.half_open(client_id=name, times=None)
    broker.faults.disconnect(client_id=name)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_members_session_ends(broker: Broker, protocol: str) -> None:
    """librdkafka's consumer, of both protocols, is taken out of its group after 45 seconds that nobody waits for."""
    settings = {"group.protocol": protocol}
    consumer = confluent(broker, "first", **settings)
    try:
        until_owned(broker, consumer, "first")
        silence(broker, "first")
        began = time.monotonic()
        broker.clock.advance(44)
        assert len(broker.groups["readers"].members) == 1
        broker.clock.advance(2)
        assert broker.groups["readers"].members == ()
        assert time.monotonic() - began < 10
    finally:
        broker.faults.clear()
        consumer.close()


def test_a_rebalance_does_not_wait_for_the_dead(broker: Broker) -> None:
    """A second member joins, the first one never comes back; when the rebalance timeout is over the second has all."""
    patient = {"session.timeout.ms": 300_000, "max.poll.interval.ms": 600_000}
    members = [confluent(broker, "first", **patient)]
    try:
        until_owned(broker, members[0], "first")
        silence(broker, "first")
        members.append(confluent(broker, "second", **patient))
        broker.requests.wait_for("JoinGroup", 30, client_id="second", where=lambda seen: seen.request.member_id)
        assert broker.groups["readers"].state == "PreparingRebalance"
        began = time.monotonic()
        broker.clock.advance(600)
        until_owned(broker, members[1], "second")
        assert time.monotonic() - began < 30
    finally:
        broker.faults.clear()
        for member in members:
            member.close()


def test_a_session_of_kafka_python_ends(broker: Broker) -> None:
    """So does that of another client."""
    consumer = KafkaConsumer(
        "letters",
        bootstrap_servers=broker.bootstrap_servers,
        group_id="readers",
        client_id="python",
        session_timeout_ms=45_000,
        heartbeat_interval_ms=1000,
    )
    try:
        with ThreadPoolExecutor() as pool:
            stable = pool.submit(broker.wait_until, lambda: len(broker.groups["readers"].owners()) == 4, 30)
            while not stable.done():
                consumer.poll(timeout_ms=50)
            assert stable.result()
        silence(broker, "python")
        broker.clock.advance(46)
        assert broker.groups["readers"].state == "Empty"
    finally:
        broker.faults.clear()
        consumer.close(autocommit=False)


def test_a_transaction_times_out(broker: Broker) -> None:
    """librdkafka's transaction is aborted after its minute, and its producer fenced when it comes back."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": "a transaction"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("letters", b"a", partition=0)
    assert producer.flush(30) == 0
    assert broker.transactions["a transaction"].state == "Ongoing"
    broker.clock.advance(59)
    assert broker.transactions["a transaction"].state == "Ongoing"
    broker.clock.advance(2)
    assert broker.wait_until(lambda: broker.transactions["a transaction"].state == "CompleteAbort")
    with pytest.raises(KafkaException):
        producer.commit_transaction(30)


def commit(broker: Broker) -> None:
    """Commit an offset for a group without members."""
    partition = OffsetCommitRequest.Partition(partition_index=0, committed_offset=7)
    topic = OffsetCommitRequest.Topic(name="letters", partitions=[partition])
    with Asker(broker.bootstrap_servers, "") as asker:
        answer = asker.ask(OffsetCommitRequest(group_id="readers", topics=[topic]), 8)
    assert answer.topics[0].partitions[0].error_code == 0


def test_offsets_expire(broker: Broker) -> None:
    """After a week without members, and not before."""
    commit(broker)
    broker.clock.advance(6 * DAY)
    assert broker.groups["readers"].offsets["letters", 0].offset == 7
    broker.clock.advance(2 * DAY)
    assert "readers" not in broker.groups


def poll(asker: Asker, wait_ms: int) -> float:
    """Ask for records that are not there; return how long the answer took."""
    partitions = [FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)]
    letters = FetchRequest.FetchTopic(topic="letters", partitions=partitions)
    began = time.monotonic()
    asker.ask(FetchRequest(max_wait_ms=wait_ms, min_bytes=1, topics=[letters]), 11)
    return time.monotonic() - began


def test_long_polls_stay_in_real_time(broker: Broker) -> None:
    """A day that passes at once does not answer them; their own time does."""
    with Asker(broker.bootstrap_servers, "") as asker, ThreadPoolExecutor() as pool:
        waiting = pool.submit(poll, asker, 300)
        broker.requests.wait_for("Fetch")
        broker.clock.advance(DAY)
        assert waiting.result(30) >= 0.29


def test_records_get_the_time_that_has_passed() -> None:
    """Timestamps that the broker gives, and its own records, are on its clock."""
    with Broker(configs={"log.message.timestamp.type": "LogAppendTime"}) as broker:
        broker.create_topic("letters", 1)
        with felice.Producer(broker.bootstrap_servers) as producer:
            producer.send("letters", b"before").result(30)
            broker.clock.advance(DAY)
            producer.send("letters", b"after").result(30)
        before, after = broker.records("letters", 0)
        assert DAY * 1000 <= after.timestamp_ms - before.timestamp_ms < DAY * 1000 + 60_000


def test_a_clock_that_stands_still() -> None:
    """Nothing passes but by `advance`: not between two records, not for sessions; clients work, and polls end."""
    with Broker(
        topics={"letters": 4},
        clock=StoppedClock(1_700_000_000_000),
        configs={"log.message.timestamp.type": "LogAppendTime"},
    ) as broker:
        with felice.Producer(broker.bootstrap_servers) as producer:
            producer.send("letters", b"a", partition=0).result(30)
            broker.clock.advance(1.5)
            producer.send("letters", b"b", partition=0).result(30)
        stamps = [record.timestamp_ms for record in broker.records("letters", 0)]
        assert stamps == [1_700_000_000_000, 1_700_000_001_500]
        with felice.Consumer(broker.bootstrap_servers, "letters", start="earliest") as consumer:
            assert [message.value for message in consumer.poll(timeout=30)]
        with Asker(broker.bootstrap_servers, "") as asker:
            asker.produce("letters", batch(b"c"), partition=3)
            assert poll(asker, 1) < 10
        commit(broker)
        assert (broker.clock.monotonic(), broker.clock.time_ms()) == (1.5, 1_700_000_001_500)
        broker.clock.advance(WEEK_AND_A_DAY)
        assert "readers" not in broker.groups


def test_members_live_on_a_clock_that_stands_still() -> None:
    """A group forms, reads and leaves; only `advance` lets a session end."""
    with Broker(topics={"letters": 4}, clock=StoppedClock()) as broker:
        consumer = confluent(broker, "first", **{"session.timeout.ms": 6000})
        until_owned(broker, consumer, "first")
        consumer.close()
        assert broker.wait_until(lambda: broker.groups["readers"].state == "Empty")
