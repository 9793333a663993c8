"""Compacted topics over real sockets: other people's clients read on over the gaps, and time is made to pass."""

import asyncio
import warnings
from collections.abc import Callable, Iterator

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AioPartition
from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import Producer as ConfluentProducer
from confluent_kafka import TopicPartition

import felice
from felice.broker import Broker

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # kafka-python's own
    from kafka import KafkaConsumer
    from kafka import TopicPartition as PythonPartition

Found = list[tuple[int, bytes, bytes | None]]
"""Offsets, keys and values."""

SEGMENT = 60.0
"""Seconds after which another segment begins."""
CLEANER = 15.0
"""Seconds between two rounds of the cleaner."""
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a compacted topic."""
    with Broker() as broker:
        configs = {
            "cleanup.policy": "compact",
            "segment.ms": str(int(SEGMENT * 1000)),
            "min.cleanable.dirty.ratio": "0",
        }
        broker.create_topic("letters", 1, configs=configs)
        yield broker


def write(broker: Broker, *records: tuple[bytes, bytes | None], codec: str = "none") -> None:
    """Write records in one batch, stamped with the broker's time, so that time passes for them too."""
    producer = ConfluentProducer(
        {"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 50, "compression.codec": codec}
    )
    for key, value in records:
        producer.produce("letters", value, key, timestamp=broker.clock.time_ms())
    assert producer.flush(10) == 0


def with_confluent(servers: str, start: int, end: int) -> Found:
    """Read with confluent-kafka up to the end of the partition."""
    consumer = ConfluentConsumer({"bootstrap.servers": servers, "group.id": "c", "enable.partition.eof": True})
    consumer.assign([TopicPartition("letters", 0, start)])
    found: Found = []
    while True:
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            consumer.close()
            return found
        found.append((message.offset(), message.key(), message.value()))


def with_kafka_python(servers: str, start: int, end: int) -> Found:
    """Read with kafka-python until the position is the end."""
    consumer = KafkaConsumer(bootstrap_servers=servers)
    place = PythonPartition("letters", 0)
    consumer.assign([place])
    consumer.seek(place, start)
    found: Found = []
    while consumer.position(place) < end:
        for records in consumer.poll(1000).values():
            found += [(record.offset, record.key, record.value) for record in records]
    consumer.close()
    return found


def with_aiokafka(servers: str, start: int, end: int) -> Found:
    """Read with aiokafka until the position is the end."""

    async def read() -> Found:
        consumer = AIOKafkaConsumer(bootstrap_servers=servers)
        place = AioPartition("letters", 0)
        await consumer.start()
        consumer.assign([place])
        consumer.seek(place, start)
        found: Found = []
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += [(record.offset, record.key, record.value) for record in records]
        await consumer.stop()
        return found

    return asyncio.run(read())


def with_felice(servers: str, start: int, end: int) -> Found:
    """Read with felice until the position is the end."""
    found: Found = []
    with felice.Consumer(servers, partitions=[("letters", 0)], start={("letters", 0): start}) as consumer:
        while consumer.position(("letters", 0)) < end:
            found += [(message.offset, message.key, message.value) for message in consumer.poll(timeout=1)]
    return found


@pytest.mark.parametrize("read", [with_confluent, with_kafka_python, with_aiokafka, with_felice])
def test_clients_read_on_over_the_gaps(broker: Broker, read: Callable[[str, int, int], Found]) -> None:
    """Wherever they begin, each finds every record that is left, in order, and comes to the end."""
    for codec in CODECS:
        write(broker, (b"a", b"1"), (b"b", codec.encode()), (codec.encode(), b"x"), codec=codec)
        broker.clock.advance(SEGMENT + 1)
    write(broker, (b"b", None), (b"d", b"4"))
    broker.clock.advance(SEGMENT + 1)
    write(broker, (b"z", b"z"))
    broker.clock.advance(CLEANER)
    left = [(record.offset, record.key, record.value) for record in broker.records("letters", 0)]
    assert left == [
        *((3 * number + 2, codec.encode(), b"x") for number, codec in enumerate(CODECS[:-1])),
        (12, b"a", b"1"), (14, b"zstd", b"x"), (15, b"b", None), (16, b"d", b"4"), (17, b"z", b"z"),
    ]  # fmt: skip
    assert broker.offsets("letters", 0) == (0, 18)
    for start in (0, 3, 10, 15):
        assert read(broker.bootstrap_servers, start, 18) == [record for record in left if record[0] >= start]


def test_a_tombstone_goes_a_day_after_the_compaction_that_saw_it(broker: Broker) -> None:
    """Or rather at the next compaction then, as a clean log is left alone."""
    write(broker, (b"a", b"1"))
    write(broker, (b"a", None))
    broker.clock.advance(SEGMENT + 1)
    write(broker, (b"b", b"2"))
    broker.clock.advance(CLEANER)
    assert [record.key for record in broker.records("letters", 0)] == [b"a", b"b"]
    broker.clock.advance(86_400)
    assert [record.key for record in broker.records("letters", 0)] == [b"a", b"b"]
    write(broker, (b"c", b"3"))
    broker.clock.advance(CLEANER)
    assert [record.key for record in broker.records("letters", 0)] == [b"b", b"c"]


def test_a_test_need_not_wait_for_the_cleaner(broker: Broker) -> None:
    """It has a topic compacted when it likes, where the topic's policy is that."""
    write(broker, (b"a", b"1"), (b"a", b"2"), (b"b", b"3"))
    broker.compact("letters")
    assert [(record.offset, record.value) for record in broker.records("letters", 0)] == [(1, b"2"), (2, b"3")]
    broker.create_topic("plain")
    with pytest.raises(felice.BrokerError, match="POLICY_VIOLATION"):
        broker.compact("plain")


def test_a_reader_below_the_start_is_told_so() -> None:
    """Records that have been kept long enough are deleted, and who wants to read them begins anew."""
    with Broker() as broker:
        broker.create_topic("letters", 1, configs={"retention.ms": "3600000"})
        write(broker, (b"a", b"1"))
        broker.clock.advance(2 * 3600)
        assert (broker.records("letters", 0), broker.offsets("letters", 0)) == ([], (1, 1))
        write(broker, (b"a", b"2"))
        assert with_felice(broker.bootstrap_servers, 0, 2) == [(1, b"a", b"2")]


def test_commits_are_compacted_too() -> None:
    """Of each partition's the last one is left, and is what a group goes on with."""
    configs = {
        "log.cleaner.min.cleanable.ratio": 0, "log.roll.ms": int(SEGMENT * 1000), "offsets.topic.num.partitions": 1,
    }  # fmt: skip
    with Broker(configs=configs) as broker:
        broker.create_topic("letters", 1)
        consumer = ConfluentConsumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "readers"})
        for offset in range(5):
            consumer.commit(offsets=[TopicPartition("letters", 0, offset)], asynchronous=False)
            broker.clock.advance(SEGMENT + 1)
        left = [record.offset for record in broker.records("__consumer_offsets", 0)]
        committed = [each.offset for each in consumer.committed([TopicPartition("letters", 0)])]
        consumer.close()
    # The last one lies in the active segment, which is not touched.
    assert (left, committed) == ([3, 4], [4])
