"""How long one record takes: sent, and its acknowledgement awaited, before the next. Nobody lingers."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from brokers import embedded, kafka, mock, sink
from measure import Benchmark, Metric, Setting

WARM = 100

benchmark = Benchmark(
    "latency",
    "One record sent and awaited",
    metrics=(
        Metric("p50", "p50 ms", 1e3, 3, "× at p50"),
        Metric("p99", "p99 ms", 1e3, 3),
        Metric("cpu", "CPU µs", 1e6, 0, "× by CPU"),
    ),
    sizes=(100,),
    brokers={"embedded": embedded, "null": mock, "sink": sink, "kafka": kafka},
)


class Record:
    """The times of all turns, and the CPU they took."""

    def __init__(self, seconds: float) -> None:
        self.times: list[float] = []
        self.seconds = seconds

    def goes_on(self) -> bool:
        """Start the clocks after the warm-up; tell whether another turn is wanted."""
        now = time.perf_counter()
        if len(self.times) == WARM:
            self.begin, self.cpu = now, time.process_time()
        self.times.append(now)
        return len(self.times) <= WARM or now - self.begin < self.seconds

    def figures(self) -> dict[str, float]:
        """Give the percentiles of a turn, and its CPU, all in seconds."""
        cpu = time.process_time() - self.cpu
        turns = [after - before for before, after in zip(self.times[WARM:], self.times[WARM + 1 :], strict=False)]
        cuts = statistics.quantiles(turns, n=100)
        return {"p50": cuts[49], "p99": cuts[98], "cpu": cpu / len(turns)}


def measured(setting: Setting, turn: Callable[[], object]) -> dict[str, float]:
    """Take turns until the time is over."""
    record = Record(setting.seconds)
    while record.goes_on():
        turn()
    return record.figures()


async def measured_async(setting: Setting, turn: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """The same with turns to await."""
    record = Record(setting.seconds)
    while record.goes_on():
        await turn()
    return record.figures()


@benchmark.case("aiokafka send_and_wait", reference=True)
def aiokafka(setting: Setting) -> dict[str, float]:
    """The event loop's own sender."""
    from aiokafka import AIOKafkaProducer

    async def run() -> dict[str, float]:
        topic, value = setting.topic, setting.value
        async with AIOKafkaProducer(bootstrap_servers=setting.servers, acks="all", linger_ms=0) as producer:
            return await measured_async(setting, lambda: producer.send_and_wait(topic, value))

    return asyncio.run(run())


@benchmark.case("confluent produce, flush")
def confluent(setting: Setting) -> dict[str, float]:
    """`flush` returns as soon as the one record is acknowledged."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": setting.servers, "acks": "all", "linger.ms": 0})
    topic, value = setting.topic, setting.value

    def turn():
        producer.produce(topic, value)
        producer.flush()

    return measured(setting, turn)


@benchmark.case("kafka-python send, get")
def kafka_python(setting: Setting) -> dict[str, float]:
    """Its future awaited."""
    from kafka import KafkaProducer

    settings = {"acks": "all", "enable_idempotence": False, "linger_ms": 0}
    # The version is not asked for: what the mock broker says of it is malformed.
    producer = KafkaProducer(bootstrap_servers=setting.servers, api_version=(2, 1), **settings)
    topic, value = setting.topic, setting.value
    return measured(setting, lambda: producer.send(topic, value).get(10))


@benchmark.case("felice send_and_wait")
def felice(setting: Setting) -> dict[str, float]:
    """With its defaults: idempotent, and a linger that a lone record does not pay."""
    from felice import Producer

    topic, value = setting.topic, setting.value
    with Producer(setting.servers) as producer:
        return measured(setting, lambda: producer.send_and_wait(topic, value))


@benchmark.case("felice async send_and_wait")
def felice_async(setting: Setting) -> dict[str, float]:
    """The same on the async face."""
    from felice import AsyncProducer

    async def run() -> dict[str, float]:
        topic, value = setting.topic, setting.value
        async with AsyncProducer(setting.servers) as producer:
            return await measured_async(setting, lambda: producer.send_and_wait(topic, value))

    return asyncio.run(run())


if __name__ == "__main__":
    benchmark.main()
