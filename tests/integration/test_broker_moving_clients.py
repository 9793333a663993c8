"""Clients that nobody here wrote, while leaders move and nodes stop, are killed, come and go."""

import asyncio
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from felice.broker import Broker

pytestmark = pytest.mark.filterwarnings(r"ignore:\w+_text is deprecated")  # kafka-python, when it is imported

PARTITIONS = 4
PATIENCE = 40.0
AT_ONCE = 20


class Progress:
    """What was acknowledged and what was read, partition by partition, from threads that end when told to."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.ending = False
        self.acknowledged: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self.read: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self.failures: list[BaseException] = []
        self._number = 0

    def next(self) -> tuple[int, bytes]:
        """Return a partition, and what to write to it."""
        self._number += 1
        return self._number % PARTITIONS, b"%d" % self._number

    def was_written(self, partition: int, value: bytes) -> None:
        """Note what a broker has acknowledged."""
        with self.changed:
            self.acknowledged[partition].append(value)
            self.changed.notify_all()

    def was_read(self, partition: int, value: bytes) -> None:
        """Note what a consumer was given."""
        with self.changed:
            self.read[partition].append(value)
            self.changed.notify_all()

    def await_more(self) -> None:
        """Wait until every partition has taken some more records, and they were read."""
        with self.changed:
            written = [len(values) + 5 for values in self.acknowledged]
            assert self.changed.wait_for(
                lambda: (
                    self.failures
                    or all(
                        min(len(values), len(read)) >= least
                        for values, read, least in zip(self.acknowledged, self.read, written, strict=True)
                    )
                ),
                PATIENCE,
            ), f"{[len(v) for v in self.acknowledged]} written, {[len(v) for v in self.read]} read"
            assert not self.failures

    def run(self, work: Callable[..., None], *arguments: Any) -> threading.Thread:
        """Start a thread."""

        def watched() -> None:
            try:
                work(*arguments)
            except BaseException as error:
                with self.changed:
                    self.failures.append(error)
                    self.changed.notify_all()

        thread = threading.Thread(target=watched)
        thread.start()
        return thread


# --- writers: idempotent, acks=all, without end ---


def confluent_writes(servers: str, progress: Progress) -> None:
    """Write with confluent-kafka."""
    from confluent_kafka import Producer

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            raise AssertionError(error)
        progress.was_written(message.partition(), message.value())

    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 1})
    while not progress.ending:
        partition, value = progress.next()
        producer.produce("letters", value, None, partition, on_delivery=delivered)
        while len(producer) > AT_ONCE and not progress.ending:
            producer.poll(0.05)
    assert producer.flush(PATIENCE) == 0


def aiokafka_writes(servers: str, progress: Progress) -> None:
    """Write with aiokafka."""
    from aiokafka import AIOKafkaProducer

    async def write() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=servers.split(","), enable_idempotence=True, retry_backoff_ms=20
        ) as producer:
            while not progress.ending:
                chosen = [progress.next() for _ in range(AT_ONCE)]
                sent = [await producer.send("letters", value, None, partition) for partition, value in chosen]
                for (partition, value), delivery in zip(chosen, sent, strict=True):
                    await delivery
                    progress.was_written(partition, value)

    asyncio.run(write())


def kafka_python_writes(servers: str, progress: Progress) -> None:
    """Write with kafka-python."""
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=servers.split(","), enable_idempotence=True, retry_backoff_ms=20, reconnect_backoff_ms=20
    )
    while not progress.ending:
        chosen = [progress.next() for _ in range(AT_ONCE)]
        sent = [producer.send("letters", value, partition=partition) for partition, value in chosen]
        for (partition, value), delivery in zip(chosen, sent, strict=True):
            delivery.get(PATIENCE)
            progress.was_written(partition, value)
    producer.close(PATIENCE)


# --- readers: of all partitions, from the start ---


def confluent_reads(servers: str, progress: Progress) -> None:
    """Read with confluent-kafka."""
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "unused", "enable.auto.commit": False, "reconnect.backoff.ms": 20}
    )
    consumer.assign([TopicPartition("letters", partition, 0) for partition in range(PARTITIONS)])
    passing = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)
    while not progress.ending:
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error() is None:
            progress.was_read(message.partition(), message.value())
        else:
            assert message.error().code() in passing, message.error()
    consumer.close()


def aiokafka_reads(servers: str, progress: Progress) -> None:
    """Read with aiokafka."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    async def read() -> None:
        async with AIOKafkaConsumer(
            bootstrap_servers=servers.split(","), auto_offset_reset="earliest", retry_backoff_ms=20
        ) as consumer:
            consumer.assign([TopicPartition("letters", partition) for partition in range(PARTITIONS)])
            while not progress.ending:
                for messages in (await consumer.getmany(timeout_ms=100)).values():
                    for message in messages:
                        progress.was_read(message.partition, message.value)

    asyncio.run(read())


def kafka_python_reads(servers: str, progress: Progress) -> None:
    """Read with kafka-python."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=servers.split(","),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        retry_backoff_ms=20,
        reconnect_backoff_ms=20,
    )
    consumer.assign([TopicPartition("letters", partition) for partition in range(PARTITIONS)])
    while not progress.ending:
        for messages in consumer.poll(100).values():
            for message in messages:
                progress.was_read(message.partition, message.value)
    consumer.close()


CLIENTS = {
    "confluent-kafka": (confluent_writes, confluent_reads),
    "aiokafka": (aiokafka_writes, aiokafka_reads),
    "kafka-python": (kafka_python_writes, kafka_python_reads),
}


@contextmanager
def at_work(client: str, servers: str) -> Iterator[Progress]:
    """Let a client write and read, until the end of the block."""
    progress = Progress()
    threads = [progress.run(work, servers, progress) for work in CLIENTS[client]]
    try:
        progress.await_more()
        yield progress
    finally:
        progress.ending = True
        for thread in threads:
            thread.join()


@pytest.fixture
def _leaky() -> Iterator[None]:
    """Close what kafka-python leaves open: the sockets of attempts to connect that were refused."""
    yield
    for found in gc.get_objects():
        if type(found) is socket.socket and found.fileno() >= 0 and _is_unbound(found):
            found.close()


def _is_unbound(found: socket.socket) -> bool:
    """Tell whether a socket was never connected nor bound to an address."""
    return found.family == socket.AF_INET and found.getsockname()[0] == "0.0.0.0"


@pytest.mark.usefixtures("_leaky")
@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_is_lost_or_doubled_while_nodes_and_leaders_change(client: str) -> None:
    """What was acknowledged stands in the log once, in order, and was read once; the clients find every change."""
    with Broker(topics={"letters": PARTITIONS}, nodes=3, configs={"min.insync.replicas": 2}) as broker:

        def all_to(node: int) -> None:
            for partition in range(PARTITIONS):
                broker.move_leader("letters", partition, node)

        with at_work(client, broker.bootstrap_servers) as progress:
            all_to(2)
            progress.await_more()
            broker.stop(2)
            progress.await_more()
            broker.start(2)
            broker.shrink_isr("letters", 0, 2)
            progress.await_more()
            broker.grow_isr("letters", 0, 2)
            all_to(3)
            progress.await_more()
            broker.kill(3)
            progress.await_more()
            broker.start(3)
            added = broker.add_node()
            all_to(added)
            progress.await_more()
            broker.remove_node(1)
            progress.await_more()
            for partition in range(PARTITIONS):
                broker.reassign("letters", partition, [2, 3])
            progress.await_more()
        assert not progress.failures
        for partition in range(PARTITIONS):
            kept = [record.value for record in broker.records("letters", partition)]
            assert kept == progress.acknowledged[partition]
            assert progress.read[partition] == kept[: len(progress.read[partition])]


def test_a_consumer_reads_from_the_replica_of_its_rack() -> None:
    """confluent-kafka with client.rack: all comes from the follower, and from the leader when that is gone."""
    from confluent_kafka import Consumer, Producer, TopicPartition

    with Broker(
        topics={"letters": 1},
        nodes=3,
        racks=["north", "south", "west"],
        configs={"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"},
    ) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "group.id": "unused",
                "enable.auto.commit": False,
                "client.rack": "west",
                "client.id": "western",
                "fetch.wait.max.ms": 50,
            }
        )
        consumer.assign([TopicPartition("letters", 0, 0)])

        def givers() -> list[int]:
            """Return the nodes that gave records, in turn; a question may have waited for them since long ago."""
            answers = [(seen.node, seen.response) for seen in broker.requests.of("Fetch") if seen.response is not None]
            return [
                node
                for node, response in answers
                for topic in response.responses
                for partition in topic.partitions
                if partition.records
            ]

        def through(values: list[bytes]) -> set[int]:
            """Write, read it all, and return the nodes that gave it."""
            before = len(givers())
            for value in values:
                producer.produce("letters", value)
            assert producer.flush(PATIENCE) == 0
            read = []
            while len(read) < len(values):
                message = consumer.poll(PATIENCE)
                assert message is not None
                if message.error() is None:
                    read.append(message.value())
            assert read == values
            return set(givers()[before:])

        assert through([b"a", b"b"]) == {3}
        assert through([b"c", b"d"]) == {3}
        broker.stop(3)
        assert through([b"e"]) == {1}
        consumer.close()


def test_a_group_and_a_transaction_follow_their_coordinator() -> None:
    """Commits of confluent-kafka go on while the coordinators move from node to node, and are there afterwards."""
    from confluent_kafka import Consumer, Producer, TopicPartition

    with Broker(topics={"letters": 1}, nodes=3) as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": "writer"})
        consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "group.id": "readers",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        consumer.subscribe(["letters"])
        producer.init_transactions(PATIENCE)
        read = []
        for turn in range(4):
            node = turn % 3 + 1
            broker.move_coordinator(node, transactional_id="writer")
            producer.begin_transaction()
            producer.produce("letters", b"%d" % turn)
            producer.commit_transaction(PATIENCE)
            if read:  # librdkafka waits for ever if the coordinator moves between its SyncGroup and OffsetFetch
                broker.move_coordinator(node, group="readers")
            while len(read) <= turn:
                message = consumer.poll(PATIENCE)
                assert message is not None
                if message.error() is None:
                    read.append(message.value())
                    consumer.commit(message, asynchronous=False)
        assert read == [b"%d" % turn for turn in range(4)]
        (found,) = consumer.committed([TopicPartition("letters", 0)], PATIENCE)
        assert found.offset == 2 * 4 - 1  # the last record; its transaction's marker is behind it
        consumer.close()
