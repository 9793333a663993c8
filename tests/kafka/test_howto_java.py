"""The how-to's example for Kafka's Java client, on the embedded broker."""

import subprocess
from pathlib import Path

from felice.broker import Broker
from howto import example


def test_the_java_example(kafka_libs: Path, tmp_path: Path) -> None:
    """A producer and a consumer in a group, as Java has them."""
    (tmp_path / "Letters.java").write_text(example("java", "class Letters"))
    with Broker(topics={"letters": 4}) as broker:
        done = subprocess.run(
            ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{kafka_libs}/*", "Letters.java", broker.bootstrap_servers],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "felice: Dearest Felice,"
