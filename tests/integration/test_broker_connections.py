"""The embedded broker's connections: order, waiting, limits, and peers that behave badly."""

import os
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asking import Asker, batch
from felice.broker import Broker
from felice.errors import ClosedError, ConfigError
from felice.wire.frames import decode_response, encode_request, response_correlation_id
from felice.wire.messages.fetch import FetchRequest, FetchResponse
from felice.wire.messages.metadata import MetadataRequest


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with one topic of four partitions."""
    with Broker(topics={"letters": 4}) as broker:
        yield broker


@pytest.fixture
def asker(broker: Broker) -> Iterator[Asker]:
    """A connection to it."""
    with Asker(broker.bootstrap_servers, "test") as asker:
        yield asker


def fetch(
    *indexes: int, offset: int = 0, wait: float = 10.0, min_bytes: int = 1, each: int = 1 << 20, session: bool = False
) -> FetchRequest:
    """A request for partitions of `letters`."""
    partitions = [
        FetchRequest.FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=each)
        for index in indexes or (0,)
    ]
    return FetchRequest(
        max_wait_ms=int(wait * 1000),
        min_bytes=min_bytes,
        max_bytes=1 << 20,
        session_epoch=0 if session else -1,
        topics=[FetchRequest.FetchTopic(topic="letters", partitions=partitions)],
    )


def connect(broker: Broker) -> socket.socket:
    """A bare connection."""
    host, port = broker.bootstrap_servers.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def receive(sock: socket.socket) -> bytes:
    """Receive one frame."""

    def take(size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = sock.recv(size - len(data))
            assert more, "the broker closed the connection"
            data += more
        return bytes(data)

    return take(struct.unpack(">i", take(4))[0])


def test_a_broker_is_ready_in_less_than_a_tenth_of_a_second() -> None:
    """From the constructor to the first answer; the best of ten, for others may use the machine too."""

    def took() -> float:
        started = time.perf_counter()
        with Broker(topics={"letters": 4}) as broker, Asker(broker.bootstrap_servers, "") as asker:
            assert asker.ask(MetadataRequest(topics=None), 9).topics[0].name == "letters"
            return time.perf_counter() - started

    assert any(took() < 0.1 for _ in range(10))


def test_many_brokers_run_side_by_side() -> None:
    """Twenty at once, each with its own ports and topics, and nothing is left of them."""
    files = len(os.listdir("/proc/self/fd"))
    brokers = [Broker(topics={f"t{number}": 1}).start() for number in range(20)]
    assert len({broker.bootstrap_servers for broker in brokers}) == 20
    for number, broker in enumerate(brokers):
        assert broker.topics == {f"t{number}": 1}
    for broker in brokers:
        broker.close()
        broker.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "felice-broker"]
    assert len(os.listdir("/proc/self/fd")) <= files


def test_only_loopback_is_listened_on(broker: Broker) -> None:
    """Nobody else on the network reaches it."""
    assert broker.bootstrap_servers.startswith("127.0.0.1:")


def test_what_is_advertised_can_be_another_name() -> None:
    """Clients are told the name that is given; without one, an address of all interfaces is refused."""
    with pytest.raises(ConfigError, match="advertised_host"):
        Broker(host="0.0.0.0")
    with Broker(advertised_host="localhost") as broker, Asker(broker.bootstrap_servers, "") as asker:
        assert broker.bootstrap_servers.startswith("localhost:")
        assert [node.host for node in asker.ask(MetadataRequest(topics=[]), 9).brokers] == ["localhost"]


def test_a_closed_broker_says_so() -> None:
    """What cannot be asked any more raises an error that says why."""
    broker = Broker(topics={"letters": 1})
    with pytest.raises(ClosedError):
        _ = broker.bootstrap_servers
    with broker:
        assert broker.topics == {"letters": 1}
    with pytest.raises(ClosedError):
        broker.records("letters", 0)
    with pytest.raises(ClosedError):
        broker.start()


def test_pipelined_requests_are_answered_in_order(broker: Broker) -> None:
    """A hundred requests at once, a waiting one among them: the answers keep the order of the requests."""
    with connect(broker) as sock:
        frames = [b"".join(encode_request(MetadataRequest(topics=[]), 9, number, "test")) for number in range(100)]
        frames[50] = b"".join(encode_request(fetch(wait=0.05), 11, 50, "test"))
        sock.sendall(b"".join(frames))
        assert [response_correlation_id(receive(sock)) for _ in range(100)] == list(range(100))


def test_requests_come_in_any_pieces(broker: Broker, seed: int) -> None:
    """Bytes that dribble in, and requests that come together, are read right."""
    chance = random.Random(seed)
    frames = [b"".join(encode_request(MetadataRequest(topics=None), 9, number, "test")) for number in range(20)]
    stream = b"".join(frames)
    with connect(broker) as sock:
        while stream:
            count = chance.choice([1, 2, 3, 30, 200])
            sock.sendall(stream[:count])
            stream = stream[count:]
        assert [response_correlation_id(receive(sock)) for _ in range(20)] == list(range(20))


def test_a_poll_ends_when_records_come(broker: Broker, asker: Asker) -> None:
    """A waiting reader is answered as soon as somebody writes, not at the end of its time."""
    with ThreadPoolExecutor() as pool, Asker(broker.bootstrap_servers, "") as writer:
        waiting = pool.submit(asker.ask, fetch(0, 1, 2, wait=30), 11)
        broker.requests.wait_for("Fetch")
        started = time.perf_counter()
        writer.produce("letters", batch(b"hello"), partition=1)
        answer: FetchResponse = waiting.result(10)
        assert time.perf_counter() - started < 1
    sizes = [len(partition.records or b"") for partition in answer.responses[0].partitions]
    assert sizes[1] == len(batch(b"hello"))
    assert sizes[0] == sizes[2] == 0


def test_a_poll_waits_for_as_many_bytes_as_it_asks_for(broker: Broker, asker: Asker) -> None:
    """Too little does not end the wait; enough in several partitions together does."""
    size = len(batch(b"hello"))
    with ThreadPoolExecutor() as pool, Asker(broker.bootstrap_servers, "") as writer:
        waiting = pool.submit(asker.ask, fetch(0, 1, wait=30, min_bytes=3 * size), 11)
        broker.requests.wait_for("Fetch")
        writer.produce("letters", batch(b"hello"), partition=0)
        writer.produce("letters", batch(b"hello"), partition=1)
        writer.produce("letters", batch(b"hello"), partition=2)  # nobody reads this one
        assert not waiting.done()
        writer.produce("letters", batch(b"hello"), partition=0)
        answer: FetchResponse = waiting.result(10)
    assert [len(partition.records or b"") for partition in answer.responses[0].partitions] == [2 * size, size]


def test_a_poll_ends_when_its_topic_is_deleted(broker: Broker, asker: Asker) -> None:
    """Who waits for a topic that goes is told at once."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(asker.ask, fetch(wait=30), 11)
        broker.requests.wait_for("Fetch")
        broker.delete_topic("letters")
        assert waiting.result(10).responses[0].partitions[0].error_code == 3


def test_a_poll_of_a_client_that_went_away_is_forgotten(broker: Broker) -> None:
    """A closed connection leaves nobody waiting for the partition."""
    with connect(broker) as sock:
        sock.sendall(b"".join(encode_request(fetch(wait=600), 11, 1, "test")))
        broker.requests.wait_for("Fetch")
        partition = broker._cluster.partition("letters", 0)
        assert len(partition.watchers) == 1
    deadline = time.monotonic() + 10
    while partition.watchers and time.monotonic() < deadline:
        time.sleep(0.005)  # the kernel tells the broker, and nobody else
    assert not partition.watchers


def test_a_slow_reader_holds_up_nobody_else(broker: Broker, asker: Asker) -> None:
    """Megabytes that a client asks for and does not read wait for it, and others are served meanwhile."""
    for _ in range(8):
        asker.produce("letters", batch(b"x" * 1_000_000))
    with connect(broker) as slow:
        request = fetch(each=8 << 20)
        request.max_bytes = 8 << 20
        frame = b"".join(encode_request(request, 11, 1, "slow"))
        slow.sendall(frame * 3)
        broker.requests.wait_for("Fetch")
        assert asker.ask(MetadataRequest(topics=None), 9).topics
        for _ in range(3):
            answer = decode_response(FetchResponse, 11, receive(slow))
            assert len(answer.responses[0].partitions[0].records or b"") > 1_000_000


def test_an_idle_broker_costs_nothing(broker: Broker, asker: Asker) -> None:
    """With clients connected and polling for long, nothing runs."""
    with connect(broker) as sock:
        sock.sendall(b"".join(encode_request(fetch(wait=60), 11, 1, "test")))
        broker.requests.wait_for("Fetch")
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "felice-broker")
        spent = Path(f"/proc/self/task/{thread.native_id}/schedstat")
        before = int(spent.read_text().split()[0])
        threading.Event().wait(1.0)
        assert int(spent.read_text().split()[0]) - before < 1_000_000  # nanoseconds on a processor


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100,
    "negative": b"\xff\xff\xff\xff",
    "huge": b"\x7f\xff\xff\xff" + b"x" * 1000,
    "short": b"\0\0\0\2\0\1",
    "empty": b"\0\0\0\0",
    "client": b"\0\0\0\x0e\0\3\0\x09\0\0\0\1\x7f\xff" + b"abcd",
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_closes_its_connection_and_no_other(broker: Broker, asker: Asker, garbage: str) -> None:
    """What is no request ends the connection that it came on; the others go on."""
    asker.ask(MetadataRequest(topics=None), 9)
    with connect(broker) as sock:
        sock.sendall(GARBAGE[garbage])
        assert ended(sock)
    assert asker.ask(MetadataRequest(topics=None), 9).topics


def ended(sock: socket.socket) -> bool:
    """Tell whether the other side closes the connection."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_random_and_damaged_requests_close_connections_only(broker: Broker, asker: Asker, seed: int) -> None:
    """Thousands of frames of noise, and of requests with flipped bytes, leave the broker as it was."""
    chance = random.Random(seed)
    good = [
        b"".join(encode_request(request, version, 1, "noise"))
        for request, version in [(MetadataRequest(topics=None), 9), (fetch(wait=0), 11), (fetch(wait=0), 4)]
    ]
    sock = connect(broker)
    for _ in range(3000):
        frame = bytearray(chance.choice(good))
        if chance.random() < 0.3:
            frame = bytearray(struct.pack(">i", 40) + chance.randbytes(40))
        for _ in range(chance.randrange(4)):
            frame[chance.randrange(4, len(frame))] = chance.randrange(256)
        try:
            sock.sendall(frame)
            sock.setblocking(False)
            sock.recv(65536)
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            sock = connect(broker)
        sock.settimeout(10)
    sock.close()
    assert asker.ask(MetadataRequest(topics=[MetadataRequest.Topic(name="letters")]), 9).topics[0].error_code == 0
    assert asker.produce("letters", batch(b"a")).responses[0].partition_responses[0].base_offset == 0


def test_hundreds_of_idle_and_half_open_connections(broker: Broker, asker: Asker) -> None:
    """Connections that say nothing, or half of something, cost little, and others are served."""
    sockets = [connect(broker) for _ in range(300)]
    for number, sock in enumerate(sockets):
        if number % 2:
            sock.sendall(b"\0\0\x10\0half a request")
    started = time.perf_counter()
    for _ in range(20):
        assert asker.ask(MetadataRequest(topics=None), 9).topics
    assert time.perf_counter() - started < 2
    for sock in sockets:
        sock.close()


def test_the_log_of_requests_tells_what_came(broker: Broker, asker: Asker) -> None:
    """Every request is noted with its version, node and client, and can be waited for."""
    before = broker.requests.count
    asker.ask(MetadataRequest(topics=None), 9)
    asker.produce("letters", batch(b"a"), version=8)
    seen = broker.requests.wait_for("Produce", after=before)
    assert (seen.version, seen.node, seen.client_id) == (8, 1, "asker")
    assert [entry.api for entry in broker.requests][-2:] == ["Metadata", "Produce"]
    with pytest.raises(TimeoutError):
        broker.requests.wait_for("Produce", 0.01, after=seen.number)
