"""Kafka's own Java client in share groups of the embedded broker: more members than partitions, one of them killed."""

import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cluster import JAVA

from asking import Asker, batch
from felice.broker import Broker
from felice.wire.messages.describe_share_group_offsets import DescribeShareGroupOffsetsRequest
from plain_produce import produce

TOPIC, GROUP = "letters", "pickers"
PARTITIONS, MEMBERS = 2, 4
AT_ONCE = 10
PATIENCE = 90.0
"""Seconds for all of it: what the killed member had is free at once, when its connection ends."""
QUICK = {"group.share.heartbeat.interval.ms": 200, "group.share.min.heartbeat.interval.ms": 100}

Said = tuple[int, dict[str, Any]]
"""Which member says what."""


@contextmanager
def member(libs: Path, broker: Broker, number: int, said: "queue.Queue[Said]") -> Iterator[subprocess.Popen[str]]:
    """A member in a process of its own; what it says goes into the queue."""
    process = subprocess.Popen(
        [
            *JAVA, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*",
            "org.apache.kafka.tools.VerifiableShareConsumer", "--bootstrap-server", broker.bootstrap_servers,
            "--topic", TOPIC, "--group-id", GROUP, "--acknowledgement-mode", "sync",
            "--offset-reset-strategy", "earliest",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                said.put((number, json.loads(line)))

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
        listener.join(30)
        assert process.stdout is not None
        process.stdout.close()


class Crowd:
    """The members of a group, and what they have said so far."""

    def __init__(self) -> None:
        self.said: queue.Queue[Said] = queue.Queue()
        self.consumed = [set[tuple[int, int]]() for _ in range(MEMBERS)]
        self.acknowledged = [set[tuple[int, int]]() for _ in range(MEMBERS)]
        self._deadline = time.monotonic() + PATIENCE

    def listen(self, seconds: float) -> None:
        """Take in what members say next."""
        assert time.monotonic() < self._deadline, [len(records) for records in self.consumed]
        try:
            number, event = self.said.get(timeout=seconds)
        except queue.Empty:
            return
        kinds = {"records_consumed": self.consumed, "offsets_acknowledged": self.acknowledged}
        if event["name"] in kinds:
            assert event.get("success", True), event
            kinds[event["name"]][number] |= {
                (part["partition"], offset) for part in event["partitions"] for offset in part["offsets"]
            }


def lag(broker: Broker) -> int:
    """What is left for the group."""
    asked = DescribeShareGroupOffsetsRequest.Group(group_id=GROUP, topics=None)
    with Asker(broker.bootstrap_servers, "lag") as asker:
        [group] = asker.ask(DescribeShareGroupOffsetsRequest(groups=[asked]), 1).groups
    [topic] = group.topics
    return sum(partition.lag for partition in topic.partitions)


def test_every_record_is_worked_off_though_a_member_is_killed(kafka_libs: Path) -> None:
    """All members get records, and each record is acknowledged by one of them; nothing is left in the end."""
    written = 0
    with Broker({TOPIC: PARTITIONS}, configs=QUICK) as broker, ExitStack() as stack:
        crowd = Crowd()

        def write() -> int:
            produce(broker, TOPIC, [(index, batch(*[b"letter"] * AT_ONCE)) for index in range(PARTITIONS)])
            return AT_ONCE

        members = [stack.enter_context(member(kafka_libs, broker, number, crowd.said)) for number in range(MEMBERS)]
        while not all(crowd.consumed):
            written += write()
            crowd.listen(0.05)
        members[0].kill()
        for _ in range(10):
            written += write()
            crowd.listen(0.05)
        every = {(partition, offset) for partition in range(PARTITIONS) for offset in range(written)}
        while set().union(*crowd.consumed) != every or lag(broker):
            crowd.listen(0.5)
    for number, mine in enumerate(crowd.acknowledged):
        assert all(mine.isdisjoint(others) for others in crowd.acknowledged[number + 1 :])
