"""The fault proxy: everything goes through it and can go wrong there, whoever's client and cluster it is."""

import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import Producer as ConfluentProducer
from confluent_kafka import TopicPartition

from asking import SILENCE, Asker, batch
from felice import Consumer, Producer
from felice.broker import Broker
from felice.errors import ConfigError, ErrorCode
from felice.testing import FaultProxy
from felice.wire.frames import encode_request
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.heartbeat import HeartbeatRequest
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse

METADATA = MetadataRequest(topics=None)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A cluster of two nodes."""
    with Broker(topics={"letters": 2}, nodes=2) as broker:
        yield broker


@pytest.fixture
def proxy(broker: Broker) -> Iterator[FaultProxy]:
    """The proxy before it."""
    with FaultProxy(broker.bootstrap_servers, seed=1883) as proxy:
        yield proxy


@pytest.fixture
def asker(proxy: FaultProxy) -> Iterator[Asker]:
    """A connection through it."""
    with Asker(proxy.bootstrap_servers.split(",")[0], "test") as asker:
        yield asker


def connect(proxy: FaultProxy) -> socket.socket:
    """A bare connection to the proxy."""
    host, port = proxy.bootstrap_servers.split(",")[0].split(":")
    return socket.create_connection((host, int(port)), 10)


def ports(addresses: str) -> set[int]:
    """Return the ports of some addresses."""
    return {int(address.rpartition(":")[2]) for address in addresses.split(",")}


def test_clients_see_the_proxys_addresses_in_every_version(broker: Broker, proxy: FaultProxy, asker: Asker) -> None:
    """In metadata and of coordinators; otherwise the answers are the cluster's."""
    inside, outside = ports(broker.bootstrap_servers), ports(proxy.bootstrap_servers)
    assert not inside & outside
    for version in range(14):
        answer = asker.ask(METADATA if version else MetadataRequest(topics=[]), version)
        assert {node.port for node in answer.brokers} == outside
        assert {topic.name: len(topic.partitions) for topic in answer.topics} == {"letters": 2}
    for version in range(7):
        keys = {"coordinator_keys": ["post"]} if version >= 4 else {"key": "post"}
        found = asker.ask(FindCoordinatorRequest(**keys), version)
        assert {each.port for each in (found.coordinators if version >= 4 else [found])} <= outside
    assert {int(address.rpartition(":")[2]) for address in proxy.nodes.values()} == outside
    assert sorted(proxy.nodes) == [1, 2]


def test_a_leader_that_moved_is_named_with_the_proxys_address(broker: Broker, proxy: FaultProxy) -> None:
    """The hint of a refused Produce leads through the proxy, too (KIP-951)."""
    with Producer(proxy.bootstrap_servers) as producer:
        producer.send_and_wait("letters", b"one", partition=0)
        broker.move_leader("letters", 0, 3 - broker.leader("letters", 0))
        fault = proxy.faults.delay(0, "Produce", times=None)
        producer.send_and_wait("letters", b"two", partition=0)
        assert fault.count == 2
    assert [record.value for record in broker.records("letters", 0)] == [b"one", b"two"]


def test_other_peoples_clients_go_through(broker: Broker, proxy: FaultProxy) -> None:
    """librdkafka writes and reads, with and without acknowledgements, while the proxy delays and drops."""
    proxy.faults.delay(0.01, "Produce", jitter=0.01, times=None)
    producers = []  # one that is gone takes with it what the proxy still delays
    for acks in ("0", "all"):
        producer = ConfluentProducer({"bootstrap.servers": proxy.bootstrap_servers, "acks": acks})
        producers.append(producer)
        if acks == "all":
            proxy.faults.drop("Produce", applied=False)
        for number in range(100):
            producer.produce("letters", b"%d" % number, partition=number % 2)
        assert producer.flush(20) == 0
    consumer = ConfluentConsumer({"bootstrap.servers": proxy.bootstrap_servers, "group.id": "post"})
    consumer.assign([TopicPartition("letters", partition, 0) for partition in (0, 1)])
    seen = []
    deadline = time.monotonic() + 20
    while len(seen) < 200 and time.monotonic() < deadline:
        seen += [message.value() for message in consumer.consume(200, 0.1)]
    consumer.close()
    assert sorted(seen) == sorted([b"%d" % number for number in range(100)] * 2)


def test_an_answer_that_is_lost_on_the_way_was_written(broker: Broker, proxy: FaultProxy) -> None:
    """An idempotent producer writes it once all the same."""
    with Producer(proxy.bootstrap_servers) as producer:
        for fault in (
            proxy.faults.drop("Produce", applied=True),
            proxy.faults.cut("Produce", nth=2),
            proxy.faults.cross("Produce", nth=4),
            proxy.faults.oversize("Produce", nth=6),
        ):
            producer.send_and_wait("letters", repr(fault.action).encode(), partition=0)
            assert fault.count == 1, fault
    assert len(broker.records("letters", 0)) == 4


def test_a_half_open_connection(broker: Broker, proxy: FaultProxy) -> None:
    """The client's request timeout finds it, and nothing is lost."""
    with Producer(proxy.bootstrap_servers, request_timeout=0.5) as producer:
        fault = proxy.faults.half_open("Produce", applied=True)
        assert producer.send_and_wait("letters", b"hello", partition=0).offset == 0
        assert fault.count == 1
    assert len(broker.records("letters", 0)) == 1


def test_records_with_a_wrong_checksum_are_fetched_again(broker: Broker, proxy: FaultProxy) -> None:
    """What is kept is right, so once is no harm."""
    with Producer(broker.bootstrap_servers) as producer:
        producer.send_and_wait("letters", b"hello", partition=0)
    fault = proxy.faults.bad_crc()
    with Consumer(proxy.bootstrap_servers, "letters", start="earliest") as consumer:
        assert consumer.poll(timeout=10).values() == [b"hello"]
    assert fault.count == 1


def test_one_node_is_cut_off(broker: Broker, proxy: FaultProxy, asker: Asker) -> None:
    """It refuses through the proxy while the cluster knows nothing of it."""
    asker.ask(METADATA, 9)
    led = broker.leader("letters", 0)
    address = proxy.nodes[led]
    with proxy.faults.refuse(led):
        with pytest.raises(ConnectionRefusedError), Asker(address, "test") as other:
            other.ask(METADATA, 9)
        assert broker.leader("letters", 0) == led
    with Asker(address, "test") as other:
        assert other.ask(METADATA, 9).brokers


def test_a_frozen_node_goes_on_when_it_is_thawed(proxy: FaultProxy, asker: Asker) -> None:
    """Nothing passes meanwhile."""
    asker.ask(METADATA, 9)
    with Producer(proxy.bootstrap_servers) as producer:
        with proxy.faults.freeze():
            delivery = producer.send("letters", b"hello", partition=0)
            time.sleep(0.1)
            assert not delivery.done()
        assert delivery.result(10).offset == 0


def test_throttled_by_the_proxy(asker: Asker, proxy: FaultProxy) -> None:
    """The answer tells the time, and the next one comes after it."""
    proxy.faults.throttle(0.2, "Metadata")
    started = time.perf_counter()
    assert asker.ask(METADATA, 9).throttle_time_ms == 200
    asker.ask(METADATA, 9)
    assert time.perf_counter() - started >= 0.2


def test_without_a_cluster_connections_just_end(caplog: pytest.LogCaptureFixture) -> None:
    """As they do where a port is open and nobody behind it; the log says who was not to be reached."""
    with Broker() as gone:
        address = gone.bootstrap_servers
    with FaultProxy(address) as proxy, Asker(proxy.bootstrap_servers, "test") as asker:
        assert asker.ask(METADATA, 9) == SILENCE
    proxy.close()
    (told,) = caplog.messages
    assert f"{address} behind the proxy: ConnectionRefusedError" in told


def test_a_node_that_hangs_up_is_noticed_by_clients_that_ask_nothing(broker: Broker, proxy: FaultProxy) -> None:
    """As they notice without a proxy."""
    with connect(proxy) as sock:
        sock.sendall(b"".join(map(bytes, encode_request(METADATA, 9, 7, "bare"))))
        assert sock.recv(65536)
        broker.faults.disconnect()
        assert sock.recv(65536) == b""


def test_a_node_that_hangs_up_behind_its_answer_has_answered() -> None:
    """The answer comes through before the end does, to a slow reader too."""
    answer = struct.pack(">iih", 50_000_006, 7, 27) + bytes(50_000_000)
    with socket.create_server(("127.0.0.1", 0)) as node:

        def serve() -> None:
            sock, _ = node.accept()
            with sock, sock.makefile("rb") as stream:
                stream.read(int.from_bytes(stream.read(4), "big"))
                sock.sendall(answer)

        with FaultProxy(f"127.0.0.1:{node.getsockname()[1]}") as proxy, ThreadPoolExecutor() as pool:
            served = pool.submit(serve)
            with connect(proxy) as sock:
                sock.sendall(b"".join(map(bytes, encode_request(HeartbeatRequest(), 0, 7, "bare"))))
                served.result(10)
                with sock.makefile("rb") as stream:
                    assert stream.read() == answer


def test_a_node_that_has_another_id_now_is_found_by_it(broker: Broker, proxy: FaultProxy) -> None:
    """A cluster that was made anew at the same addresses counts its nodes otherwise."""
    host, port = broker.bootstrap_servers.split(",")[0].split(":")
    for node_id in (9, 2):
        place = MetadataResponse.Broker(node_id=node_id, host=host, port=int(port))
        proxy._run(partial(proxy._redirect, place, node_id))
        assert list(proxy.nodes) == [node_id]


def test_bytes_that_make_no_sense_only_end_their_connection(
    broker: Broker, proxy: FaultProxy, asker: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    """A Produce request that is none is no failure of the proxy's."""
    with connect(proxy) as sock:
        frame = struct.pack(">hhih", 0, 9, 7, -1) + b"\0" + b"\xff" * 9
        sock.sendall(struct.pack(">i", len(frame)) + frame)
        assert sock.recv(65536) == b""
    assert asker.ask(METADATA, 9).brokers
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_what_only_a_broker_can_do_is_refused(proxy: FaultProxy) -> None:
    """With what to use instead."""
    for wrong in (
        lambda: proxy.faults.error(ErrorCode.NOT_LEADER_OR_FOLLOWER, "Produce"),
        proxy.faults.disk_full,
        proxy.faults.stale_metadata,
    ):
        with pytest.raises(ConfigError, match="cannot be done from outside"):
            wrong()
    with pytest.raises(ConfigError, match="cannot be targeted from outside"):
        proxy.faults.drop("Produce", topic="letters")
    with pytest.raises(ConfigError, match="no answer has named a node 7"):
        proxy.faults.freeze(7)


def test_records_pass_as_they_are(broker: Broker, proxy: FaultProxy, asker: Asker) -> None:
    """A batch is the same on both sides."""
    with Asker(proxy.bootstrap_servers.split(",")[0], "test") as one:
        answers = {
            one.produce("letters", batch(b"a"), partition=p).responses[0].partition_responses[0].error_code
            for p in (0, 1)
        }
    assert answers == {0, ErrorCode.NOT_LEADER_OR_FOLLOWER}
