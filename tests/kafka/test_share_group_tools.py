"""Kafka's own command-line tool says the same of a share group of the embedded broker as of one of real Kafka."""

import re
import subprocess
from pathlib import Path

from cluster import KafkaCluster
from questions.asked import ALIKE
from questions.share_members import Crew

from asking import Asker, batch, new_run
from felice.broker import Broker


def said(libs: Path, asker: Asker, bootstrap_servers: str) -> list[str]:
    """What it says as a group has a member, then has none, goes on at the start, and is deleted."""
    topic = asker.topic(2)
    asker.produce(topic, batch(b"one", b"two"))
    crew = Crew(asker)
    of_group = ("--group", crew.id)

    def tool(*arguments: str) -> str:
        ran = subprocess.run(
            [
                "java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*",
                "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
                "--bootstrap-server", bootstrap_servers, *arguments, *of_group,
            ],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        lines = ran.stdout.replace(bootstrap_servers, "<node>").replace(crew.id, "<group>").replace(topic, "<topic>")
        return "\n".join(sorted(re.sub(" +", " ", line) for line in lines.splitlines()))

    crew.join("member", topic)
    crew.settle("member", partitions=2)
    told = [tool("--describe", "--members", "--verbose"), tool("--describe", "--state"), tool("--delete")]
    crew.leave("member")
    told.append(tool("--reset-offsets", "--topic", topic, "--to-earliest", "--execute"))
    return [*told, tool("--describe"), tool("--delete")]


def test_the_tool_for_share_groups_says_the_same(kafka: KafkaCluster, kafka_libs: Path) -> None:
    """Members, state, offsets with their lag; that it is not deleted while it has members, and that it is then."""
    run = new_run()
    with Broker(auto_create=False, configs=ALIKE) as ours:
        told = []
        for bootstrap_servers in (kafka.bootstrap_servers, ours.bootstrap_servers):
            with Asker(bootstrap_servers, run) as asker:
                told.append(said(kafka_libs, asker, bootstrap_servers))
    assert "<group> member /127.0.0.1 asker 2 3 <topic>:0,1" in told[0][0]
    assert "<group> <topic> 0 0 2" in told[0][4]
    assert told[1] == told[0]
