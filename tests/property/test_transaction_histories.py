"""Transactions on the embedded broker against a model: after every step readers see what is committed, and no more."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asking import Asker, batch
from felice import Consumer
from felice.broker import Broker
from felice.wire.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from felice.wire.messages.end_txn import EndTxnRequest
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.init_producer_id import InitProducerIdRequest
from felice.wire.records import ControlType, read_control, read_records, split

WRITERS = 3
PARTITIONS = 2
TIMEOUT = 30
CONCURRENT_TRANSACTIONS = 51


class Version(NamedTuple):
    """How a producer speaks."""

    produce: int
    end: int


OLD, NEW = Version(11, 4), Version(12, 5)


@dataclass
class Transaction:
    """What the model knows of one transaction."""

    version: Version
    state: str = "open"
    added: set[int] = field(default_factory=set)


class Entry(NamedTuple):
    """A record of the log."""

    offset: int
    value: bytes
    transaction: Transaction | None


class Writer:
    """A transactional producer."""

    def __init__(self, asker: Asker, transactional_id: str) -> None:
        self.asker = asker
        self.id = transactional_id
        self.producer_id, self.epoch = asker.transactional_producer(transactional_id)
        self.sequences = dict.fromkeys(range(PARTITIONS), 0)
        self.transaction: Transaction | None = None

    def take(self) -> None:
        """Take the transactional ID as another producer would."""
        request = InitProducerIdRequest(transactional_id=self.id, transaction_timeout_ms=TIMEOUT * 1000)
        answer = self.asker.ask(request, 5)
        if answer.error_code == CONCURRENT_TRANSACTIONS:
            answer = self.asker.ask(request, 5)
        assert answer.error_code == 0
        self._is(answer)

    def write(self, topic: str, partition: int, value: bytes, transaction: Transaction) -> int:
        """Write a record, and return its offset."""
        if transaction.version is OLD and partition not in transaction.added:
            names = [AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=topic, partitions=[partition])]
            request = AddPartitionsToTxnRequest(
                v3_and_below_transactional_id=self.id,
                v3_and_below_producer_id=self.producer_id,
                v3_and_below_producer_epoch=self.epoch,
                v3_and_below_topics=names,
            )
            added = self.asker.ask(request, 3).results_by_topic_v3_and_below[0].results_by_partition[0]
            assert added.partition_error_code == 0
        transaction.added.add(partition)
        records = batch(value, producer=(self.producer_id, self.epoch, self.sequences[partition]), attributes=0x10)
        version = transaction.version.produce
        answers = [
            self.asker.produce(topic, records, partition=partition, version=version, transactional_id=self.id)
            for _ in range(2)  # a retry changes nothing
        ]
        first, again = (answer.responses[0].partition_responses[0] for answer in answers)
        assert (first.error_code, again.error_code, again.base_offset) == (0, 0, first.base_offset)
        self.sequences[partition] += 1
        return int(first.base_offset)

    def end(self, commit: bool) -> None:
        """End the open transaction, twice."""
        assert self.transaction is not None
        request = EndTxnRequest(
            transactional_id=self.id, producer_id=self.producer_id, producer_epoch=self.epoch, committed=commit
        )
        answers = [self.asker.ask(request, self.transaction.version.end) for _ in range(2)]
        assert [answer.error_code for answer in answers] == [0, 0]
        if self.transaction.version is NEW:
            assert (answers[0].producer_id, answers[0].producer_epoch) == (self.producer_id, self.epoch + 1)
            self._is(answers[1])
        self.transaction.state = "committed" if commit else "aborted"
        self.transaction = None

    def _is(self, answer: Any) -> None:
        """Go on with this ID and epoch."""
        self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
        self.sequences = dict.fromkeys(range(PARTITIONS), 0)


class World:
    """A topic, its writers, and what the model says is in its log."""

    def __init__(self, broker: Broker, asker: Asker) -> None:
        self.broker = broker
        self.asker = asker
        self.topic = asker.topic(PARTITIONS)
        self.writers = [Writer(asker, f"{self.topic}-{n}") for n in range(WRITERS)]
        for writer in self.writers:
            writer.take()
        self.log: dict[int, list[Entry]] = {partition: [] for partition in range(PARTITIONS)}
        self.count = 0

    def step(self, what: str, writer: Writer, partition: int, version: Version) -> None:
        """Do something."""
        match what:
            case "write":
                if writer.transaction is None:
                    writer.transaction = Transaction(version)
                value = self._value()
                offset = writer.write(self.topic, partition, value, writer.transaction)
                self.log[partition].append(Entry(offset, value, writer.transaction))
            case "plain":
                value = self._value()
                answer = self.asker.produce(self.topic, batch(value), partition=partition)
                offset = answer.responses[0].partition_responses[0].base_offset
                self.log[partition].append(Entry(offset, value, None))
            case "commit" | "abort" if writer.transaction is not None:
                writer.end(what == "commit")
            case "take":
                self._aborted(writer)
                writer.take()
            case "wait":
                self.broker.clock.advance(TIMEOUT + 1)
                for other in self.writers:
                    if other.transaction is not None:
                        self._aborted(other)
                        other.take()

    def check(self) -> None:
        """Compare what a reader of committed records gets with what the model says."""
        for partition, entries in self.log.items():
            stable = min(
                (entry.offset for entry in entries if entry.transaction and entry.transaction.state == "open"),
                default=1 << 40,
            )
            expected = [
                entry.value
                for entry in entries
                if entry.offset < stable and (entry.transaction is None or entry.transaction.state == "committed")
            ]
            assert read_committed(self.asker, self.topic, partition) == expected

    def _value(self) -> bytes:
        """Return a new value."""
        self.count += 1
        return b"%d" % self.count

    @staticmethod
    def _aborted(writer: Writer) -> None:
        """Note that a writer's transaction is aborted without its doing."""
        if writer.transaction is not None:
            writer.transaction.state = "aborted"
            writer.transaction = None


def read_committed(asker: Asker, topic: str, partition: int) -> list[bytes]:
    """Read in small pieces, as the protocol wants it: what is aborted is left out from its first offset to its end."""
    values: list[bytes] = []
    offset = 0
    while True:
        wanted = FetchRequest.FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=300)
        request = FetchRequest(
            max_wait_ms=0,
            min_bytes=1,
            max_bytes=1 << 20,
            isolation_level=1,
            topics=[FetchRequest.FetchTopic(topic=topic, partitions=[wanted])],
        )
        answer = asker.ask(request, 12).responses[0].partitions[0]
        assert answer.error_code == 0
        batches = split(answer.records)
        if not batches:
            assert offset == answer.last_stable_offset
            return values
        coming = sorted((aborted.first_offset, aborted.producer_id) for aborted in answer.aborted_transactions)
        aborting: set[int] = set()
        for header, data in batches:
            while coming and coming[0][0] <= header.last_offset:
                aborting.add(coming.pop(0)[1])
            records = read_records(data)
            if header.is_control:
                if read_control(records[0]) is ControlType.ABORT:
                    aborting.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in aborting):
                values += [record.value for record in records if record.value is not None]
            offset = header.next_offset


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One broker for all histories: each has a topic and transactional IDs of its own."""
    with Broker(seed=1) as made:
        yield made


steps = st.lists(
    st.tuples(
        st.sampled_from(["write"] * 6 + ["plain", "commit", "commit", "abort", "take", "wait"]),
        st.integers(0, WRITERS - 1),
        st.integers(0, PARTITIONS - 1),
        st.sampled_from([OLD, NEW]),
    ),
    max_size=30,
)
runs = iter(range(1 << 30))


@settings(max_examples=60, deadline=None)
@given(steps)
def test_readers_see_exactly_what_is_committed(broker: Broker, chosen: list[tuple[str, int, int, Version]]) -> None:
    """Whatever producers do, lose or repeat, and whoever is fenced or late."""
    with Asker(broker.bootstrap_servers, f"run{next(runs)}") as asker:
        world = World(broker, asker)
        for what, writer, partition, version in chosen:
            world.step(what, world.writers[writer], partition, version)
            world.check()
        for writer in world.writers:
            world.step("abort", writer, 0, NEW)
        world.check()
        with Consumer[bytes, bytes](broker.bootstrap_servers, world.topic) as reading:
            ends = reading.end_offsets()
            read: dict[int, list[bytes]] = {partition: [] for partition in range(PARTITIONS)}
            while any(reading.position(tp) < end for tp, end in ends.items()):
                for message in reading.poll(0.2):
                    read[message.partition].append(message.value or b"")
    assert read == {
        partition: [
            entry.value for entry in entries if entry.transaction is None or entry.transaction.state == "committed"
        ]
        for partition, entries in world.log.items()
    }
