"""The consumer on real Apache Kafka, reading what other people's clients have written."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from cluster import KafkaCluster
from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import Producer as ConfluentProducer
from confluent_kafka import TopicPartition as ConfluentPartition
from confluent_kafka.admin import AdminClient

from felice import AsyncConsumer, Consumer
from felice.consumer import Timestamp
from felice.errors import OffsetReset
from felice.events import Event, PositionReset
from felice.types import TimestampType, TopicPartition

MakeTopic = Callable[..., str]
FAST: dict[str, Any] = {"retry_backoff": 0.02, "retry_backoff_max": 0.2}


def writer(kafka: KafkaCluster, **options: Any) -> ConfluentProducer:
    return ConfluentProducer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 5, **options})


def read(reading: Consumer[Any, bytes], count: int, timeout: float = 30) -> list[Any]:
    """Read so many messages."""
    found: list[Any] = []
    deadline = time.monotonic() + timeout
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} came within {timeout} s"
        found += reading.poll(1)
    return found


# -- transactions -----------------------------------------------------------------------------------------------------


def write_transactions(kafka: KafkaCluster, topic: str, seed: int) -> list[str]:
    """Write committed, aborted and plain records, interleaved; return the values that a reader may see."""
    rng = random.Random(seed)
    visible: list[str] = []
    plain = writer(kafka, **{"compression.type": "lz4"})
    producers = [writer(kafka, **{"transactional.id": f"{topic}-{n}", "compression.type": c})
                 for n, c in enumerate(("none", "zstd", "gzip"))]  # fmt: skip
    for producer in producers:
        producer.init_transactions(30)
    for round_ in range(10):
        for producer in producers:
            producer.begin_transaction()
        contents: list[list[str]] = [[] for _ in producers]
        for step in range(rng.randrange(1, 5)):
            for index, producer in enumerate(producers):
                for n in range(rng.randrange(0, 60)):
                    value = f"{round_} {step} {index} {n}"
                    contents[index].append(value)
                    producer.produce(topic, value, partition=rng.randrange(2))
                if rng.random() < 0.7:
                    producer.flush(30)  # several batches a transaction, and others' between them
            value = f"plain {round_} {step}"
            plain.produce(topic, value, partition=rng.randrange(2))
            visible.append(value)
            plain.flush(30)
        for index, producer in enumerate(producers):
            producer.flush(30)
            if rng.random() < 0.5:
                producer.commit_transaction(30)
                visible += contents[index]
            else:
                producer.abort_transaction(30)
    return visible


def test_21_committed_transactions_are_seen_and_aborted_ones_are_not(
    kafka: KafkaCluster, topic: MakeTopic, seed: int
) -> None:
    """Reading read_committed is the default, and right on what another client wrote in transactions."""
    name = topic(partitions=2)
    visible = write_transactions(kafka, name, seed)
    with Consumer[Any, bytes](kafka.bootstrap_servers, name, **FAST) as reading:
        ends = reading.end_offsets()
        for size in (10_000, 7, 1):
            found = []
            while any(reading.position(tp) < end for tp, end in ends.items()):
                found += reading.poll(0.05, max_records=size)
            assert Counter(message.value.decode() for message in found) == Counter(visible)
            for partition in range(2):
                offsets = [message.offset for message in found if message.partition == partition]
                assert offsets == sorted(set(offsets))
            for tp in ends:
                reading.seek(tp, "earliest")
        # From any offset, also from inside a transaction, what is seen is the rest of the same.
        places = {(message.partition, message.offset): message.value for message in found}
        rng = random.Random(seed)
        for _ in range(15):
            tp = TopicPartition(name, rng.randrange(2))
            start = rng.randrange(ends[tp])
            reading.pause(*ends)
            reading.resume(tp)
            reading.seek(tp, start)
            seen: dict[tuple[int, int], bytes] = {}
            while reading.position(tp) < ends[tp]:
                seen |= {(message.partition, message.offset): message.value for message in reading.poll(0.05)}
            assert seen == {at: value for at, value in places.items() if at[0] == tp.partition and at[1] >= start}
    with Consumer[Any, bytes](kafka.bootstrap_servers, name, isolation="read_uncommitted", **FAST) as reading:
        ends = reading.end_offsets()
        everything = 0
        while any(reading.position(tp) < end for tp, end in ends.items()):
            everything += len(reading.poll(0.05))
        assert everything > len(visible)


def test_21_an_open_transaction_is_waited_for(kafka: KafkaCluster, topic: MakeTopic) -> None:
    """What comes after an open transaction is held back by Kafka until it ends, and the end tells so."""
    name = topic(partitions=1)
    producer = writer(kafka, **{"transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(name, b"open")
    producer.flush(30)
    other = writer(kafka)
    other.produce(name, b"behind it")
    other.flush(30)
    with Consumer[Any, bytes](kafka.bootstrap_servers, name, **FAST) as reading:
        assert not reading.poll(0.7)
        assert reading.end_offsets() == {(name, 0): 0}
        assert reading.lag() == {(name, 0): 0}
        producer.commit_transaction(30)
        assert [message.value for message in read(reading, 2)] == [b"open", b"behind it"]


# -- topics -----------------------------------------------------------------------------------------------------------


def recreate(kafka: KafkaCluster, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.delete_topics([name])[name].result(30)
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(Exception):
            kafka.create_topic(name, partitions=1)
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)  # Kafka deletes in the background and tells nobody when it has


@pytest.mark.parametrize("policy", ["error", "earliest"])
def test_5_a_topic_deleted_and_created_anew_is_a_new_topic(kafka: KafkaCluster, topic: MakeTopic, policy: Any) -> None:
    """Row 5: known by its ID, with an old position that would fit into the new log."""
    name = topic(partitions=1)
    producer = writer(kafka)
    for n in range(10):
        producer.produce(name, b"old %d" % n)
    producer.flush(30)
    heard: list[Event] = []
    with Consumer[Any, bytes](
        kafka.bootstrap_servers, name, offset_reset=policy, listeners=[heard.append], **FAST
    ) as reading:
        assert len(read(reading, 10)) == 10
        recreate(kafka, name)
        producer = writer(kafka)
        for n in range(20):
            producer.produce(name, b"new %d" % n)
        producer.flush(30)
        if policy == "error":
            with pytest.raises(OffsetReset, match="deleted and created anew"):
                read(reading, 1)
            reading.seek((name, 0), "earliest")
        assert [message.value for message in read(reading, 20)] == [b"new %d" % n for n in range(20)]
        reading._core.engine.callbacks.flush(5)
        assert len([event for event in heard if isinstance(event, PositionReset)]) == (policy == "earliest")


def test_7_deleted_records_are_told_with_the_numbers(kafka: KafkaCluster, topic: MakeTopic) -> None:
    """Row 7."""
    name = topic(partitions=1)
    producer = writer(kafka)
    for n in range(100):
        producer.produce(name, b"%d" % n)
    producer.flush(30)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    (done,) = admin.delete_records([ConfluentPartition(name, 0, 40)]).values()
    done.result(30)
    with Consumer[Any, bytes](kafka.bootstrap_servers, name, start=7, offset_reset="error", **FAST) as reading:
        with pytest.raises(OffsetReset, match=r"position 7 .* begins at 40 and ends before 100") as caught:
            reading.poll(20)
        reading.seek((name, 0), caught.value.next_offset)
        assert read(reading, 60)[0].offset == 40


@pytest.mark.slow
def test_10_a_compacted_topic_is_read_through_its_gaps(kafka: KafkaCluster, topic: MakeTopic) -> None:
    """Row 10: the cleaner leaves batches with gaps, and empty ones; the reader arrives at the end all the same."""
    name = topic(
        partitions=1, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.001,
        delete_retention_ms=0, max_compaction_lag_ms=100,
    )  # fmt: skip
    producer = writer(kafka, **{"linger.ms": 0})
    for round_ in range(30):
        for key in range(20):
            producer.produce(name, b"%d" % round_, key=b"%d" % key)
        producer.flush(30)
        time.sleep(0.02)  # segments roll by time
    deadline = time.monotonic() + 60
    with Consumer[Any, bytes](kafka.bootstrap_servers, name, **FAST) as reading:
        (end,) = reading.end_offsets().values()
        records = 600
        while records == 600:
            assert time.monotonic() < deadline, "the cleaner has not come round"
            time.sleep(0.5)  # it looks every fifteen seconds and tells nobody
            reading.seek((name, 0), 0)
            latest: dict[bytes, bytes] = {}
            records = 0
            while reading.position((name, 0)) < end:
                for message in reading.poll(1):
                    latest[message.key] = message.value
                    records += 1
        assert latest == {b"%d" % key: b"29" for key in range(20)}


# -- what others write ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("stamp", ["CreateTime", "LogAppendTime"])
def test_every_codec_and_timestamp_reads_as_confluent_reads_it(
    kafka: KafkaCluster, topic: MakeTopic, codec: str, stamp: str
) -> None:
    name = topic(partitions=2, message_timestamp_type=stamp)
    producer = writer(kafka, **{"compression.type": codec})
    now = int(time.time() * 1000)
    for n in range(500):
        producer.produce(
            name,
            None if n % 50 == 7 else b"value %d " % n * (n % 20),
            key=None if n % 3 else b"key %d" % n,
            partition=n % 2,
            timestamp=now - n,
            headers=[("n", b"%d" % n), ("null", None)] if n % 5 == 0 else None,
        )
    producer.flush(30)
    theirs = {place(m.partition(), m.offset()): fields_of(m) for m in confluent_messages(kafka, name, 500)}
    with Consumer[Any, bytes](kafka.bootstrap_servers, name, **FAST) as reading:
        ours = {
            place(m.partition, m.offset): (
                m.value, m.key, list(m.headers) or None, m.timestamp_ms, m.timestamp_type is TimestampType.LOG_APPEND,
                m.leader_epoch,
            )
            for m in read(reading, 500)
        }  # fmt: skip
    assert ours == theirs


def place(partition: int, offset: int) -> tuple[int, int]:
    return partition, offset


def fields_of(message: Any) -> tuple[Any, ...]:
    kind, timestamp = message.timestamp()
    return (
        message.value(), message.key(), message.headers(), timestamp, kind == 2, message.leader_epoch()
    )  # fmt: skip


def confluent_messages(kafka: KafkaCluster, topic: str, count: int) -> Iterable[Any]:
    consumer = ConfluentConsumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "judge"})
    consumer.assign([ConfluentPartition(topic, n, 0) for n in range(2)])
    found: list[Any] = []
    while len(found) < count:
        found += consumer.consume(count, 5)
    consumer.close()
    return found


def test_times_and_ends_are_what_kafka_says(kafka: KafkaCluster, topic: MakeTopic) -> None:
    name = topic(partitions=1)
    producer = writer(kafka)
    now = int(time.time() * 1000)
    for n in range(50):
        producer.produce(name, b"%d" % n, timestamp=now + n * 1000)
    producer.flush(30)
    tp = TopicPartition(name, 0)
    with Consumer[Any, bytes](kafka.bootstrap_servers, name, start=Timestamp(now + 9_500), **FAST) as reading:
        assert read(reading, 1)[0].offset == 10
        assert reading.offsets_for_times({tp: Timestamp(now + 20_000)}) == {tp: (20, now + 20_000)}
        assert reading.offsets_for_times({tp: Timestamp(now + 10**9)}) == {tp: None}
        assert (reading.beginning_offsets()[tp], reading.end_offsets()[tp]) == (0, 50)


async def test_the_async_face_reads_the_same(kafka: KafkaCluster, topic: MakeTopic) -> None:
    name = topic(partitions=4)
    producer = writer(kafka)
    for n in range(5000):
        producer.produce(name, b"%d" % n, partition=n % 4)
    producer.flush(30)
    seen: Counter[bytes] = Counter()
    async with AsyncConsumer[Any, bytes](kafka.bootstrap_servers, name, **FAST) as reading:
        async for message in reading:
            seen[message.value] += 1
            if seen.total() == 5000:
                break
    assert seen == Counter(b"%d" % n for n in range(5000))


# -- three nodes ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_1_every_broker_is_killed_once_and_nothing_is_lost_or_read_twice(kafka3: KafkaCluster) -> None:
    """Rows 1 to 4: killed with SIGKILL and started again, one after the other, under a reader and a writer."""
    name = kafka3.create_topic(partitions=3)
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        producer = writer(kafka3, **{"enable.idempotence": True, "delivery.timeout.ms": 120_000})
        while not stop.is_set():
            producer.produce(name, b"%d" % written, partition=written % 3)
            written += 1
            producer.poll(0.001)
        assert producer.flush(60) == 0

    writing = threading.Thread(target=write)
    writing.start()
    seen: dict[int, list[int]] = {n: [] for n in range(3)}
    with Consumer[Any, bytes](kafka3.bootstrap_servers, name) as reading:

        def read_for(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for message in reading.poll(0.2):
                    seen[message.partition].append(int(message.value))

        try:
            for node in kafka3.nodes:
                read_for(1)
                node.kill()
                read_for(5)
                node.start(3)
                read_for(1)
        finally:
            stop.set()
            writing.join()
        deadline = time.monotonic() + 60
        while sum(map(len, seen.values())) < written:
            assert time.monotonic() < deadline
            read_for(0.2)
    assert seen == {n: list(range(n, written, 3)) for n in range(3)}
