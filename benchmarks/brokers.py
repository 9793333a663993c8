"""What the clients are measured against: a broker that does nothing, felice's own, or real Apache Kafka.

Each function takes a setting and gives it back with the address and topic filled in; the broker runs in a process
of its own while the context lasts.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from measure import Broker, Setting

ROOT = Path(__file__).resolve().parents[1]
TOPIC = "letters"
BATCH_BYTES = 256 * 1024  # of a prepared batch: between what a busy and what a patient producer makes
LOG_BYTES, QUICK_LOG_BYTES = 400_000_000, 200_000_000  # of a log that is filled before it is read
BROKER_JAVA = ("java", "-Xms512m", "-Xmx1g")

MOCK = """
import sys
from confluent_kafka import Producer
mock = Producer({"test.mock.num.brokers": 1, "log_level": 3})
(broker,) = mock.list_topics().brokers.values()
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
"""
EMBEDDED = """
import sys
from felice.broker import Broker
with Broker(topics={sys.argv[1]: int(sys.argv[2])}) as broker:
    print(broker.bootstrap_servers, flush=True)
    sys.stdin.read()
"""


@contextmanager
def process(*command: str) -> Iterator[str]:
    """Run a broker that prints its address and ends with its standard input; give the address."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as broker:
        assert broker.stdin is not None
        assert broker.stdout is not None
        try:
            yield broker.stdout.readline().strip()
        finally:
            broker.stdin.close()


@contextmanager
def mock(setting: Setting) -> Iterator[Setting]:
    """librdkafka's mock broker, which keeps the last few megabytes of each of its four partitions."""
    with process(sys.executable, "-c", MOCK) as servers:
        yield replace(setting, servers=servers, topic=TOPIC)


def compiled() -> Path:
    """Compile `nullbroker.c`, unless that is done."""
    source = Path(__file__).with_name("nullbroker.c")
    program = ROOT / ".cache" / "benchmarks" / "nullbroker"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-O2", "-pthread", str(source), "-o", str(program)], check=True)
    return program


@contextmanager
def sink(setting: Setting) -> Iterator[Setting]:
    """The compiled null broker, acknowledging whatever comes."""
    with process(str(compiled()), str(setting.partitions)) as servers:
        yield replace(setting, servers=servers, topic=TOPIC)


@contextmanager
def source(setting: Setting) -> Iterator[Setting]:
    """The compiled null broker, serving one prepared batch over and over; aiokafka builds it."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=BATCH_BYTES,
    )  # fmt: skip
    count = 0
    while builder.append(count, 1_700_000_000_000 + count, None, setting.value, []):
        count += 1
    with tempfile.NamedTemporaryFile() as file:
        file.write(builder.build())
        file.flush()
        with process(str(compiled()), str(setting.partitions), file.name, str(count)) as servers:
            yield replace(setting, servers=servers, topic=TOPIC)


@contextmanager
def embedded(setting: Setting) -> Iterator[Setting]:
    """felice's own broker."""
    with process(sys.executable, "-c", EMBEDDED, TOPIC, str(setting.partitions)) as servers:
        yield replace(setting, servers=servers, topic=TOPIC)


@contextmanager
def kafka(setting: Setting) -> Iterator[Setting]:
    """Apache Kafka, started here, or the cluster named by the variable KAFKA, in a topic that is deleted afterwards."""
    if servers := os.environ.get("KAFKA"):
        with _topic(servers, setting) as topic:
            yield replace(setting, servers=servers, topic=topic)
    else:
        sys.path.insert(0, str(ROOT / "tests" / "kafka"))
        from cluster import KafkaCluster

        # Old segments go soon, so that rounds of producing do not fill the disk.
        limits = {"log.retention.bytes": 10**9, "log.segment.bytes": 2**28, "log.retention.check.interval.ms": 5000}
        with KafkaCluster(1, limits, java=BROKER_JAVA) as cluster:
            topic = cluster.create_topic(TOPIC, partitions=setting.partitions)
            yield replace(setting, servers=cluster.bootstrap_servers, topic=topic)


@contextmanager
def _topic(servers: str, setting: Setting) -> Iterator[str]:
    from confluent_kafka.admin import NewTopic

    name = f"felice-bench-{os.getpid()}-{setting.size}"
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, setting.partitions)])[name].result(30)
    try:
        yield name
    finally:
        admin.delete_topics([name])[name].result(30)


def filled(broker: Broker) -> Broker:
    """Make a broker whose topic holds a finite log, written before anything is measured."""

    @contextmanager
    def start(setting: Setting) -> Iterator[Setting]:
        with broker(setting) as running:
            yield replace(running, records=fill(running))

    return start


def fill(setting: Setting) -> int:
    """Write a log to the topic with librdkafka; give its number of records."""
    count = (QUICK_LOG_BYTES if setting.quick else LOG_BYTES) // (setting.size + 20)
    count -= count % (100 * setting.partitions)  # whole steps of a hundred, for those who count so
    producer = Producer(
        {
            "bootstrap.servers": setting.servers,
            "log_level": 3,
            "linger.ms": 50,
            "batch.size": BATCH_BYTES,
            "queue.buffering.max.messages": count,
            "queue.buffering.max.kbytes": 2**21,
        }
    )
    for i in range(count):
        producer.produce(setting.topic, setting.value, partition=i % setting.partitions)
    if producer.flush(120):
        raise TimeoutError("the log could not be filled within two minutes")
    return count
