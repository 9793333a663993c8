"""The Java client in consumer groups of the embedded broker, by way of Kafka's own tools."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from asking import batch
from felice.broker import Broker
from plain_produce import produce

TOPIC, GROUP = "letters", "readers"
PARTITIONS = 4


def command(libs: Path, tool: str, *arguments: str) -> list[str]:
    """The command line of a tool."""
    return [
        "java",
        "-Xshare:auto",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        f"{libs}/*",
        f"org.apache.kafka.tools.{tool}",
        *arguments,
    ]


@contextmanager
def member(libs: Path, broker: Broker, *settings: str) -> Iterator[IO[str]]:
    """A member in a process of its own, and the lines that it says."""
    arguments = ["--bootstrap-server", broker.bootstrap_servers, "--topic", TOPIC, "--group-id", GROUP]
    process = subprocess.Popen(
        command(libs, "VerifiableConsumer", *arguments, "--reset-policy", "earliest", *settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        process.terminate()
        process.communicate(timeout=30)


def wait_for(lines: IO[str], event: str, partitions: int | None = None) -> None:
    """Read until a member says something, of so many partitions."""
    for line in lines:
        said = json.loads(line) if line.startswith("{") else {}
        if said.get("name") == event and partitions in (None, len(said.get("partitions", ()))):
            return
    raise AssertionError(f"it never said {event}")


def test_java_members_share_and_come_beside_old_ones(kafka_libs: Path) -> None:
    """Two of the consumer protocol, then one of the classic protocol; and what the command-line tool says of them."""
    configs = {"group.consumer.min.heartbeat.interval.ms": 100, "group.consumer.heartbeat.interval.ms": 200}
    with Broker({TOPIC: PARTITIONS}, configs=configs) as broker:
        produce(broker, TOPIC, [(index, batch(*[b"letter"] * 5)) for index in range(PARTITIONS)])
        new = ("--group-protocol", "consumer", "--group-remote-assignor", "range")
        with member(kafka_libs, broker, *new) as one:
            wait_for(one, "partitions_assigned", PARTITIONS)
            wait_for(one, "offsets_committed")
            with member(kafka_libs, broker, *new) as two:
                wait_for(one, "partitions_revoked", PARTITIONS // 2)
                wait_for(two, "partitions_assigned", PARTITIONS // 2)
                described = subprocess.run(
                    command(
                        kafka_libs, "consumer.group.ConsumerGroupCommand", "--bootstrap-server",
                        broker.bootstrap_servers, "--describe", "--group", GROUP, "--state",
                    ),
                    capture_output=True, text=True, timeout=60,
                )  # fmt: skip
                assert {"range", "Stable"} <= set(described.stdout.split())
            old = ("--group-protocol", "classic", "--session-timeout", "10000")
            wait_for(one, "partitions_assigned", PARTITIONS // 2)
            with member(kafka_libs, broker, *old) as late:
                wait_for(late, "partitions_assigned", PARTITIONS // 2)
                kinds = {broker.groups[GROUP].kind}
        assert kinds == {"consumer"}
        assert {entry.offset for entry in broker.groups[GROUP].offsets.values()} == {5}
