"""How fast records are read, each value touched.

Against the null broker the log never ends: reading is warmed up, then metered for some seconds. A log of the embedded
broker or of Kafka is finite: it is read from its first batch to its last record, unless that takes too long.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

from brokers import embedded, filled, kafka, source
from measure import Benchmark, Meter, Setting

WARM = 0.3  # seconds
FETCH = 4_000_000  # bytes of an answer

benchmark = Benchmark(
    "consume",
    "Consuming",
    brokers={"null": source, "embedded": filled(embedded), "kafka": filled(kafka)},
)


class Window:
    """Decides where a measurement starts and ends, told how many records each step read."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.meter = setting, Meter()
        self.meter.start()
        self.warm = setting.records == 0
        self.read = self.before = 0

    def goes_on(self, records: int) -> bool:
        """Count records just read; tell whether to read more."""
        self.read += records
        if self.setting.records:
            if self.before == 0 and records:  # the connection stands: the clocks start behind the first batch
                self.before = self.read
                self.meter.start()
            # Whoever reads far ahead must also hand all of it out, or its CPU would count for fewer records.
            return self.read < self.setting.records and self.meter.running(4 * self.setting.seconds)
        if self.warm and not self.meter.running(WARM) and self.read:
            self.warm, self.before = False, self.read
            self.meter.start()
        return self.warm or self.meter.running(self.setting.seconds)

    def figures(self) -> dict[str, float]:
        """Give what was measured."""
        return self.meter.figures(self.read - self.before)


def measured(setting: Setting, counts: Iterator[int]) -> dict[str, float]:
    """Read on while the window is open; each step of `counts` is a number of records."""
    window = Window(setting)
    while window.goes_on(next(counts)):
        pass
    return window.figures()


async def measured_async(setting: Setting, counts: AsyncIterator[int]) -> dict[str, float]:
    """The same for an asynchronous reader."""
    window = Window(setting)
    while window.goes_on(await anext(counts)):
        pass
    return window.figures()


def confluent(setting: Setting, **options: object):
    """librdkafka with large queues, and without its pause of a second when they are full."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": setting.servers,
            "group.id": "benchmark",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "queued.min.messages": 1_000_000,
            "queued.max.messages.kbytes": 1_048_576,
            "fetch.message.max.bytes": FETCH,
            "fetch.queue.backoff.ms": 2,
            **options,
        }
    )
    consumer.assign([TopicPartition(setting.topic, p, OFFSET_BEGINNING) for p in range(setting.partitions)])
    return consumer


@benchmark.case("confluent consume(1000)", reference=True)
def confluent_consume(setting: Setting) -> dict[str, float]:
    """A thousand messages a call."""
    consumer = confluent(setting)

    def counts():
        while True:
            messages = consumer.consume(1000, 1)
            for message in messages:
                message.value()
            yield len(messages)

    return measured(setting, counts())


@benchmark.case("confluent poll")
def confluent_poll(setting: Setting) -> dict[str, float]:
    """One message a call; the clock is looked at every hundred."""
    consumer = confluent(setting)

    def counts():
        while True:
            read = 0
            for _ in range(100):
                message = consumer.poll(0.1)
                if message is None:
                    break
                message.value()
                read += 1
            yield read

    return measured(setting, counts())


def aiokafka(setting: Setting, make_counts) -> dict[str, float]:
    """aiokafka with its compiled record batches."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    async def run() -> dict[str, float]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=setting.servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=FETCH // setting.partitions,
        )
        await consumer.start()
        consumer.assign([TopicPartition(setting.topic, p) for p in range(setting.partitions)])
        await consumer.seek_to_beginning()
        try:
            return await measured_async(setting, make_counts(consumer))
        finally:
            await consumer.stop()

    return asyncio.run(run())


@benchmark.case("aiokafka getmany")
def aiokafka_getmany(setting: Setting) -> dict[str, float]:
    """Lists of messages by partition."""

    async def counts(consumer):
        while True:
            read = 0
            for messages in (await consumer.getmany(timeout_ms=1000, max_records=10_000)).values():
                for message in messages:
                    message.value  # noqa: B018
                read += len(messages)
            yield read

    return aiokafka(setting, counts)


@benchmark.case("aiokafka async for")
def aiokafka_iterate(setting: Setting) -> dict[str, float]:
    """One message a step; the clock is looked at every hundred."""

    async def counts(consumer):
        read = 0
        async for message in consumer:
            message.value  # noqa: B018
            read += 1
            if read == 100:
                yield read
                read = 0

    return aiokafka(setting, counts)


@benchmark.case("kafka-python poll")
def kafka_python_poll(setting: Setting) -> dict[str, float]:
    """Lists of messages by partition."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=setting.servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH // setting.partitions,
    )
    consumer.assign([TopicPartition(setting.topic, p) for p in range(setting.partitions)])
    consumer.seek_to_beginning()

    def counts():
        while True:
            read = 0
            for messages in consumer.poll(timeout_ms=1000, max_records=10_000).values():
                for message in messages:
                    message.value  # noqa: B018
                read += len(messages)
            yield read

    return measured(setting, counts())


def felice(setting: Setting, read) -> dict[str, float]:
    """felice with its defaults: answers of up to 4 MB, checksums verified."""
    from felice import Consumer

    with Consumer(setting.servers, setting.topic, start="earliest") as consumer:

        def counts():
            while True:
                yield read(consumer.poll(1))

        return measured(setting, counts())


def values(batch) -> int:
    """Take the values of a batch as one list."""
    return len(batch.values())


def messages(batch) -> int:
    """Take every message of a batch and read its value."""
    for message in batch:
        message.value  # noqa: B018
    return len(batch)


@benchmark.case("felice poll, values()")
def felice_values(setting: Setting) -> dict[str, float]:
    """A list of values a batch."""
    return felice(setting, values)


@benchmark.case("felice poll, messages")
def felice_messages(setting: Setting) -> dict[str, float]:
    """Every message of a batch, its value read."""
    return felice(setting, messages)


@benchmark.case("felice for message")
def felice_iterate(setting: Setting) -> dict[str, float]:
    """`for message in consumer`; the clock is looked at every hundred."""
    from felice import Consumer

    with Consumer(setting.servers, setting.topic, start="earliest") as consumer:

        def counts():
            read = 0
            for message in consumer:
                message.value  # noqa: B018
                read += 1
                if read == 100:
                    yield read
                    read = 0

        return measured(setting, counts())


def felice_async(setting: Setting, make_counts) -> dict[str, float]:
    """The same on the async face."""
    from felice import AsyncConsumer

    async def run() -> dict[str, float]:
        async with AsyncConsumer(setting.servers, setting.topic, start="earliest") as consumer:
            return await measured_async(setting, make_counts(consumer))

    return asyncio.run(run())


@benchmark.case("felice async poll, values()")
def felice_async_values(setting: Setting) -> dict[str, float]:
    """A list of values an await."""

    async def counts(consumer):
        while True:
            yield values(await consumer.poll(1))

    return felice_async(setting, counts)


@benchmark.case("felice async for message")
def felice_async_iterate(setting: Setting) -> dict[str, float]:
    """`async for message in consumer`; the clock is looked at every hundred."""

    async def counts(consumer):
        read = 0
        async for message in consumer:
            message.value  # noqa: B018
            read += 1
            if read == 100:
                yield read
                read = 0

    return felice_async(setting, counts)


if __name__ == "__main__":
    benchmark.main()
