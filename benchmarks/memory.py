"""How much memory ten million records of 100 bytes need on their way out, and on their way in.

The broker takes and gives faster than the client; the peak is that of the whole process, interpreter included, and
the budget what the client was told it may buffer.
"""

from pathlib import Path

from brokers import source
from measure import Benchmark, Metric, Setting

MB = 1024 * 1024
BUDGET = 64 * MB

benchmark = Benchmark(
    "memory",
    "Ten million records (two million with --quick)",
    metrics=(Metric("peak", "peak MB", 1 / MB, 1), Metric("beyond", "beyond the budget", 1 / MB, 1)),
    sizes=(100,),
    brokers={"null": source},
    rounds=3,
)


def records(setting: Setting) -> int:
    """Tell how many records to move."""
    return 2_000_000 if setting.quick else 10_000_000


def figures() -> dict[str, float]:
    """Give the most memory this process ever had resident, in bytes."""
    # Not ru_maxrss: that counts what the parent had when it forked.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) * 1024
    return {"peak": peak, "beyond": peak - BUDGET}


@benchmark.case("confluent produce")
def confluent_produce(setting: Setting) -> dict[str, float]:
    """Its queue bounded to the same budget; without callbacks."""
    from confluent_kafka import Producer

    settings = {"bootstrap.servers": setting.servers, "acks": "all", "queue.buffering.max.kbytes": BUDGET // 1024}
    producer = Producer(settings | {"queue.buffering.max.messages": 10_000_000})
    topic, value, left = setting.topic, setting.value, records(setting)
    while left:
        try:
            producer.produce(topic, value)
            left -= 1
        except BufferError:
            producer.poll(0.05)
    assert producer.flush(60) == 0
    return figures()


@benchmark.case("felice send")
def felice_send(setting: Setting) -> dict[str, float]:
    """One call a record, the handles dropped."""
    from felice import Producer

    with Producer(setting.servers, buffer_bytes=BUDGET) as producer:
        send, topic, value = producer.send, setting.topic, setting.value
        for _ in range(records(setting)):
            send(topic, value)
    return figures()


@benchmark.case("felice send_many")
def felice_send_many(setting: Setting) -> dict[str, float]:
    """A thousand records a call."""
    from felice import Producer

    values = [setting.value] * 1000
    with Producer(setting.servers, buffer_bytes=BUDGET) as producer:
        for _ in range(records(setting) // 1000):
            producer.send_many(setting.topic, values)
    return figures()


@benchmark.case("confluent consume")
def confluent_consume(setting: Setting) -> dict[str, float]:
    """Its queue bounded to the same budget, shared out among the partitions."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    settings = {"bootstrap.servers": setting.servers, "group.id": "benchmark", "enable.auto.commit": False}
    limit = BUDGET // 1024 // setting.partitions
    consumer = Consumer(settings | {"queued.max.messages.kbytes": limit, "fetch.queue.backoff.ms": 2})
    consumer.assign([TopicPartition(setting.topic, p, OFFSET_BEGINNING) for p in range(setting.partitions)])
    read = 0
    while read < records(setting):
        read += len(consumer.consume(1000, 1))
    return figures()


@benchmark.case("felice poll")
def felice_poll(setting: Setting) -> dict[str, float]:
    """Every message of every batch made."""
    from felice import Consumer

    read = 0
    with Consumer(setting.servers, setting.topic, start="earliest", buffer_bytes=BUDGET) as consumer:
        while read < records(setting):
            for _ in consumer.poll(1):
                read += 1
    return figures()


if __name__ == "__main__":
    benchmark.main()
