"""Other people's transactional producers and consumers behind one face, so that each test is asked of all of them."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

__all__ = ["CLIENTS", "Client", "open_client"]

TIMEOUT = 20.0

T = TypeVar("T")


class Client(Protocol):
    """A transactional producer. What goes wrong raises the client's own errors."""

    def begin(self) -> None:
        """Begin a transaction."""
        ...

    def send(self, topic: str, value: bytes, partition: int = 0) -> None:
        """Write a record and wait until the broker has it."""
        ...

    def send_offset(self, topic: str, offset: int, group: str) -> None:
        """Commit an offset of partition 0 in the transaction."""
        ...

    def commit(self) -> None:
        """Commit."""
        ...

    def abort(self) -> None:
        """Abort."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Confluent:
    """confluent-kafka's."""

    def __init__(self, servers: str, transactional_id: str, timeout: float) -> None:
        from confluent_kafka import Producer

        self._servers = servers
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": int(timeout * 1000),
            }
        )
        self._producer.init_transactions(TIMEOUT)

    def begin(self) -> None:
        """Begin a transaction."""
        self._producer.begin_transaction()

    def send(self, topic: str, value: bytes, partition: int = 0) -> None:
        """Write a record and wait until the broker has it."""
        self._producer.produce(topic, value, partition=partition)
        assert self._producer.flush(TIMEOUT) == 0

    def send_offset(self, topic: str, offset: int, group: str) -> None:
        """Commit an offset of partition 0 in the transaction."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self._servers, "group.id": group})
        try:
            self._producer.send_offsets_to_transaction(
                [TopicPartition(topic, 0, offset)], consumer.consumer_group_metadata(), TIMEOUT
            )
        finally:
            consumer.close()

    def commit(self) -> None:
        """Commit."""
        self._producer.commit_transaction(TIMEOUT)

    def abort(self) -> None:
        """Abort."""
        self._producer.abort_transaction(TIMEOUT)

    def close(self) -> None:
        """Let go of everything."""
        from confluent_kafka import KafkaException

        self._producer.purge()
        with suppress(KafkaException):  # one that was fenced says so again
            self._producer.flush(0)


class KafkaPython:
    """kafka-python's."""

    def __init__(self, servers: str, transactional_id: str, timeout: float) -> None:
        from kafka import KafkaProducer

        self._producer = KafkaProducer(
            bootstrap_servers=servers, transactional_id=transactional_id, transaction_timeout_ms=int(timeout * 1000)
        )
        self._producer.init_transactions()

    def begin(self) -> None:
        """Begin a transaction."""
        self._producer.begin_transaction()

    def send(self, topic: str, value: bytes, partition: int = 0) -> None:
        """Write a record and wait until the broker has it."""
        self._producer.send(topic, value, partition=partition).get(TIMEOUT)

    def send_offset(self, topic: str, offset: int, group: str) -> None:
        """Commit an offset of partition 0 in the transaction."""
        from kafka.structs import OffsetAndMetadata

        from kafka import TopicPartition

        self._producer.send_offsets_to_transaction({TopicPartition(topic, 0): OffsetAndMetadata(offset, "", -1)}, group)

    def commit(self) -> None:
        """Commit."""
        self._producer.commit_transaction()

    def abort(self) -> None:
        """Abort."""
        self._producer.abort_transaction()

    def close(self) -> None:
        """Let go of everything."""
        self._producer.close(timeout=1)


class Aio:
    """aiokafka's, on a loop in a thread of its own."""

    def __init__(self, servers: str, transactional_id: str, timeout: float) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._producer = self._run(self._open(servers, transactional_id, timeout))

    def begin(self) -> None:
        """Begin a transaction."""
        self._run(self._producer.begin_transaction())

    def send(self, topic: str, value: bytes, partition: int = 0) -> None:
        """Write a record and wait until the broker has it."""
        self._run(self._producer.send_and_wait(topic, value, partition=partition))

    def send_offset(self, topic: str, offset: int, group: str) -> None:
        """Commit an offset of partition 0 in the transaction."""
        from aiokafka import TopicPartition

        self._run(self._producer.send_offsets_to_transaction({TopicPartition(topic, 0): offset}, group))

    def commit(self) -> None:
        """Commit."""
        self._run(self._producer.commit_transaction())

    def abort(self) -> None:
        """Abort."""
        self._run(self._producer.abort_transaction())

    def close(self) -> None:
        """Let go of everything."""
        self._run(self._producer.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()

    @staticmethod
    async def _open(servers: str, transactional_id: str, timeout: float) -> Any:
        from aiokafka import AIOKafkaProducer

        producer = AIOKafkaProducer(
            bootstrap_servers=servers,
            transactional_id=transactional_id,
            transaction_timeout_ms=int(timeout * 1000),
            request_timeout_ms=int(TIMEOUT * 1000),
        )
        await producer.start()
        return producer

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT)


CLIENTS = {"confluent-kafka": Confluent, "kafka-python": KafkaPython, "aiokafka": Aio}


@contextmanager
def open_client(name: str, servers: str, transactional_id: str, timeout: float = 60.0) -> Iterator[Client]:
    """Open one of the clients, and close it at the end."""
    client: Client = CLIENTS[name](servers, transactional_id, timeout)
    try:
        yield client
    finally:
        client.close()
