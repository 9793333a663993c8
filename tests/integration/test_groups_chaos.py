"""Groups of other people's clients under chaos: members join, leave, are killed and frozen, by a seed.

FELICE_CHAOS_SECONDS makes it longer than it is in every run.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from felice import Producer
from felice.broker import Broker
from felice.broker.coordination import java_hash
from felice.wire.messages.consumer_group_records import ConsumerGroupCurrentMemberAssignmentKey
from felice.wire.messages.consumer_protocol import ConsumerProtocolAssignment
from felice.wire.messages.offsets_topic import KEYS, GroupMetadataKey, OffsetCommitKey
from felice.wire.records import read_records
from felice.wire.schema.data import unpack_key

MEMBER = Path(__file__).parents[1] / "chaos_member.py"
SECONDS = float(os.environ.get("FELICE_CHAOS_SECONDS") or 8)
PARTITIONS = 6
MOST_MEMBERS = 5
GROUP, TOPIC = "post", "letters"

TIMEOUTS = {
    "group.min.session.timeout.ms": 1000,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.session.timeout.ms": 1500,
    "group.consumer.min.heartbeat.interval.ms": 50,
    "group.consumer.heartbeat.interval.ms": 100,
    "offsets.topic.num.partitions": 4,
}

SCENARIOS = {
    "classic": ("confluent", "aiokafka", "kafka-python"),
    "static": ("confluent static", "aiokafka static", "kafka-python static", "confluent"),
    "cooperative": ("confluent cooperative", "confluent cooperative static"),
    "consumer": ("confluent consumer", "confluent consumer static"),
    "both protocols": ("confluent consumer", "confluent"),
}


class Member:
    """A member in a process of its own, and what it was handed."""

    def __init__(self, kind: str, name: str, servers: str) -> None:
        self.kind = kind
        self.name = name
        self.got: list[tuple[int, int, int, float]] = []
        """Partition, first and last offset, and when."""
        self.frozen_until = 0.0
        self.process = subprocess.Popen(
            [sys.executable, str(MEMBER), kind, servers, GROUP, TOPIC, name], stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("got"):
                _, partition, first, last, when = line.split()
                self.got.append((int(partition), int(first), int(last), float(when)))

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self) -> None:
        """Wait until it has ended and all that it said was read."""
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Chaos:
    """Members that come and go, by chance."""

    def __init__(self, kinds: tuple[str, ...], servers: str, chance: random.Random) -> None:
        self.kinds, self.servers, self.chance = kinds, servers, chance
        self.alive: list[Member] = []
        self.gone: list[Member] = []
        self.done: list[str] = []
        """What was done to whom, for the output of a failure."""
        self._count = 0

    def act(self) -> None:
        """Do one thing."""
        now = time.monotonic()
        for member in self.alive:
            if member.frozen_until and member.frozen_until <= now:
                self._note("thaws", member)
                member.send(signal.SIGCONT)
                member.frozen_until = 0.0
        choice = self.chance.random()
        if len(self.alive) < 2 or (choice < 0.4 and len(self.alive) < MOST_MEMBERS):
            self.join()
            return
        member = self.chance.choice(self.alive)
        if choice < 0.6:
            self._end(member, signal.SIGTERM, "leaves")
        elif choice < 0.8:
            self._end(member, signal.SIGKILL, "is killed")
        elif not member.frozen_until:
            self._note("freezes", member)
            member.send(signal.SIGSTOP)
            member.frozen_until = now + self.chance.uniform(0.1, 2.5)

    def join(self) -> None:
        """Start one more member; a static one may come back under a name that was there before."""
        kind = self.chance.choice(self.kinds)
        self._count += 1
        name = f"member-{self._count}"
        taken = {member.name for member in self.alive}
        old = [member.name for member in self.gone if member.kind == kind and member.name not in taken]
        if kind.endswith("static") and old and self.chance.random() < 0.7:
            name = self.chance.choice(old)
        member = Member(kind, name, self.servers)
        self._note("joins", member)
        self.alive.append(member)

    def _end(self, member: Member, number: signal.Signals, what: str) -> None:
        self._note(what, member)
        if member.frozen_until:
            member.send(signal.SIGCONT)
        member.send(number)
        self.alive.remove(member)
        self.gone.append(member)

    def calm(self) -> None:
        """Thaw everybody."""
        for member in self.alive:
            if member.frozen_until:
                member.send(signal.SIGCONT)
                member.frozen_until = 0.0

    def close(self) -> None:
        """End all members."""
        self.calm()
        for member in list(self.alive):
            self._end(member, signal.SIGTERM, "leaves")
        for member in self.gone:
            member.wait()

    def _note(self, what: str, member: Member) -> None:
        self.done.append(f"{time.time():.3f} {member.name} ({member.kind}) {what}")

    def first_handed_out(self) -> dict[int, dict[int, float]]:
        """Return when each offset of each partition was first handed out."""
        times: dict[int, dict[int, float]] = defaultdict(dict)
        for member in (*self.alive, *self.gone):
            for partition, first, last, when in list(member.got):
                for offset in range(first, last + 1):
                    times[partition][offset] = min(when, times[partition].get(offset, when))
        return times


@contextmanager
def writing(broker: Broker) -> Iterator[list[int]]:
    """Write records to all partitions all the time; give how many each has."""
    written = [0] * PARTITIONS
    ended = threading.Event()

    def write() -> None:
        with Producer(broker.bootstrap_servers) as producer:
            while not ended.wait(0.02):
                for partition in range(PARTITIONS):
                    producer.send(TOPIC, b"%d" % written[partition], partition=partition)
                    written[partition] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        ended.set()
        thread.join()


def journal(broker: Broker) -> Iterator[list[tuple[object, object]]]:
    """Give what the coordinator wrote of the group, batch by batch: keys and values, decoded."""
    partition = java_hash(GROUP) % broker.topics["__consumer_offsets"]
    for batch in broker.batches("__consumer_offsets", partition):
        pairs: list[tuple[object, object]] = []
        for record in read_records(batch):
            key = unpack_key(KEYS, record.key or b"")
            if key is not None:
                value = None if record.value is None else type(key).value.unpack(record.value)
                pairs.append((key, value))
        yield pairs


def check_owners(broker: Broker) -> int:
    """No partition has two owners in one generation, or at one time; return how many assignments were looked at."""
    seen = 0
    owned: dict[str, set[int]] = {}
    for pairs in journal(broker):
        for key, value in pairs:
            if isinstance(key, GroupMetadataKey) and value is not None:
                partitions: list[int] = []
                for member in value.members:
                    if member.assignment:
                        for topic in ConsumerProtocolAssignment.unpack(member.assignment).assigned_partitions:
                            partitions += topic.partitions
                assert len(partitions) == len(set(partitions)), f"generation {value.generation}: {value}"
                seen += 1
            elif isinstance(key, ConsumerGroupCurrentMemberAssignmentKey):
                topics = () if value is None else (*value.assigned_partitions, *value.partitions_pending_revocation)
                owned[key.member_id] = {partition for topic in topics for partition in topic.partitions}
                seen += 1
        together = [partition for partitions in owned.values() for partition in partitions]
        assert len(together) == len(set(together)), owned
    return seen


def check_commits(broker: Broker, handed_out: dict[int, dict[int, float]]) -> int:
    """No commit is ahead of what was handed out before it; return how many there were."""
    seen = 0
    for pairs in journal(broker):
        for key, value in pairs:
            if not isinstance(key, OffsetCommitKey) or value is None:
                continue
            seen += 1
            times = handed_out[key.partition]
            latest = max((times.get(offset, float("inf")) for offset in range(value.offset)), default=0.0)
            assert latest <= value.commit_timestamp / 1000 + 0.002, f"{key.partition} committed at {value.offset}"
    return seen


@pytest.mark.slow
@pytest.mark.timeout(120 + 3 * SECONDS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_group_in_chaos(scenario: str, seed: int) -> None:
    """Each record is handed out, commits are never ahead, and no partition has two owners in one generation."""
    chance = random.Random(seed)
    with Broker(topics={TOPIC: PARTITIONS}, configs=TIMEOUTS, seed=seed) as broker:
        chaos = Chaos(SCENARIOS[scenario], broker.bootstrap_servers, chance)
        try:
            with writing(broker) as written:
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    chaos.act()
                    time.sleep(chance.uniform(0.1, 0.6))
            chaos.calm()
            while len(chaos.alive) < 2:
                chaos.join()
            wanted = {partition: set(range(count)) for partition, count in enumerate(written)}
            deadline = time.monotonic() + 60
            while missing := {p: wanted[p] - chaos.first_handed_out()[p].keys() for p in wanted}:
                missing = {partition: offsets for partition, offsets in missing.items() if offsets}
                if not missing:
                    break
                assert time.monotonic() < deadline, f"never handed out: {missing}"
                time.sleep(0.1)
        finally:
            chaos.close()
            print("\n".join(chaos.done))
        assert check_owners(broker) > 3
        assert check_commits(broker, chaos.first_handed_out()) > 10
