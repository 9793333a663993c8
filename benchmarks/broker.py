"""The embedded broker beside Apache Kafka: records in and out, how soon it is ready, and what it costs while idle.

Both brokers are processes of their own, and the same client writes and reads; a broker's figure is how many records it
handles for one second of its CPU time, so that neither the client's speed nor the number of cores counts.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from measure import Benchmark, Metric, Setting

HERE = Path(__file__).resolve().parent
TOPIC = "letters"
BATCH = 100
TESTS = 500
MEMBERS = 3
TICKS = os.sysconf("SC_CLK_TCK")

benchmark = Benchmark(
    "broker",
    "The embedded broker (records in and out: for one second of its CPU time)",
    metrics=(
        Metric("in", "in, M/s", 1e-6, 2, "×", more_is_better=True),
        Metric("out", "out, M/s", 1e-6, 2, "×", more_is_better=True),
        Metric("ready", "ready ms", 1e3, 1, spread=False),
        Metric("process", "process ms", 1e3, 0, spread=False),
        Metric("join", "join ms", 1e3, 1, spread=False),
        Metric("tests", f"{TESTS} tests s", 1.0, 1, spread=False),
        Metric("memory", "idle MB", 1e-6, 2, spread=False),
        Metric("idle", "idle %", 100, 2, spread=False),
    ),
    rounds=3,
    seconds=4.0,
    quick_seconds=1.5,
    sizes=(100,),
)


class Process:
    """A broker in a process, and the CPU time that it has used."""

    def __init__(self, pid: int, servers: str) -> None:
        self.pid = pid
        self.servers = servers

    def cpu(self) -> float:
        """Return the CPU seconds of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def embedded() -> Iterator[Process]:
    """Run felice's broker as the command that it is."""
    command = [sys.executable, "-m", "felice.broker", "--port", "0", "--topic", f"{TOPIC}:4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdout is not None
        try:
            yield Process(broker.pid, broker.stdout.readline().split()[1])
        finally:
            broker.terminate()


@contextmanager
def kafka() -> Iterator[Process]:
    """Run one node of Apache Kafka, with the memory and the compiler that it has in earnest."""
    sys.path.insert(0, str(HERE.parent / "tests" / "kafka"))
    from cluster import KafkaCluster

    limits = {"log.retention.bytes": 10**9, "log.segment.bytes": 2**28, "group.initial.rebalance.delay.ms": 0}
    with KafkaCluster(1, limits, java=("java", "-Xms512m", "-Xmx1g")) as cluster:
        cluster.create_topic(TOPIC, partitions=4)
        yield Process(cluster.node(1).pid, cluster.bootstrap_servers)


def traffic(broker: Process, setting: Setting) -> dict[str, float]:
    """Write for a while, then read it all; once before, for a virtual machine that compiles what it runs often."""
    setting = replace(setting, servers=broker.servers, topic=TOPIC)
    figures = {}
    for seconds in (setting.seconds, setting.seconds):
        before = broker.cpu()
        written = write(setting, seconds)
        between = broker.cpu()
        read(setting, written)
        figures = {"in": written / (between - before), "out": written / (broker.cpu() - between)}
    return figures


def write(setting: Setting, seconds: float) -> int:
    """Send records for so long; return how many were delivered."""
    from felice import Producer

    value, count = setting.value, 0
    values = [value] * BATCH
    with Producer(setting.servers) as producer:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            producer.send_many(setting.topic, values)
            count += BATCH
    return count


def read(setting: Setting, count: int) -> None:
    """Read so many records from the end of what there is."""
    from felice import Consumer

    with Consumer(setting.servers, setting.topic, start="earliest") as consumer:
        while count > 0:
            count -= len(consumer.poll(timeout=10))


def until_ready() -> float:
    """Time from the call until the broker has taken a connection, in a process that has imported it."""
    import socket

    from felice.broker import Broker

    Broker().start().close()
    begin = time.perf_counter()
    with Broker(topics={TOPIC: 4}) as running:
        host, port = running.bootstrap_servers.rsplit(":", 1)
        socket.create_connection((host, int(port))).close()
        return time.perf_counter() - begin


def process_until_ready() -> float:
    """Time from starting the command until it says that it is ready."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times = []
    for _ in range(3):  # the first one writes the bytecode
        begin = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "felice.broker", "--port", "0"], stdout=subprocess.PIPE, env=environment
        ) as broker:
            assert broker.stdout is not None
            broker.stdout.readline()
            times.append(time.perf_counter() - begin)
            broker.terminate()
    return min(times[1:])


def joined(broker: Process) -> float:
    """Time from the start of the last of three consumers until each has its partitions, in a group that is new."""
    from confluent_kafka import Consumer

    settings = {"bootstrap.servers": broker.servers, "group.id": f"group-{time.time_ns()}", "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 10}  # fmt: skip
    consumers = [Consumer(settings) for _ in range(MEMBERS)]
    done = threading.Event()
    owned: dict[int, int] = {}
    finished = 0.0

    def consume(number: int) -> None:
        nonlocal finished

        def assigned(consumer: Consumer, partitions: list[object]) -> None:
            nonlocal finished
            owned[number] = len(partitions)
            if len(owned) == MEMBERS and sum(owned.values()) == 4:
                finished = time.perf_counter()
                done.set()

        consumers[number].subscribe([TOPIC], on_assign=assigned)
        while not done.is_set():
            consumers[number].poll(0.01)

    threads = [threading.Thread(target=consume, args=(number,)) for number in range(MEMBERS)]
    for thread in threads:
        begin = time.perf_counter()
        thread.start()
    if not done.wait(60):
        raise TimeoutError(f"after a minute the members have {owned}")
    for thread in threads:
        thread.join()
    for consumer in consumers:
        consumer.close()
    return finished - begin


MANY_TESTS = f"""
import pytest
from felice import Consumer, Producer

@pytest.mark.parametrize("number", range({TESTS}))
@pytest.mark.felice(topics={{"{TOPIC}": 1}})
def test_ten_records(number, felice_broker):
    with Producer(felice_broker.bootstrap_servers) as producer:
        for index in range(10):
            producer.send("{TOPIC}", b"%d" % index)
    seen = []
    with Consumer(felice_broker.bootstrap_servers, "{TOPIC}", start="earliest") as consumer:
        while len(seen) < 10:
            seen += consumer.poll(timeout=5).values()
    assert seen == [b"%d" % index for index in range(10)]
"""


def many_tests() -> float:
    """Time of a run of pytest on one core, in which every test has a broker of its own."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_many.py").write_text(MANY_TESTS)
        core = min(os.sched_getaffinity(0))
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder],
            check=True,
            cwd=folder,
            stdout=sys.stderr,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        return time.perf_counter() - begin


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def idle(seconds: float) -> dict[str, float]:
    """What a broker adds to a process that has had one before, in memory and CPU."""
    from felice.broker import Broker

    Broker().start().close()
    before = resident()
    with Broker(topics={TOPIC: 4}):
        memory = resident() - before
        cpu, begin = time.process_time(), time.perf_counter()
        time.sleep(seconds)
        share = (time.process_time() - cpu) / (time.perf_counter() - begin)
    return {"memory": float(memory), "idle": share}


def case(start: Callable[[], object]) -> Callable[[Setting], dict[str, float]]:
    """Make the case of one broker."""

    def run(setting: Setting) -> dict[str, float]:
        with start() as broker:  # type: ignore[attr-defined]
            figures = traffic(broker, setting) | {"join": joined(broker)}
        if start is embedded:
            figures |= {"ready": until_ready(), "process": process_until_ready(), "tests": many_tests()}
            figures |= idle(setting.seconds)
        return figures

    return run


benchmark.case("Apache Kafka", reference=True)(case(kafka))
benchmark.case("felice.broker")(case(embedded))

if __name__ == "__main__":
    benchmark.main()
