"""A storm of transactions: writers are killed and fenced, leaders and coordinators move, nodes stop.

A reader of committed records sees each committed transaction once and whole, and none that was aborted.
FELICE_CHAOS_SECONDS makes it longer than it is in every run.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from felice.broker import Broker

WRITER = Path(__file__).parents[1] / "storm_writer.py"
SECONDS = float(os.environ.get("FELICE_CHAOS_SECONDS") or 8)
PARTITIONS = 4
IDS = 3
NODES = 3
TOPIC = "letters"


class Writer:
    """A writer in a process of its own, and what became of its transactions."""

    def __init__(self, servers: str, transactional_id: str, name: str, seed: int) -> None:
        self.name = name
        self.transactional_id = transactional_id
        self.outcomes: dict[int, str] = {}
        self.said = ""
        command = [sys.executable, str(WRITER), servers, transactional_id, TOPIC, str(PARTITIONS), name, str(seed)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if rest.isdecimal():
                self.outcomes[int(rest)] = word
            else:
                self.said = line.strip()

    def kill(self) -> None:
        """End it at once and wait until all that it said was read."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


def storm(broker: Broker, chance: random.Random) -> list[Writer]:
    """Let writers write, and everything happen to them, for a while; return all that there were."""
    writers: list[Writer] = []
    present: dict[str, Writer] = {}

    def begin(transactional_id: str) -> None:
        name = f"writer-{len(writers)}"
        writer = Writer(broker.bootstrap_servers, transactional_id, name, chance.randrange(2**31))
        writers.append(writer)
        present[transactional_id] = writer

    ids = [f"id-{number}" for number in range(IDS)]
    for each in ids:
        begin(each)
    stopped: int | None = None
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.05, 0.4))
        each = chance.choice(ids)
        what = chance.random()
        if what < 0.25:
            present[each].kill()
            print(f"{each}: {present[each].name} is killed")
            begin(each)
        elif what < 0.5:
            print(f"{each}: {present[each].name} is fenced by another")
            begin(each)  # the one before runs on until it is told that it is fenced
        elif what < 0.7:
            partition = chance.randrange(PARTITIONS)
            node = chance.choice(sorted(broker.nodes))
            print(f"{TOPIC}-{partition} moves to node {node}")
            broker.move_leader(TOPIC, partition, node)
        elif what < 0.9 and broker.topics.get("__transaction_state"):
            node = chance.choice(sorted(broker.nodes))
            print(f"{each}: its coordinator moves to node {node}")
            broker.move_coordinator(node, transactional_id=each)
        elif stopped is None:
            stopped = chance.choice(sorted(broker.nodes))
            print(f"node {stopped} stops")
            broker.stop(stopped)
        else:
            print(f"node {stopped} starts")
            broker.start(stopped)
            stopped = None
    if stopped is not None:
        broker.start(stopped)
    for writer in writers:
        writer.kill()
    return writers


def read_committed(broker: Broker) -> list[str]:
    """Return the values of all committed records, by librdkafka, when no transaction is open any more."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
    values: list[str] = []
    ends: set[int] = set()
    deadline = time.monotonic() + 60
    while len(ends) < PARTITIONS:
        assert time.monotonic() < deadline, f"the end was reached in {ends} only"
        for message in consumer.consume(1000, 0.1):
            if message.error() is None:
                values.append(message.value().decode())
                ends.discard(message.partition())
            else:
                ends.add(message.partition())
    consumer.close()
    return values


@pytest.mark.slow
@pytest.mark.timeout(150 + 2 * SECONDS)
def test_a_storm_of_transactions(seed: int) -> None:
    """Committed ones are there once and whole; aborted ones are not; where nobody knows, it is the one or the other."""
    chance = random.Random(seed)
    with Broker(topics={TOPIC: PARTITIONS}, nodes=NODES, seed=seed) as broker:
        writers = storm(broker, chance)
        broker.clock.advance(60)  # what the killed ones left open is aborted
        values = read_committed(broker)
    assert not [writer.said for writer in writers if writer.said.startswith("failed")]
    assert len(values) == len(set(values)), [value for value, count in Counter(values).items() if count > 1]
    found: dict[tuple[str, int], list[int]] = defaultdict(list)
    counts: dict[tuple[str, int], int] = {}
    for value in values:
        name, number, index, count = value.split()
        found[name, int(number)].append(int(index))
        counts[name, int(number)] = int(count)
    for transaction, indexes in found.items():
        assert sorted(indexes) == list(range(counts[transaction])), f"{transaction} is not whole: {indexes}"
    outcomes = {(writer.name, number): what for writer in writers for number, what in writer.outcomes.items()}
    for transaction, what in outcomes.items():
        if what == "committed":
            assert transaction in found, f"{transaction} was committed and is not there"
        elif what in ("aborted", "begun"):
            assert transaction not in found, f"{transaction} was {what} and is there"
    kinds = Counter(outcomes.values())
    assert kinds["committed"] > 10, kinds
    assert kinds["aborted"] > 3, kinds
