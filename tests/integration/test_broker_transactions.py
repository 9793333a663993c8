"""Transactions of other people's clients on the embedded broker, read by everybody's consumers."""

import threading
from collections.abc import Iterator

import pytest

from asking import Asker
from felice import Consumer
from felice.broker import Broker
from felice.wire.messages.list_transactions import ListTransactionsRequest
from felice.wire.records import ControlType, read_control, read_header, read_records
from transactional_clients import CLIENTS, open_client

pytestmark = pytest.mark.filterwarnings(r"ignore:\w+_text is deprecated")  # kafka-python, when it is imported

TIMEOUT = 20.0
every_client = pytest.mark.parametrize("name", CLIENTS)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a topic of two partitions."""
    with Broker(topics={"letters": 2}, seed=7) as made:
        yield made


def committed(broker: Broker, topic: str = "letters") -> list[bytes]:
    """Return what our own consumer reads of committed records, sorted."""
    with Consumer[bytes, bytes](broker.bootstrap_servers, topic) as reading:
        ends = reading.end_offsets()
        read = []
        while any(reading.position(tp) < end for tp, end in ends.items()):
            read += [message.value for message in reading.poll(0.2) if message.value is not None]
    return sorted(read)


def read_by_confluent(broker: Broker) -> list[bytes]:
    """Return what librdkafka reads of committed records."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "judge", "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition("letters", partition, 0) for partition in range(2)])
    values, ends = [], 0
    while ends < 2:
        message = consumer.poll(TIMEOUT)
        assert message is not None
        if message.error() is None:
            values.append(message.value())
        else:
            ends += 1
    consumer.close()
    return sorted(values)


def read_by_kafka_python(broker: Broker) -> list[bytes]:
    """Return what kafka-python reads of committed records."""
    from kafka import KafkaConsumer, TopicPartition

    partitions = [TopicPartition("letters", partition) for partition in range(2)]
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, isolation_level="read_committed", enable_auto_commit=False
    )
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    values: list[bytes] = []
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        values += [record.value for records in consumer.poll(200).values() for record in records]
    consumer.close()
    return sorted(values)


READERS = {"confluent-kafka": read_by_confluent, "kafka-python": read_by_kafka_python, "felice": committed}


@every_client
@pytest.mark.parametrize("reader", READERS)
def test_only_committed_records_are_read(broker: Broker, name: str, reader: str) -> None:
    """Of transactions that commit and such that abort, one after the other, readers see the first kind."""
    with open_client(name, broker.bootstrap_servers, "writer") as client:
        for number in range(6):
            client.begin()
            for partition in range(2):
                client.send("letters", b"%d-%d" % (number, partition), partition)
            client.commit() if number % 2 == 0 else client.abort()
        state = broker.transactions["writer"]
        assert (state.state, state.partitions) == ("CompleteAbort", frozenset())
    assert READERS[reader](broker) == sorted(
        b"%d-%d" % (number, partition) for number in (0, 2, 4) for partition in (0, 1)
    )


@every_client
def test_an_open_transaction_holds_readers_back(broker: Broker, name: str) -> None:
    """What was written behind the first record of an open transaction is seen when that is decided, not before."""
    with (
        open_client(name, broker.bootstrap_servers, "slow") as slow,
        open_client(name, broker.bootstrap_servers, "quick") as quick,
    ):
        slow.begin()
        slow.send("letters", b"slow")
        quick.begin()
        quick.send("letters", b"quick")
        quick.commit()
        assert committed(broker) == []
        assert broker.transactions["slow"].state == "Ongoing"
        slow.commit()
        assert committed(broker) == [b"quick", b"slow"]


@every_client
def test_a_second_producer_fences_the_first(broker: Broker, name: str) -> None:
    """Who takes the transactional ID has what was open aborted; the first one cannot commit."""
    with open_client(name, broker.bootstrap_servers, "writer") as first:
        first.begin()
        first.send("letters", b"lost")
        with open_client(name, broker.bootstrap_servers, "writer") as second:
            second.begin()
            second.send("letters", b"kept")
            with pytest.raises(Exception, match=r"(?i)fenced|epoch"):
                first.commit()
            second.commit()
    assert committed(broker) == [b"kept"]


@every_client
def test_a_transaction_that_takes_too_long_is_aborted(broker: Broker, name: str) -> None:
    """When the timeout passes on the broker's clock, the markers are there and the producer can no longer commit."""
    with open_client(name, broker.bootstrap_servers, "writer", timeout=5) as client:
        client.begin()
        client.send("letters", b"late")
        broker.clock.advance(4.5)
        assert broker.transactions["writer"].state == "Ongoing"
        broker.clock.advance(1)
        assert broker.transactions["writer"].state == "CompleteAbort"
        with pytest.raises(Exception, match=r"(?i)fenced|epoch|state"):
            client.commit()
    assert committed(broker) == []


@every_client
def test_offsets_are_committed_with_the_records(broker: Broker, name: str) -> None:
    """Consume, transform, produce: the group's offset moves with the commit, and not with the abort."""
    from confluent_kafka import Consumer, TopicPartition

    broker.create_topic("answers", 1)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "readers"})

    def position() -> int:
        return int(consumer.committed([TopicPartition("letters", 0)], TIMEOUT)[0].offset)

    with open_client(name, broker.bootstrap_servers, "writer") as client:
        for offset, commit in ((5, True), (9, False), (7, True)):
            client.begin()
            client.send("answers", b"%d" % offset)
            client.send_offset("letters", offset, "readers")
            client.commit() if commit else client.abort()
            assert position() == (offset if commit else 5)
    consumer.close()
    assert committed(broker, "answers") == [b"5", b"7"]


@every_client
def test_the_coordinator_moves_in_the_middle_of_a_transaction(name: str) -> None:
    """The next coordinator knows what is open, and marks it with its own epoch."""
    with (
        Broker(topics={"letters": 2}, nodes=3) as broker,
        open_client(name, broker.bootstrap_servers, "writer") as client,
    ):
        client.begin()
        client.send("letters", b"a")
        for index in range(50):
            before = broker.leader("__transaction_state", index)
            broker.move_leader("__transaction_state", index, before % 3 + 1)
        client.send("letters", b"b")
        client.commit()
        client.begin()
        client.send("letters", b"c")
        client.commit()
        assert committed(broker) == [b"a", b"b", b"c"]
        marker = broker.records("letters", 0)[2]
        assert marker.value is not None
        assert int.from_bytes(marker.value[2:6]) == 1


@pytest.mark.parametrize("name", sorted(set(CLIENTS) - {"kafka-python"}))
def test_the_coordinator_stops_in_the_middle_of_a_transaction(name: str) -> None:
    """With the node gone another takes over.

    kafka-python 3.0.12 finds the new coordinator, and then never connects to it.
    """
    with (
        Broker(topics={"letters": 2}, nodes=3) as broker,
        open_client(name, broker.bootstrap_servers, "writer") as client,
    ):
        client.begin()
        client.send("letters", b"a")
        home = next(index for index in range(50) if broker.records("__transaction_state", index))
        broker.stop(broker.leader("__transaction_state", home))
        client.commit()
        client.begin()
        client.send("letters", b"b")
        client.abort()
        assert committed(broker) == [b"a"]


def test_markers_wait_for_a_leader() -> None:
    """A transaction that is decided while a partition has no leader is complete when that is back, not before."""
    configs = {"transaction.state.log.replication.factor": 2, "transaction.state.log.min.isr": 1}
    with Broker(nodes=2, configs=configs) as broker:
        broker.create_topic("letters", 2, replication_factor=1)
        with open_client("confluent-kafka", broker.bootstrap_servers, "writer") as client:
            client.begin()
            for partition in range(2):
                client.send("letters", b"%d" % partition, partition)
            home = next(index for index in range(50) if broker.records("__transaction_state", index))
            coordinator = broker.leader("__transaction_state", home)
            gone = next(index for index in range(2) if broker.leader("letters", index) != coordinator)
            broker.stop(3 - coordinator)
            ended = threading.Thread(target=client.commit)
            ended.start()
            ended.join(TIMEOUT)
            assert broker.transactions["writer"].state == "PrepareCommit"
            assert len(broker.records("letters", 1 - gone)) == 2
            broker.start(3 - coordinator)
            assert broker.transactions["writer"].state == "CompleteCommit"
            assert len(broker.records("letters", gone)) == 2


def test_a_deleted_topic_does_not_hold_the_end_up(broker: Broker) -> None:
    """Partitions that are gone get no marker."""
    with open_client("confluent-kafka", broker.bootstrap_servers, "writer") as client:
        broker.create_topic("short", 1)
        client.begin()
        client.send("letters", b"a")
        client.send("short", b"b")
        broker.delete_topic("short")
        client.commit()
        assert broker.transactions["writer"].state == "CompleteCommit"
    assert committed(broker) == [b"a"]


def test_no_pattern_of_transactional_ids_holds_the_broker_up(broker: Broker) -> None:
    """It is matched in the time that its length and the ID's allow, as by RE2; IDs may have any characters."""
    names = ["a" * 64 + "-", "a" * 64, "a b"]
    for name in names:
        with Asker(broker.nodes[broker.coordinator(transactional_id=name)], "test") as asker:
            asker.transactional_producer(name)
    found = set()
    for node in broker.nodes.values():
        with Asker(node, "test") as asker:
            for pattern in ("(a+)+", "a.b"):
                answer = asker.ask(ListTransactionsRequest(transactional_id_pattern=pattern), 2)
                found |= {state.transactional_id for state in answer.transaction_states}
    assert found == set(names[1:])


def test_a_transactional_id_that_nobody_uses_is_forgotten() -> None:
    """After `transactional.id.expiration.ms` it is gone, with a tombstone; one that is in use stays."""
    with Broker(topics={"letters": 2}, configs={"transactional.id.expiration.ms": 60_000}) as broker:
        servers = broker.bootstrap_servers
        with (
            open_client("confluent-kafka", servers, "idle"),
            open_client("confluent-kafka", servers, "busy", timeout=300) as busy,
        ):
            busy.begin()
            busy.send("letters", b"a")
            broker.clock.advance(59)
            assert set(broker.transactions) == {"idle", "busy"}
            broker.clock.advance(2)
            assert set(broker.transactions) == {"busy"}
            busy.commit()
            broker.clock.advance(61)
            assert not broker.transactions
        last = {
            record.key: record.value for index in range(50) for record in broker.records("__transaction_state", index)
        }
        assert list(last.values()) == [None, None]


def test_a_marker_is_a_control_batch_of_the_producer(broker: Broker) -> None:
    """What ends a transaction stands in the log, and takes an offset."""
    with open_client("confluent-kafka", broker.bootstrap_servers, "writer") as client:
        client.begin()
        client.send("letters", b"a")
        writer = broker.transactions["writer"]
        client.abort()
        data, marker = (read_header(batch) for batch in broker.batches("letters", 0))
        assert (data.is_transactional, data.is_control, marker.is_control) == (True, False, True)
        assert (marker.producer_id, marker.producer_epoch) == (
            writer.producer_id,
            broker.transactions["writer"].producer_epoch,
        )
        kinds = [read_control(record) for record in read_records(broker.batches("letters", 0)[1])]
        assert kinds == [ControlType.ABORT]
