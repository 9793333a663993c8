"""Clients that nobody here wrote produce to the embedded broker and read back from it, each what every other wrote."""

import asyncio
import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from felice.broker import Broker

pytestmark = pytest.mark.filterwarnings(r"ignore:\w+_text is deprecated")  # kafka-python, when it is imported

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PARTITIONS = 3
TIMEOUT = 20.0

Pair = tuple[bytes, bytes]
Written = dict[int, list[Pair]]
"""Keys and values by partition, in order."""


def letters(number: int = 60) -> Written:
    """What is written: some records for each partition, of different sizes."""
    return {
        partition: [(b"k%d" % n, b"%d-%d-" % (partition, n) + b"abcdefgh" * (n % 7 * 20)) for n in range(number)]
        for partition in range(PARTITIONS)
    }


# --- writers ---


def confluent_writes(servers: str, topic: str, codec: str, written: Written) -> None:
    """Write with confluent-kafka."""
    from confluent_kafka import Producer

    failed: list[Any] = []
    producer = Producer({"bootstrap.servers": servers, "compression.type": codec, "enable.idempotence": True})
    for partition, pairs in written.items():
        for key, value in pairs:
            producer.produce(
                topic, value, key, partition, on_delivery=lambda error, _: failed.append(error) if error else None
            )
    assert producer.flush(TIMEOUT) == 0
    assert not failed


def aiokafka_writes(servers: str, topic: str, codec: str, written: Written) -> None:
    """Write with aiokafka."""
    from aiokafka import AIOKafkaProducer

    async def write() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=servers, compression_type=None if codec == "none" else codec, enable_idempotence=True
        ) as producer:
            sent = [
                await producer.send(topic, value, key, partition)
                for partition, pairs in written.items()
                for key, value in pairs
            ]
            await asyncio.gather(*sent)

    asyncio.run(write())


def kafka_python_writes(servers: str, topic: str, codec: str, written: Written) -> None:
    """Write with kafka-python."""
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=servers, compression_type=None if codec == "none" else codec, acks="all", linger_ms=5
    )
    sent = [
        producer.send(topic, value, key, partition=partition)
        for partition, pairs in written.items()
        for key, value in pairs
    ]
    producer.flush(TIMEOUT)
    for future in sent:
        future.get(TIMEOUT)
    producer.close()


def kcat_writes(servers: str, topic: str, codec: str, written: Written) -> None:
    """Write with kcat."""
    for partition, pairs in written.items():
        command = ["kcat", "-b", servers, "-P", "-t", topic, "-p", str(partition), "-K", "\t"]
        subprocess.run(
            [*command, "-X", f"compression.codec={codec}"],
            input=b"".join(key + b"\t" + value + b"\n" for key, value in pairs),
            check=True,
            timeout=TIMEOUT,
        )


# --- readers ---


def confluent_reads(servers: str, topic: str, count: int) -> Written:
    """Read with confluent-kafka."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": servers, "group.id": "judges", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    read: Written = {}
    try:
        while sum(map(len, read.values())) < count:
            messages = consumer.consume(count, TIMEOUT)
            assert messages, "nothing came"
            for message in messages:
                assert message.error() is None
                read.setdefault(message.partition(), []).append((message.key(), message.value()))
    finally:
        consumer.close()
    return read


def aiokafka_reads(servers: str, topic: str, count: int) -> Written:
    """Read with aiokafka."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    async def read() -> Written:
        found: Written = {}
        consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
        consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
        await consumer.start()
        try:
            async with asyncio.timeout(TIMEOUT):
                for _ in range(count):
                    message = await consumer.getone()
                    found.setdefault(message.partition, []).append((message.key, message.value))
        finally:
            await consumer.stop()
        return found

    return asyncio.run(read())


def kafka_python_reads(servers: str, topic: str, count: int) -> Written:
    """Read with kafka-python."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=TIMEOUT * 1000,
    )
    consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
    read: Written = {}
    try:
        for message in itertools.islice(consumer, count):
            read.setdefault(message.partition, []).append((message.key, message.value))
    finally:
        consumer.close()
    return read


def kcat_reads(servers: str, topic: str, count: int) -> Written:
    """Read with kcat."""
    read: Written = {}
    for partition in range(PARTITIONS):
        found = subprocess.run(
            ["kcat", "-b", servers, "-C", "-t", topic, "-p", str(partition), "-o", "beginning", "-e", "-q", "-K", "\t"],
            capture_output=True,
            check=True,
            timeout=TIMEOUT,
        )
        pairs = [line.split(b"\t", 1) for line in found.stdout.splitlines()]
        read[partition] = [(key, value) for key, value in pairs]
    return read


WRITERS: dict[str, Callable[[str, str, str, Written], None]] = {
    "confluent-kafka": confluent_writes,
    "aiokafka": aiokafka_writes,
    "kafka-python": kafka_python_writes,
    "kcat": kcat_writes,
}
READERS: dict[str, Callable[[str, str, int], Written]] = {
    "confluent-kafka": confluent_reads,
    "aiokafka": aiokafka_reads,
    "kafka-python": kafka_python_reads,
    "kcat": kcat_reads,
}


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One broker for all judges."""
    with Broker() as broker:
        yield broker


@pytest.fixture(autouse=True)
def _kcat(request: pytest.FixtureRequest) -> None:
    """Leave kcat's tests out where it is not installed."""
    if "kcat" in request.node.name and shutil.which("kcat") is None:
        pytest.skip("kcat is not installed (Debian's package kcat)")


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("writer", WRITERS)
def test_what_one_client_writes_the_broker_has_and_another_reads(broker: Broker, writer: str, codec: str) -> None:
    """Each client writes in each codec; the broker holds it in that codec, record by record, and another one reads it.

    The reader is the next client in the list, so that each one reads what another wrote, in each codec.
    """
    topic = f"{writer}-{codec}"
    broker.create_topic(topic, PARTITIONS)
    written = letters()
    WRITERS[writer](broker.bootstrap_servers, topic, codec, written)
    for partition, pairs in written.items():
        assert [(record.key, record.value) for record in broker.records(topic, partition)] == pairs
        codecs = {batch[22] & 7 for batch in broker.batches(topic, partition)}
        assert codecs <= {CODECS.index(codec), 0}
        assert codec == "none" or CODECS.index(codec) in codecs
    names = list(READERS)
    reader = names[(names.index(writer) + 1) % len(names)]
    if reader == "kcat" and shutil.which("kcat") is None:
        reader = names[0]
    read = READERS[reader](broker.bootstrap_servers, topic, sum(map(len, written.values())))
    assert read == written


@pytest.mark.parametrize("client", READERS)
def test_each_client_reads_back_what_it_wrote(broker: Broker, client: str) -> None:
    """Each client reads what it wrote itself."""
    topic = f"own-{client}"
    broker.create_topic(topic, PARTITIONS)
    written = letters(500)
    WRITERS[client](broker.bootstrap_servers, topic, "lz4", written)
    assert READERS[client](broker.bootstrap_servers, topic, 500 * PARTITIONS) == written


@pytest.mark.parametrize("codec", ["uncompressed", *CODECS[1:]])
def test_the_broker_compresses_as_the_topic_asks(broker: Broker, codec: str) -> None:
    """Whatever comes, a topic with a `compression.type` keeps that codec, and every client reads it."""
    topic = f"compressed-{codec}"
    broker.create_topic(topic, PARTITIONS, configs={"compression.type": codec})
    written = letters()
    confluent_writes(broker.bootstrap_servers, topic, "gzip", written)
    number = 0 if codec == "uncompressed" else CODECS.index(codec)
    assert {batch[22] & 7 for index in range(PARTITIONS) for batch in broker.batches(topic, index)} == {number}
    for reads in (confluent_reads, aiokafka_reads, kafka_python_reads):
        assert reads(broker.bootstrap_servers, topic, sum(map(len, written.values()))) == written


@pytest.mark.parametrize("client", ["confluent-kafka", "aiokafka", "kafka-python"])
def test_clients_create_the_topics_they_write_to(broker: Broker, client: str) -> None:
    """Asking for a topic that is not there creates it, and the first records arrive."""
    topic = f"auto-{client}"
    WRITERS[client](broker.bootstrap_servers, topic, "none", {0: [(b"k", b"v")]})
    assert [record.value for record in broker.records(topic, 0)] == [b"v"]


def test_admin_clients_do_their_work(broker: Broker) -> None:
    """confluent-kafka's admin client creates, describes and deletes topics, and deletes records."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic("desk", 2, 1, config={"retention.ms": "5000"})])["desk"].result(TIMEOUT)
    assert broker.topics["desk"] == 2
    confluent_writes(broker.bootstrap_servers, "desk", "none", {0: [(b"k", b"v")] * 10})
    resource = ConfigResource(ResourceType.TOPIC, "desk")
    described = admin.describe_configs([resource])[resource].result(TIMEOUT)
    assert described["retention.ms"].value == "5000"
    partition = TopicPartition("desk", 0, 4)
    assert admin.delete_records([partition])[partition].result(TIMEOUT).low_watermark == 4
    spec = {TopicPartition("desk", 0): OffsetSpec.earliest()}
    (found,) = admin.list_offsets(spec).values()
    assert found.result(TIMEOUT).offset == 4
    admin.delete_topics(["desk"])["desk"].result(TIMEOUT)
    assert "desk" not in broker.topics
