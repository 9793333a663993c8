"""The pytest plugin's portable tests on real Kafka."""

from pathlib import Path

from cluster import KafkaCluster
from confluent_kafka.admin import AdminClient

from pytest_runs import PORTABLE, passed, run_pytest


def test_the_same_tests_on_real_kafka(kafka: KafkaCluster, tmp_path: Path) -> None:
    """Marked tests run there, with topics that are gone afterwards; the others have the embedded broker."""
    done = run_pytest(tmp_path, PORTABLE.replace("REAL", "True"), "--felice-bootstrap", kafka.bootstrap_servers)
    assert passed(done, 2), done.stdout
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}).list_topics(timeout=10).topics
    assert not [name for name in topics if name.startswith(("letters-", "cards-")) and len(name.split("-")[1]) == 8]
