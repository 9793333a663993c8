"""Hostile bytes and a thousand bad connections: the embedded broker answers its good clients, and stays small.

`FELICE_FUZZ_ROUNDS` multiplies the frames of the fuzz runs.
"""

import contextlib
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st

from asking import SILENCE, Asker, batch
from felice.broker import Broker
from felice.broker.handlers import HANDLERS
from felice.wire.frames import encode_request
from felice.wire.messages.create_partitions import CreatePartitionsRequest
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.registry import API_NAMES, REQUESTS
from felice.wire.schema import Field
from hostile_bytes import mutated, samples
from message_values import written_down

ROUNDS = int(os.environ.get("FELICE_FUZZ_ROUNDS", "1"))
MESSAGES = {message.__name__: message for message in written_down()}
ALL = MetadataRequest(topics=None)
THOUSAND = 1000

SENSIBLE: dict[str, st.SearchStrategy[object]] = {
    "string": st.sampled_from(
        ["letters", "diaries", "g", "m", "", "range", "uniform", "consumer", "1", "cleanup.policy"]
    ),
    "int8": st.sampled_from([-1, 0, 1, 2, 3, 4, 127]),
    "int16": st.sampled_from([-2, -1, 0, 1, 2, 32767]),
    "int32": st.sampled_from([-2, -1, 0, 1, 2, 50, 1000, 0x7FFFFFFF]),
    "int64": st.sampled_from([-2, -1, 0, 1, 1000, 1 << 40, 0x7FFFFFFFFFFFFFFF]),
    "records": st.sampled_from([batch(b"a"), batch(b"a", producer=(0, 0, 0)), b"", bytes(61)]),
}
"""What gets further than the first check, as random values would not."""


def sensible(field: Field) -> "st.SearchStrategy[object] | None":
    """Give fields values that a broker may know."""
    return SENSIBLE.get(field.type)


def connect(servers: str, timeout: float = 20.0) -> socket.socket:
    """A bare connection."""
    host, port = servers.split(",")[0].split(":")
    return socket.create_connection((host, int(port)), timeout=timeout)


def until_closed(sock: socket.socket) -> int:
    """Read until the broker closes, and return how many bytes came."""
    count = 0
    with contextlib.suppress(ConnectionError):
        while data := sock.recv(1 << 20):
            count += len(data)
    return count


@pytest.fixture(scope="module")
def victim() -> Iterator[Broker]:
    """A broker at which things are thrown."""
    with Broker(topics={"letters": 2, "diaries": 1}, configs={"log.retention.ms": -1}) as broker:
        yield broker


@pytest.fixture(scope="module")
def witness(victim: Broker) -> Iterator[Asker]:
    """A good client, whose connection outlives all of it."""
    with Asker(victim.bootstrap_servers, "") as asker:
        yield asker


def unexpected(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the broker said that it would not have expected itself."""
    return [f"{record.getMessage()}\n{record.exc_text}" for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("key", sorted(HANDLERS), ids=lambda key: API_NAMES[key])
def test_no_frame_of_any_api_is_unexpected(
    key: int, victim: Broker, witness: Asker, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """Whatever the fields hold, and however frames are spoiled: an answer, or the end of that connection, no more."""
    chance = random.Random(seed)
    request = MESSAGES[f"{API_NAMES[key]}Request"]
    versions = {request.min_version, request.max_version, chance.randint(request.min_version, request.max_version)}
    for version in versions:
        head = b"".join(encode_request(REQUESTS[key](), version, 7, "fuzz"))
        head = head[4 : len(head) - sum(map(len, REQUESTS[key]().encode(version)))]
        bodies = samples(request, version, 12 * ROUNDS, sensible)
        frames = [head + body for body in bodies]
        frames += [head + mutated(chance.choice(bodies), chance) for _ in range(20 * ROUNDS)]
        frames += [mutated(frame, chance) for frame in frames[:5]]
        for frame in frames:
            with connect(victim.bootstrap_servers) as sock:
                sock.sendall(struct.pack(">i", len(frame)) + frame)
                sock.shutdown(socket.SHUT_WR)
                until_closed(sock)
            assert not unexpected(caplog), f"version {version}: {frame.hex()}"
    assert witness.ask(ALL, 9) != SILENCE


def test_random_bytes(victim: Broker, witness: Asker, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    """Noise of all lengths, with and without a size before it, other protocols' greetings, sizes out of bounds."""
    chance = random.Random(seed)
    noise = [b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\n" * 100]
    noise += [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), bytes(1000)]
    noise += [chance.randbytes(chance.randrange(2000)) for _ in range(100 * ROUNDS)]
    noise += [struct.pack(">i", len(body)) + body for body in noise[-100:]]
    noise += [struct.pack(">ihh", 1000, key, chance.randrange(20)) + chance.randbytes(996) for key in range(100)]
    for data in noise:
        with connect(victim.bootstrap_servers) as sock, contextlib.suppress(ConnectionError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            until_closed(sock)
    assert not unexpected(caplog)
    assert witness.ask(ALL, 9) != SILENCE


def test_a_defect_in_the_broker_closes_one_connection(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no handler expects is logged with its traceback, and ends the connection that asked; others go on."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    with Broker(topics={"letters": 1}) as broker, Asker(broker.bootstrap_servers, "") as good:
        assert good.ask(ALL, 9) != SILENCE
        monkeypatch.setitem(HANDLERS._loaded, 0, HANDLERS[0]._replace(handle=fail))  # type: ignore[attr-defined]
        with Asker(broker.bootstrap_servers, "") as bad:
            assert bad.produce("letters", batch(b"a")) == SILENCE
        seen = broker.requests.count
        assert good.ask(ALL, 9) != SILENCE
        assert good._sock is not None
        assert broker.requests.count == seen + 1
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None
    assert "a defect" in str(record.exc_info[1])


def test_one_request_cannot_ask_for_too_much(victim: Broker, witness: Asker) -> None:
    """A few kilobytes that would make a million partitions are refused, as Kafka does, and at once."""
    topics = [
        CreateTopicsRequest.CreatableTopic(name=f"bomb-{number}", num_partitions=9_000, replication_factor=1)
        for number in range(100)
    ]
    answer = witness.ask(CreateTopicsRequest(topics=topics), 7)
    assert {topic.error_code for topic in answer.topics} == {44}
    assert not any(name.startswith("bomb") for name in victim.topics)
    small = [f"small-{number}" for number in range(10)]
    for name in small:
        victim.create_topic(name, 1)
    grown = [CreatePartitionsRequest.CreatePartitionsTopic(name=name, count=4_001, assignments=None) for name in small]
    answer = witness.ask(CreatePartitionsRequest(topics=grown, timeout_ms=1000, validate_only=True), 3)
    assert [result.error_code for result in answer.results] == [0, 0] + 8 * [-1]


# --- a thousand bad connections ---


class Process:
    """A broker in a process of its own, so that its memory can be told from the test's."""

    def __init__(self, pid: int, servers: str) -> None:
        self.pid = pid
        self.servers = servers

    def memory(self) -> int:
        """Bytes that it has in memory."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * resource.getpagesize()

    def connections(self) -> int:
        """How many sockets it has open."""
        links = Path(f"/proc/{self.pid}/fd")
        return sum(1 for link in links.iterdir() if _target(link).startswith("socket:"))


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


@pytest.fixture
def process() -> Iterator[Process]:
    """The command."""
    if sys.platform != "linux":
        pytest.skip("what a process holds is read from /proc")
    _allow_files(3 * THOUSAND)
    command = [sys.executable, "-m", "felice.broker", "--port", "0", "--topic", "letters:4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as broker:
        assert broker.stdout is not None
        try:
            yield Process(broker.pid, broker.stdout.readline().split()[1])
        finally:
            broker.terminate()


def _allow_files(count: int) -> None:
    """Let this process and its children have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            pytest.skip(f"a process may have {hard} files open here, and this test needs {count}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


class Good:
    """A client that asks and asks, on one connection, and notes how long answers take."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._more = threading.Condition()
        self.worst = 0.0
        self.answers = 0
        self.ended = False

    def __enter__(self) -> "Good":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _work(self) -> None:
        with Asker(self._servers, "") as asker:
            while not self._done.is_set():
                began = time.perf_counter()
                if SILENCE in (asker.ask(ALL, 9), asker.produce("letters", batch(b"a"))):
                    self.ended = True
                with self._more:
                    self.worst = max(self.worst, time.perf_counter() - began)
                    self.answers += 1
                    self._more.notify_all()

    def go_on(self, count: int) -> None:
        """Wait for so many more answers."""
        with self._more:
            goal = self.answers + count
            assert self._more.wait_for(lambda: self.answers >= goal, 60)


def test_a_thousand_bad_connections(process: Process, seed: int) -> None:
    """Silent ones, half-open ones, slow ones, noisy ones: a good client is answered promptly meanwhile.

    Connections that only wait stay open; the memory that all of them take is bounded, whatever they announce.
    """
    chance = random.Random(seed)
    request = b"".join(encode_request(ALL, 9, 1, "slow"))
    sockets: list[socket.socket] = []
    try:
        with Good(process.servers) as good:
            before = process.memory()
            for number in range(THOUSAND):
                sock = connect(process.servers)
                sockets.append(sock)
                match number % 5:
                    case 1:
                        sock.sendall(b"\0\0")  # half of a size
                    case 2:
                        sock.sendall(struct.pack(">i", 100_000_000) + bytes(100))  # much is announced
                    case 3:
                        sock.sendall(request[: chance.randrange(4, len(request))])  # half of a request
                    case 4:
                        sock.sendall(request * 3)  # and nobody reads the answers
            for at in range(len(request)):  # a byte at a time, from a hundred clients
                for sock in sockets[::10][:100]:
                    sock.sendall(request[at : at + 1])
            for _ in range(THOUSAND):  # come, make noise, and go
                with connect(process.servers) as sock, contextlib.suppress(ConnectionError):
                    sock.sendall(chance.randbytes(200))
            good.go_on(100)
            assert process.connections() >= THOUSAND
            grown = process.memory() - before
        for sock in sockets[::10][:100]:
            assert sock.recv(4)
        print(f"{good.answers} rounds, the slowest took {good.worst * 1000:.0f} ms; {grown / 1e6:.0f} MB")
        assert not good.ended
        assert good.worst < 5
        assert grown < 100_000_000
    finally:
        for sock in sockets:
            sock.close()


def test_who_does_not_read_costs_one_answer(process: Process) -> None:
    """Large answers do not pile up: a connection's next request is handled when the answer before it has gone."""
    with Asker(process.servers, "") as asker:
        for _ in range(40):
            asker.produce("letters", batch(b"x" * 500_000))
        wide = CreateTopicsRequest.CreatableTopic(name="wide", num_partitions=4_000, replication_factor=1)
        asker.ask(CreateTopicsRequest(topics=[wide]), 7)
        partitions = [FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 30)]
        letters = FetchRequest.FetchTopic(topic="letters", partitions=partitions)
        fetch = FetchRequest(max_wait_ms=0, min_bytes=0, max_bytes=1 << 30, topics=[letters])
        everything = b"".join(encode_request(fetch, 11, 1, "greedy"))
        describe = b"".join(encode_request(ALL, 9, 1, "greedy"))
        before = process.memory()
        sockets = [connect(process.servers) for _ in range(10)]
        try:
            for sock in sockets:
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    for _ in range(100):
                        sock.send((everything + describe) * 50)
            assert asker.ask(ALL, 9) != SILENCE
            grown = process.memory() - before
            print(f"{grown / 1e6:.0f} MB")
            assert grown < 50_000_000
        finally:
            for sock in sockets:
                sock.close()


def test_running_out_of_files_is_survived(process: Process) -> None:
    """While there are no more descriptors the broker serves whom it has, and takes others when there are again."""
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (100, 100))
    with Asker(process.servers, "") as old:
        assert old.ask(ALL, 9) != SILENCE
        sockets = [connect(process.servers) for _ in range(150)]  # the kernel takes them, the broker not all
        try:
            for _ in range(20):
                assert old.ask(ALL, 9) != SILENCE
            assert process.connections() < 100
        finally:
            for sock in sockets:
                sock.close()
        with Asker(process.servers, "") as new:
            assert new.ask(ALL, 9) != SILENCE
