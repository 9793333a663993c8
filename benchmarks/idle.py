"""What a consumer costs that waits for records of an empty topic, as a share of one core."""

import asyncio
import time

from brokers import embedded, kafka
from measure import Benchmark, Metric, Setting

WARM = 1.0  # seconds until the connection and the metadata have settled

benchmark = Benchmark(
    "idle",
    "A waiting consumer",
    metrics=(Metric("share", "% of a core", 100, 3, "× by CPU"),),
    sizes=(0,),
    brokers={"embedded": embedded, "kafka": kafka},
    rounds=1,
    seconds=20.0,
    quick_seconds=5.0,
)


class Watch:
    """Looks at the CPU of this process while something waits."""

    def __init__(self, setting: Setting) -> None:
        self.seconds = setting.seconds
        self.begin = time.monotonic() + WARM
        self.cpu: float | None = None

    def left(self) -> float:
        """Give the seconds to wait on, first of the warm-up and then of the measurement; 0 when it is over."""
        now = time.monotonic()
        if self.cpu is None:
            if now < self.begin:
                return self.begin - now
            self.begin, self.cpu = now, time.process_time()
        return max(0.0, self.begin + self.seconds - now)

    def figures(self) -> dict[str, float]:
        """Give the share of a core."""
        assert self.cpu is not None
        return {"share": (time.process_time() - self.cpu) / (time.monotonic() - self.begin)}


@benchmark.case("confluent poll", reference=True)
def confluent(setting: Setting) -> dict[str, float]:
    """At its defaults, which here are its best."""
    from confluent_kafka import Consumer, TopicPartition

    settings = {"bootstrap.servers": setting.servers, "group.id": "benchmark", "enable.auto.commit": False}
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(setting.topic, p, 0) for p in range(setting.partitions)])
    watch = Watch(setting)
    while left := watch.left():
        assert consumer.poll(left) is None
    return watch.figures()


@benchmark.case("aiokafka getmany")
def aiokafka(setting: Setting) -> dict[str, float]:
    """At its defaults."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    async def run() -> dict[str, float]:
        async with AIOKafkaConsumer(bootstrap_servers=setting.servers, enable_auto_commit=False) as consumer:
            consumer.assign([TopicPartition(setting.topic, p) for p in range(setting.partitions)])
            watch = Watch(setting)
            while left := watch.left():
                assert not await consumer.getmany(timeout_ms=int(left * 1000) + 1)
            return watch.figures()

    return asyncio.run(run())


@benchmark.case("kafka-python poll")
def kafka_python(setting: Setting) -> dict[str, float]:
    """At its defaults."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=setting.servers, enable_auto_commit=False)
    consumer.assign([TopicPartition(setting.topic, p) for p in range(setting.partitions)])
    watch = Watch(setting)
    while left := watch.left():
        assert not consumer.poll(timeout_ms=int(left * 1000) + 1)
    return watch.figures()


@benchmark.case("felice poll")
def felice(setting: Setting) -> dict[str, float]:
    """At its defaults."""
    from felice import Consumer

    with Consumer(setting.servers, setting.topic, start="earliest") as consumer:
        watch = Watch(setting)
        while left := watch.left():
            assert not consumer.poll(left)
        return watch.figures()


@benchmark.case("felice async poll")
def felice_async(setting: Setting) -> dict[str, float]:
    """The same on the async face."""
    from felice import AsyncConsumer

    async def run() -> dict[str, float]:
        async with AsyncConsumer(setting.servers, setting.topic, start="earliest") as consumer:
            watch = Watch(setting)
            while left := watch.left():
                assert not await consumer.poll(left)
            return watch.figures()

    return asyncio.run(run())


if __name__ == "__main__":
    benchmark.main()
