"""How fast records are sent: from the first call until the last is acknowledged.

Everybody waits for all replicas (acks=all), builds batches of up to a megabyte, and lingers 50 ms; felice is
idempotent besides, as it is by default, and the others are not, as they are fastest.
"""

import asyncio
import itertools
from collections.abc import Callable

from brokers import embedded, kafka, mock, sink
from measure import Benchmark, Meter, Setting

BATCH = 1_000_000
LINGER = 0.05
CHUNK = 1000  # records between two looks at the clock
WARM = 5 * CHUNK

benchmark = Benchmark(
    "produce",
    "Producing",
    brokers={"null": mock, "sink": sink, "embedded": embedded, "kafka": kafka},
    fresh=("embedded",),
)


def measured(setting: Setting, chunk: Callable[[], object], flush: Callable[[], object]) -> dict[str, float]:
    """Warm up, then send chunk after chunk for the seconds set; the wait for the last acknowledgement counts."""
    for _ in range(WARM // CHUNK):
        chunk()
    flush()
    meter, sent = Meter(), 0
    meter.start()
    while meter.running(setting.seconds):
        chunk()
        sent += CHUNK
    flush()
    return meter.figures(sent)


def confluent(setting: Setting, send: Callable[..., None]) -> dict[str, float]:
    """librdkafka with queues large enough that nothing waits for room."""
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": setting.servers,
            "acks": "all",
            "linger.ms": LINGER * 1000,
            "batch.size": BATCH,
            "batch.num.messages": 1_000_000,
            "message.max.bytes": 2 * BATCH,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
        }
    )

    def chunk() -> None:
        send(producer)

    def flush() -> None:
        if producer.flush(60):
            raise TimeoutError("not flushed within a minute")

    return measured(setting, chunk, flush)


@benchmark.case("confluent produce", reference=True)
def confluent_produce(setting: Setting) -> dict[str, float]:
    """No delivery callback: nothing says what became of a record."""
    topic, value = setting.topic, setting.value

    def send(producer):
        produce = producer.produce
        for _ in range(CHUNK):
            try:
                produce(topic, value)
            except BufferError:
                producer.poll(0.05)

    return confluent(setting, send)


@benchmark.case("confluent produce, callback")
def confluent_callback(setting: Setting) -> dict[str, float]:
    """With a delivery callback, so that each record's outcome is known."""
    topic, value = setting.topic, setting.value

    def delivered(error, message):
        if error:
            raise RuntimeError(error)

    def send(producer):
        produce = producer.produce
        for _ in range(CHUNK):
            try:
                produce(topic, value, on_delivery=delivered)
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)

    return confluent(setting, send)


@benchmark.case("confluent produce_batch")
def confluent_batch(setting: Setting) -> dict[str, float]:
    """A thousand records a call."""
    topic, value = setting.topic, setting.value

    def send(producer):
        batch = [{"value": value} for _ in range(CHUNK)]
        while producer.produce_batch(topic, batch) < CHUNK:  # marks those it could not queue
            producer.poll(0.05)
            batch = [record for record in batch if "_error" in record]
            for record in batch:
                del record["_error"]
            if not batch:
                break

    return confluent(setting, send)


def aiokafka(setting: Setting, make_chunk: Callable[..., Callable]) -> dict[str, float]:
    """aiokafka with its compiled record batches."""
    from aiokafka import AIOKafkaProducer

    async def run() -> dict[str, float]:
        producer = AIOKafkaProducer(
            bootstrap_servers=setting.servers,
            acks="all",
            linger_ms=LINGER * 1000,
            max_batch_size=BATCH,
            max_request_size=2 * BATCH,
        )
        await producer.start()
        chunk = make_chunk(producer)
        try:
            for _ in range(WARM // CHUNK):
                await chunk()
            await producer.flush()
            meter, sent = Meter(), 0
            meter.start()
            while meter.running(setting.seconds):
                sent += await chunk()
            await producer.flush()
            return meter.figures(sent)
        finally:
            await producer.stop()

    return asyncio.run(run())


@benchmark.case("aiokafka send")
def aiokafka_send(setting: Setting) -> dict[str, float]:
    """One call a record; its future is not awaited."""
    topic, value = setting.topic, setting.value

    def make_chunk(producer):
        async def chunk():
            for _ in range(CHUNK):
                await producer.send(topic, value)
            return CHUNK

        return chunk

    return aiokafka(setting, make_chunk)


@benchmark.case("aiokafka send_batch")
def aiokafka_batch(setting: Setting) -> dict[str, float]:
    """Batches filled by hand: the caller picks the partition and gets one future a batch."""
    topic, value = setting.topic, setting.value
    partitions = itertools.cycle(range(setting.partitions))

    def make_chunk(producer):
        async def chunk():
            batch = producer.create_batch()
            append = batch.append
            while append(key=None, value=value, timestamp=None):
                pass
            await producer.send_batch(batch, topic, partition=next(partitions))
            return batch.record_count()

        return chunk

    return aiokafka(setting, make_chunk)


@benchmark.case("kafka-python send")
def kafka_python_send(setting: Setting) -> dict[str, float]:
    """One call a record; its future is not awaited."""
    from kafka import KafkaProducer

    topic, value = setting.topic, setting.value
    producer = KafkaProducer(
        bootstrap_servers=setting.servers,
        api_version=(2, 1),  # not asked for: what the mock broker says of its versions is malformed
        acks="all",
        enable_idempotence=False,
        linger_ms=int(LINGER * 1000),
        batch_size=BATCH,
        max_request_size=2 * BATCH,
    )

    def chunk():
        for _ in range(CHUNK):
            producer.send(topic, value)

    return measured(setting, chunk, producer.flush)


def felice(setting: Setting, send: Callable[..., object]) -> dict[str, float]:
    """felice with its defaults, but for the linger and the size of a batch that all share."""
    from felice import Producer

    with Producer(setting.servers, linger=LINGER, batch_bytes=BATCH) as producer:
        return measured(setting, lambda: send(producer), lambda: producer.flush(60))


@benchmark.case("felice send")
def felice_send(setting: Setting) -> dict[str, float]:
    """One call a record; the delivery handle is dropped."""
    topic, value = setting.topic, setting.value

    def chunk(producer):
        send = producer.send
        for _ in range(CHUNK):
            send(topic, value)

    return felice(setting, chunk)


@benchmark.case("felice send, keyed")
def felice_keyed(setting: Setting) -> dict[str, float]:
    """One call a record, the partition chosen by the key's hash."""
    topic, value, keys = setting.topic, setting.value, [b"%08d" % i for i in range(CHUNK)]

    def chunk(producer):
        send = producer.send
        for key in keys:
            send(topic, value, key=key)

    return felice(setting, chunk)


@benchmark.case("felice send, two headers")
def felice_headers(setting: Setting) -> dict[str, float]:
    """One call a record with two headers."""
    topic, value, headers = setting.topic, setting.value, [("city", b"Prag"), ("trace", b"0123456789abcdef")]

    def chunk(producer):
        send = producer.send
        for _ in range(CHUNK):
            send(topic, value, headers=headers)

    return felice(setting, chunk)


@benchmark.case("felice send_many")
def felice_many(setting: Setting) -> dict[str, float]:
    """A thousand records a call, one handle for all."""
    topic, values = setting.topic, [setting.value] * CHUNK
    return felice(setting, lambda producer: producer.send_many(topic, values))


def felice_async(setting: Setting, make_chunk: Callable[..., Callable]) -> dict[str, float]:
    """The same on the async face."""
    from felice import AsyncProducer

    async def run() -> dict[str, float]:
        async with AsyncProducer(setting.servers, linger=LINGER, batch_bytes=BATCH) as producer:
            chunk = make_chunk(producer)
            for _ in range(WARM // CHUNK):
                await chunk()
            await producer.flush(60)
            meter, sent = Meter(), 0
            meter.start()
            while meter.running(setting.seconds):
                await chunk()
                sent += CHUNK
            await producer.flush(60)
            return meter.figures(sent)

    return asyncio.run(run())


@benchmark.case("felice async send")
def felice_async_send(setting: Setting) -> dict[str, float]:
    """`await producer.send(...)`, which waits for room; the delivery is not awaited."""
    topic, value = setting.topic, setting.value

    def make_chunk(producer):
        async def chunk():
            send = producer.send
            for _ in range(CHUNK):
                await send(topic, value)

        return chunk

    return felice_async(setting, make_chunk)


@benchmark.case("felice async send_many")
def felice_async_many(setting: Setting) -> dict[str, float]:
    """A thousand records an await."""
    topic, values = setting.topic, [setting.value] * CHUNK
    return felice_async(setting, lambda producer: lambda: producer.send_many(topic, values))


if __name__ == "__main__":
    benchmark.main()
