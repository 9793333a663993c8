"""Asks any broker questions over a bare socket, and brings its answers into a form that can be compared."""

import gzip
import itertools
import socket
import struct
import time
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import crc32c

from felice.wire.frames import decode_response, encode_request
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.init_producer_id import InitProducerIdRequest
from felice.wire.messages.list_offsets import ListOffsetsRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.produce import ProduceRequest
from felice.wire.schema import Request, Struct

NOW = int(time.time()) * 1000
"""The timestamp of all records, the same for both brokers."""

PATIENCE = 20.0

SILENCE = "closed"
"""What comes back where the broker closes the connection."""


def varint(number: int) -> bytes:
    """Return a zigzag varint."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes((number,))


def record(
    value: bytes | None, key: bytes | None = None, *, delta: int = 0, time_delta: int = 0, attributes: int = 0
) -> bytes:
    """Return one record of a batch."""
    body = bytes((attributes,)) + varint(time_delta) + varint(delta)
    for part in (key, value):
        body += varint(-1) if part is None else varint(len(part)) + part
    body += varint(0)
    return varint(len(body)) + body


def batch(
    *values: bytes | None,
    keys: Sequence[bytes | None] = (),
    records: bytes | None = None,
    count: int | None = None,
    last_delta: int | None = None,
    base_offset: int = 0,
    magic: int = 2,
    crc: int | None = None,
    attributes: int = 0,
    time: int = NOW,
    max_time: int | None = None,
    time_deltas: Sequence[int] = (),
    producer: tuple[int, int, int] = (-1, -1, -1),
) -> bytes:
    """Return a record batch, right or wrong in whatever way is asked for; `producer` is ID, epoch, sequence."""
    if records is None:
        records = b"".join(
            record(value, key, delta=number, time_delta=time_delta)
            for number, (value, key, time_delta) in enumerate(
                zip(values, keys or [None] * len(values), time_deltas or [0] * len(values), strict=True)
            )
        )
        if attributes & 7 == 1:
            records = gzip.compress(records, mtime=0)
    tail = struct.pack(
        ">hiqqqhii",
        attributes,
        len(values) - 1 if last_delta is None else last_delta,
        time,
        time + max(time_deltas, default=0) if max_time is None else max_time,
        *producer,
        len(values) if count is None else count,
    )
    tail += records
    checksum = crc32c.crc32c(tail) if crc is None else crc
    return struct.pack(">qiibI", base_offset, 9 + len(tail), -1, magic, checksum) + tail


class Asker:
    """One connection to a broker, opened anew when the broker has closed it."""

    def __init__(self, bootstrap_servers: str, run: str, source: str = "") -> None:
        """Take whom to ask, a word for the names that are made up, and the address to come from."""
        self._address = bootstrap_servers.split(",")[0].rsplit(":", 1)
        self._source = source
        self._sock: socket.socket | None = None
        self._ids = itertools.count(1)
        self._run = run
        self._topics = itertools.count(1)
        self.topic_ids: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def raw(self, frame: bytes) -> bytes | None:
        """Send a frame as it is, and return the answer's frame, or None where the broker closes the connection."""
        sock = self._connected()
        try:
            sock.sendall(frame)
            return self._frame()
        except (ConnectionError, EOFError):
            self.hang_up()
            return None

    def ask(self, request: Request[Any], version: int) -> Any:
        """Send a request and return the response, or `SILENCE`."""
        frame = b"".join(encode_request(request, version, next(self._ids), "asker"))
        answer = self.raw(frame)
        return SILENCE if answer is None else decode_response(request.response, version, answer)

    def begin(self, request: Request[Any], version: int) -> None:
        """Send a request whose answer is fetched later, by `finish`."""
        frame = b"".join(encode_request(request, version, next(self._ids), "asker"))
        self._connected().sendall(frame)

    def finish(self, request: type[Request[Any]], version: int) -> Any:
        """Return the answer to what was begun, or `SILENCE`."""
        try:
            return decode_response(request.response, version, self._frame())
        except (ConnectionError, EOFError):
            self.hang_up()
            return SILENCE

    def beside(self, source: str = "") -> "Asker":
        """Return one like this with a connection of its own, from another address if one is given."""
        return Asker(":".join(self._address), self._run, source)

    def tell(self, request: Request[Any], version: int) -> str:
        """Send a request that gets no answer, and tell whether the connection outlives it."""
        frame = b"".join(encode_request(request, version, next(self._ids), "asker"))
        probe = b"".join(encode_request(MetadataRequest(topics=[]), 9, next(self._ids), "asker"))
        return SILENCE if self.raw(frame + probe) is None else "open"

    def name(self) -> str:
        """Return a new topic's name, the same one on both brokers."""
        return f"q-{self._run}-{next(self._topics)}"

    def topic(self, partitions: int = 1, **configs: object) -> str:
        """Create a topic and wait until it can be used."""
        name = self.name()
        texts = [
            CreateTopicsRequest.CreatableTopicConfig(name=key.replace("_", "."), value=str(value))
            for key, value in configs.items()
        ]
        asked = CreateTopicsRequest.CreatableTopic(
            name=name, num_partitions=partitions, replication_factor=1, configs=texts
        )
        answer = self.ask(CreateTopicsRequest(topics=[asked]), 7).topics[0]
        assert answer.error_code == 0, answer
        self.topic_ids[name] = answer.topic_id
        deadline = time.monotonic() + PATIENCE
        every = [ListOffsetsRequest.ListOffsetsPartition(partition_index=i, timestamp=-1) for i in range(partitions)]
        ready = ListOffsetsRequest(
            replica_id=-1, topics=[ListOffsetsRequest.ListOffsetsTopic(name=name, partitions=every)]
        )
        while any(found.error_code for found in self.ask(ready, 5).topics[0].partitions):
            assert time.monotonic() < deadline, f"{name} did not come up"
            time.sleep(0.02)  # real Kafka tells nobody when it is
        return name

    def produce(
        self, topic: str, records: bytes | None, *, partition: int = 0, version: int = 9, acks: int = -1,
        transactional_id: str | None = None, topic_id: bytes | None = None,
    ) -> Any:  # fmt: skip
        """Send one record set."""
        request = ProduceRequest(
            acks=acks,
            timeout_ms=5000,
            transactional_id=transactional_id,
            topic_data=[
                ProduceRequest.TopicProduceData(
                    name=topic,
                    topic_id=topic_id or self.topic_ids.get(topic, bytes(16)),
                    partition_data=[ProduceRequest.PartitionProduceData(index=partition, records=records)],
                )
            ],
        )
        return self.tell(request, version) if acks == 0 else self.ask(request, version)

    def producer_id(self) -> int:
        """Return a new producer ID."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000), 4)
            if answer.error_code == 0:
                return int(answer.producer_id)
            assert time.monotonic() < deadline, answer
            time.sleep(0.02)

    def transactional_producer(self, transactional_id: str) -> tuple[int, int]:
        """Return the producer ID and epoch of a transactional ID, when its coordinator is up."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.ask(FindCoordinatorRequest(coordinator_keys=[transactional_id], key_type=1), 4)
            if found.coordinators[0].error_code == 0:
                request = InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=10_000)
                answer = self.ask(request, 4)
                if answer.error_code == 0:
                    return int(answer.producer_id), int(answer.producer_epoch)
            assert time.monotonic() < deadline, found
            time.sleep(0.05)  # real Kafka creates a topic for this first

    def _connected(self) -> socket.socket:
        """Return the connection, opened if need be."""
        if self._sock is None:
            host, port = self._address
            self._sock = socket.create_connection((host, int(port)), PATIENCE, (self._source, 0))
        return self._sock

    def _frame(self) -> bytes:
        """Receive one frame."""
        return self._receive(struct.unpack(">i", self._receive(4))[0])

    def _receive(self, size: int) -> bytes:
        """Receive as many bytes."""
        assert self._sock is not None
        data = b""
        while len(data) < size:
            more = self._sock.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data


IGNORED = {"throttle_time_ms", "unknown_tags"}
IDENTIFIERS = {"topic_id", "cluster_id", "session_id", "producer_id", "host", "port"}
TEXTS = {"error_message", "batch_index_error_message", "documentation"}
NOTHING = (None, 0, -1, "", bytes(16))


def comparable(value: Any, name: str = "") -> Any:
    """Return an answer without what may differ: identifiers and texts count as there or not there.

    The clock's times become a word.
    """
    if isinstance(value, Struct):
        return {
            field.name: comparable(getattr(value, field.name), field.name)
            for field in value.__fields__
            if field.name not in IGNORED
        }
    if name in IDENTIFIERS:
        return value if value in NOTHING else "<some>"
    if name in TEXTS:
        return "<text>" if value else value
    if name == "log_append_time_ms" and value > NOW:
        return "<now>"
    if isinstance(value, list | tuple):
        return [comparable(item, name) for item in value]
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return value


def new_run() -> str:
    """Return a name for this run, so that topics are new on a cluster that is shared."""
    return uuid.uuid4().hex[:8]
