"""How long it takes until something can be used: imports beyond the bare interpreter, and a broker that answers."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from measure import Benchmark, Metric, Setting

benchmark = Benchmark(
    "start",
    "Starting",
    metrics=(Metric("seconds", "ms", 1e3, 1),),
    sizes=(0,),
    rounds=15,
)


def wall(statement: str) -> float:
    """Time a new interpreter that runs this statement and ends."""
    # An installed package has its bytecode beside it, whatever this shell says of writing it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    return time.perf_counter() - begin


def importing(statement: str) -> Callable[[Setting], dict[str, float]]:
    """Make a case: the time of an import beyond that of an interpreter that imports nothing."""

    def case(setting: Setting) -> dict[str, float]:
        wall(statement)  # once for the bytecode and the file cache
        return {"seconds": wall(statement) - wall("pass")}

    return case


benchmark.case("confluent: import Producer, Consumer")(importing("from confluent_kafka import Producer, Consumer"))
benchmark.case("aiokafka: the same")(importing("from aiokafka import AIOKafkaProducer, AIOKafkaConsumer"))
benchmark.case("kafka-python: the same")(importing("from kafka import KafkaProducer, KafkaConsumer"))
benchmark.case("felice: the same")(importing("from felice import Producer, Consumer"))
benchmark.case("felice: import felice")(importing("import felice"))


@benchmark.case("felice: an embedded broker that answers")
def broker(setting: Setting) -> dict[str, float]:
    """From the call until the broker has taken a connection, in a process that has imported it."""
    import socket

    from felice.broker import Broker

    begin = time.perf_counter()
    with Broker(topics={"letters": 4}) as running:
        host, port = running.bootstrap_servers.rsplit(":", 1)
        socket.create_connection((host, int(port))).close()
        return {"seconds": time.perf_counter() - begin}


@benchmark.case("confluent: its mock broker")
def mock(setting: Setting) -> dict[str, float]:
    """The same of librdkafka's mock broker."""
    import socket

    from confluent_kafka import Producer

    begin = time.perf_counter()
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    (found,) = producer.list_topics().brokers.values()
    socket.create_connection((found.host, found.port)).close()
    return {"seconds": time.perf_counter() - begin}


if __name__ == "__main__":
    benchmark.main()
