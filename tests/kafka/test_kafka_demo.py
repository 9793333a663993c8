"""The demo runs on a cluster."""

import subprocess
import sys
from pathlib import Path

from cluster import KafkaCluster
from confluent_kafka.admin import AdminClient

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


def test_the_demo_runs_on_apache_kafka_and_cleans_up(kafka: KafkaCluster) -> None:
    """Every record comes back from Kafka as it was sent, and the topic made for the run is deleted."""
    command = [sys.executable, str(DEMO), "--kafka", kafka.bootstrap_servers, "--limit", "20000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 20,000 records came back as they were sent" in done.stdout
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}).list_topics(timeout=10).topics
    assert not [name for name in topics if name.startswith("felice-demo")]
