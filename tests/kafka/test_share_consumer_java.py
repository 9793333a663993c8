"""Java's share consumer, with real Kafka and with the embedded broker."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster import KafkaCluster
from questions import ALIKE
from questions.share_members import Crew

from asking import Asker, batch, new_run
from felice.broker import Broker

JUDGE = Path(__file__).with_name("JudgeShares.java")
BATCHES = (4, 4, 4)


def told(libraries: Path, servers: str, mode: str) -> str:
    """Return what became of each record of a new topic in a new group."""
    with Asker(servers, new_run()) as asker:
        topic = asker.topic()
        group = Crew(asker, share_auto_offset_reset="earliest").id
        for count in BATCHES:
            asker.produce(topic, batch(*[b"x"] * count))
    judge = subprocess.run(
        ["java", "-Xmx128m", "-cp", f"{libraries}/*", str(JUDGE), servers, topic, group, mode, str(sum(BATCHES))],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert judge.returncode == 0, judge.stderr[-2000:]
    return judge.stdout


@pytest.mark.parametrize("mode", ["batch_optimized", "record_limit"])
def test_java_gets_the_same_of_both(kafka_libs: Path, kafka: KafkaCluster, mode: str) -> None:
    """What it releases it gets again, what it rejects it does not, and what it renews it may accept later."""
    with Broker(auto_create=False, configs=ALIKE) as broker, ThreadPoolExecutor() as pool:
        servers = kafka.bootstrap_servers, broker.bootstrap_servers
        expected, answer = pool.map(lambda each: told(kafka_libs, each, mode), servers)
    assert expected.count(":") == sum(BATCHES) + 1, expected
    assert answer == expected
