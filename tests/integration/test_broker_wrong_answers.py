"""Faults that make answers wrong, late or none: what exactly goes over the wire, and that clients notice."""

import gc
import socket
import struct
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from asking import SILENCE, Asker, batch
from felice import Consumer, Producer
from felice.broker import Broker
from felice.broker.acls import Acl, Pattern
from felice.broker.authorization import Operation, Resource
from felice.errors import ConfigError, ErrorCode, FeliceError
from felice.wire.frames import encode_request
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.records import crc32c, read_header

METADATA = MetadataRequest(topics=None)
FETCH = FetchRequest(
    max_wait_ms=100,
    min_bytes=1,
    topics=[
        FetchRequest.FetchTopic(
            topic="letters",
            partitions=[FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)],
        )
    ],
)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a topic."""
    with Broker(topics={"letters": 1}, seed=1883) as broker:
        yield broker


@pytest.fixture
def asker(broker: Broker) -> Iterator[Asker]:
    """A connection to it."""
    with Asker(broker.bootstrap_servers, "test") as asker:
        yield asker


def frame(broker: Broker, *requests: Any) -> bytes:
    """Send Metadata over a bare socket and return all bytes that come, until nothing does for a while."""
    host, port = broker.bootstrap_servers.split(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.sendall(b"".join(map(bytes, encode_request(METADATA, 9, 7, "bare"))))
        sock.settimeout(0.3)
        data = b""
        try:
            while chunk := sock.recv(65536):
                data += chunk
        except TimeoutError:
            pass
    return data


def test_a_crossed_answer_has_the_next_requests_correlation_id(broker: Broker) -> None:
    """Nothing else of it is wrong."""
    right = frame(broker)
    broker.faults.cross("Metadata")
    wrong = frame(broker)
    assert struct.unpack_from(">ii", right) == (len(right) - 4, 7)
    assert struct.unpack_from(">ii", wrong) == (len(right) - 4, 8)
    assert wrong[8:] == right[8:]


def test_an_oversized_answer_announces_what_never_comes(broker: Broker) -> None:
    """Its size is the largest there is, or the one that is given."""
    right = frame(broker)
    broker.faults.oversize("Metadata")
    broker.faults.oversize("Metadata", size=200_000_000, nth=2)
    assert [struct.unpack_from(">i", frame(broker))[0] for _ in range(2)] == [0x7FFFFFFF, 200_000_000]
    assert frame(broker) == right


def test_a_garbled_answer_keeps_its_size_and_correlation_id(broker: Broker) -> None:
    """The same seed garbles alike."""
    right = frame(broker)
    broker.faults.garble("Metadata", flips=3)
    wrong = frame(broker)
    assert wrong[:8] == right[:8]
    assert len(wrong) == len(right)
    assert 1 <= sum(a != b for a, b in zip(right, wrong, strict=True)) <= 3


def test_a_half_open_connection_says_nothing_and_stays(broker: Broker, asker: Asker) -> None:
    """Neither an answer nor an end comes; what was applied depends on what was asked for."""
    assert frame(broker)
    broker.faults.half_open("Metadata")
    assert frame(broker) == b""
    for applied in (False, True):
        fault = broker.faults.half_open("Produce", applied=applied)
        with Asker(broker.bootstrap_servers, "test") as other, ThreadPoolExecutor() as pool:
            answer = pool.submit(other.produce, "letters", batch(b"a"))
            fault.wait()
            assert len(broker.records("letters", 0)) == int(applied)
            assert not answer.done()
            assert broker.faults.disconnect(client_id="asker") >= 1
            assert answer.result(10) == SILENCE


def test_a_half_open_connection_ends_with_its_client(broker: Broker) -> None:
    """The broker keeps no socket of a client that is gone, however much that sent before."""
    fault = broker.faults.half_open("Metadata", times=None)
    asked = b"".join(map(bytes, encode_request(METADATA, 9, 7, "bare")))
    host, port = broker.bootstrap_servers.split(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), 10) as sock:
            sock.sendall(asked)
            fault.wait()
            sock.sendall(asked * 1000)
    (listener,) = broker._listeners.values()
    broker.wait_until(lambda: fault.count == 3 and not listener._connections)


def test_a_throttled_connection_that_closes_leaves_nothing_behind(broker: Broker) -> None:
    """Also where it was to take no request for an hour."""
    broker.faults.throttle(3600, "Metadata")
    connection = None
    with Asker(broker.bootstrap_servers, "test") as asker:
        asker.ask(METADATA, 9)
        (listener,) = broker._listeners.values()
        connection = weakref.ref(next(iter(listener._connections)))
    broker.wait_until(lambda: not listener._connections)
    gc.collect()
    assert connection() is None


def test_a_throttled_connection_waits_with_its_next_request(broker: Broker, asker: Asker) -> None:
    """The answer comes at once and tells the time; other connections do not notice."""
    broker.faults.throttle(0.3, "Metadata")
    started = time.perf_counter()
    assert asker.ask(METADATA, 9).throttle_time_ms == 300
    assert time.perf_counter() - started < 0.25
    with Asker(broker.bootstrap_servers, "other") as other:
        assert other.ask(METADATA, 9).throttle_time_ms == 0
    assert asker.ask(METADATA, 9).throttle_time_ms == 0
    assert time.perf_counter() - started >= 0.3


def test_a_wrong_checksum_waits_for_records(broker: Broker, asker: Asker) -> None:
    """A fetch without records is not counted; what is kept is not touched."""
    fault = broker.faults.bad_crc()
    assert not asker.ask(FETCH, 11).responses[0].partitions[0].records
    assert fault.count == 0
    asker.produce("letters", batch(b"a"))
    wrong, right = (bytes(asker.ask(FETCH, 11).responses[0].partitions[0].records) for _ in range(2))
    assert fault.count == 1
    assert wrong[:-1] == right[:-1]
    assert wrong[-1] ^ right[-1] == 1
    with Consumer(broker.bootstrap_servers, "letters", start="earliest") as consumer:
        broker.faults.bad_crc(times=None)
        with pytest.raises(FeliceError, match="checksum"):
            consumer.poll(timeout=5)


@pytest.mark.parametrize("version", [11, 13], ids=["by name", "by ID"])
def test_records_of_other_partitions_than_the_targeted_arrive_whole(broker: Broker, asker: Asker, version: int) -> None:
    """One answer brings a damaged partition beside sound ones; one without records of the target is not counted."""
    broker.create_topic("cards", 2)
    for topic, partition in (("letters", 0), ("cards", 0)):
        asker.produce(topic, batch(b"a"), partition=partition)
    topics = [
        FetchRequest.FetchTopic(
            topic=name,
            topic_id=broker.topic_id(name),
            partitions=[
                FetchRequest.FetchPartition(partition=index, fetch_offset=0, partition_max_bytes=1 << 20)
                for index in range(count)
            ],
        )
        for name, count in (("letters", 1), ("cards", 2))
    ]
    request = FetchRequest(max_wait_ms=0, min_bytes=0, topics=topics)
    fault = broker.faults.bad_crc(topic="cards", partition=1)
    answers = [asker.ask(request, version)]
    assert fault.count == 0
    asker.produce("cards", batch(b"a"), partition=1)
    answers.append(asker.ask(request, version))
    assert fault.count == 1
    sound = [
        [[_is_sound(partition.records) for partition in topic.partitions] for topic in answer.responses]
        for answer in answers
    ]
    assert sound == [[[True], [True, True]], [[True], [True, False]]]


def _is_sound(records: Any) -> bool:
    """Tell whether all batches that are there have the checksum that they say."""
    data = bytes(records)
    while data:
        size = 12 + int.from_bytes(data[8:12], "big")
        if crc32c(data[21:size]) != int.from_bytes(data[17:21], "big"):
            return False
        data = data[size:]
    return True


def test_a_wrong_checksum_is_not_in_a_batch_that_is_cut_off(broker: Broker, asker: Asker) -> None:
    """An answer may end amid a batch, which readers leave out: it is the first one that is damaged."""
    for _ in range(2):
        asker.produce("letters", batch(b"a"))
    size = len(broker.batches("letters", 0)[0])
    cut = FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=size + size // 2)
    request = FetchRequest(
        max_wait_ms=0, min_bytes=0, topics=[FetchRequest.FetchTopic(topic="letters", partitions=[cut])]
    )
    broker.faults.bad_crc()
    records = bytes(asker.ask(request, 11).responses[0].partitions[0].records)
    assert len(records) == size + size // 2
    assert not _is_sound(records[:size])


def test_a_bomb_is_small_until_it_is_unpacked(broker: Broker, asker: Asker) -> None:
    """A consumer that limits what it unpacks says so."""
    asker.produce("letters", batch(b"a"))
    broker.faults.bomb(unpacked=1 << 24, codec="zstd", times=2)
    bomb = bytes(asker.ask(FETCH, 11).responses[0].partitions[0].records)
    assert len(bomb) < 1 << 16
    assert read_header(bomb).count == 1
    with (
        Consumer(broker.bootstrap_servers, "letters", start="earliest", max_batch_bytes=1 << 20) as consumer,
        pytest.raises(FeliceError, match="unpack"),
    ):
        consumer.poll(timeout=5)


def test_stale_metadata_shows_what_was(broker: Broker, asker: Asker) -> None:
    """Leaders, nodes and topics, until the fault is removed."""
    with Broker(topics={"letters": 1}, nodes=2) as broker:
        servers = broker.bootstrap_servers.split(",")[0]
        with Asker(servers, "test") as asker, broker.faults.stale_metadata() as fault:
            led = broker.leader("letters", 0)
            broker.move_leader("letters", 0, 3 - led)
            broker.create_topic("cards", 2)
            (letters,) = asker.ask(METADATA, 9).topics
            assert letters.partitions[0].leader_id == led
            (cards,) = asker.ask(MetadataRequest(topics=[MetadataRequest.Topic(name="cards")]), 9).topics
            assert cards.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            assert fault.count == 2
            fault.remove()
            topics = {topic.name: topic for topic in asker.ask(METADATA, 9).topics}
            assert topics["letters"].partitions[0].leader_id == 3 - led
            assert len(topics["cards"].partitions) == 2


def test_stale_metadata_knows_no_topic_that_was_created_anew(broker: Broker, asker: Asker) -> None:
    """The topic of before is there with its own ID, however it is asked for, and the one of now is not."""
    before = broker.topic_id("letters")
    broker.faults.stale_metadata()
    broker.delete_topic("letters")
    broker.create_topic("letters", 3)
    now = broker.topic_id("letters")
    by_name, by_old_id, by_new_id = (
        asker.ask(MetadataRequest(topics=[asked], allow_auto_topic_creation=False), 12).topics[0]
        for asked in (
            MetadataRequest.Topic(name="letters"),
            MetadataRequest.Topic(name=None, topic_id=before),
            MetadataRequest.Topic(name=None, topic_id=now),
        )
    )
    for found in (by_name, by_old_id, *asker.ask(METADATA, 12).topics):
        assert (found.error_code, found.name, found.topic_id, len(found.partitions)) == (0, "letters", before, 1)
    assert (by_new_id.error_code, by_new_id.topic_id) == (ErrorCode.UNKNOWN_TOPIC_ID, now)
    assert not by_new_id.partitions


def test_stale_metadata_shows_nobody_what_is_not_for_them() -> None:
    """Access control entries count as they are now, and have no part in the picture."""
    settings = {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"}
    with Broker({"letters": 1, "cards": 1}, configs=settings) as broker:
        broker.faults.stale_metadata()
        allowed = Acl(Resource.TOPIC, "letters", Pattern.LITERAL, "User:*", "*", Operation.DESCRIBE, 3)
        broker._run(lambda: broker._cluster.acls.add(allowed))
        with Asker(broker.bootstrap_servers, "test") as asker:
            (letters,) = asker.ask(METADATA, 9).topics
            assert (letters.name, letters.error_code, len(letters.partitions)) == ("letters", 0, 1)
            (cards,) = asker.ask(MetadataRequest(topics=[MetadataRequest.Topic(name="cards")]), 9).topics
            assert (cards.error_code, cards.partitions) == (ErrorCode.TOPIC_AUTHORIZATION_FAILED, [])


def test_a_full_disk_refuses_records_until_there_is_room(broker: Broker, asker: Asker) -> None:
    """Everything that is written is refused, and a producer that retries loses nothing."""
    with broker.faults.disk_full() as fault:
        answers = [asker.produce("letters", batch(b"a")) for _ in range(2)]
        codes = [answer.responses[0].partition_responses[0].error_code for answer in answers]
        assert codes == [ErrorCode.KAFKA_STORAGE_ERROR] * 2
        assert fault.count == 2
        with Producer(broker.bootstrap_servers) as producer:
            delivery = producer.send("letters", b"b")
            fault.wait(count=4)
            fault.remove()
            assert delivery.result(10).offset == 0


def test_a_refusing_node_is_still_the_leader(broker: Broker, asker: Asker) -> None:
    """Its port is shut, and opens again."""
    with broker.faults.refuse():
        with pytest.raises(ConnectionRefusedError):
            frame(broker)
        assert broker.leader("letters", 0) == 1
    assert frame(broker)


def test_connections_are_closed_on_demand(broker: Broker, asker: Asker) -> None:
    """All, or those of one client; with a reset the client gets an error instead of an end."""
    host, port = broker.bootstrap_servers.split(":")
    with socket.create_connection((host, int(port)), 10) as one, socket.create_connection((host, int(port)), 10) as two:
        for sock, name in ((one, "one"), (two, "two")):
            sock.sendall(b"".join(map(bytes, encode_request(METADATA, 9, 7, name))))
            assert sock.recv(65536)
        assert broker.faults.disconnect(client_id="one") == 1
        assert one.recv(1) == b""
        assert broker.faults.disconnect(reset=True) == 1
        with pytest.raises(ConnectionResetError):
            two.recv(1)


def test_a_reset_instead_of_an_answer(broker: Broker) -> None:
    """As when a machine restarts."""
    broker.faults.drop("Metadata", reset=True)
    with pytest.raises(ConnectionResetError):
        frame(broker)


def test_chance_is_repeatable(broker: Broker) -> None:
    """The same seed hits the same requests."""

    def hits(seed: int) -> list[bool]:
        with Broker(topics={"letters": 1}, seed=seed) as broker, Asker(broker.bootstrap_servers, "test") as asker:
            broker.faults.drop("Metadata", times=None, chance=0.5)
            return [asker.ask(METADATA, 9) == SILENCE for _ in range(24)]

    first = hits(1)
    assert first == hits(1)
    assert 0 < sum(first) < 24
    assert first != hits(2)


def test_a_client_survives_each_wrong_answer(broker: Broker) -> None:
    """Whatever an answer is like, the producer comes through and the record is written once."""
    with Producer(broker.bootstrap_servers, request_timeout=1.0) as producer:
        for number, spoil in enumerate(
            (
                lambda: broker.faults.cross("Produce"),
                lambda: broker.faults.oversize("Produce"),
                lambda: broker.faults.cut("Produce"),
                lambda: broker.faults.drop("Produce", applied=True, reset=True),
                lambda: broker.faults.half_open("Produce", applied=True),
                lambda: broker.faults.throttle(0.05, "Produce"),
            )
        ):
            fault = spoil()
            assert producer.send_and_wait("letters", b"%d" % number).offset == number, fault
            assert fault.count == 1
    assert [record.value for record in broker.records("letters", 0)] == [b"%d" % number for number in range(6)]


def test_only_a_broker_can_answer_for_a_topic(broker: Broker) -> None:
    """What makes no sense is refused with what does."""
    with pytest.raises(ConfigError, match="there is no API"):
        broker.faults.garble("Metadat")
