"""librdkafka judges our batches, both ways: the embedded broker only keeps them, byte for byte."""

import socket
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from felice.broker import Broker
from felice.wire import _records, _records_plain
from felice.wire.frames import decode_response, encode_request
from felice.wire.messages.produce import ProduceRequest, ProduceResponse
from felice.wire.record import Record
from felice.wire.records import Codec, check, unpack

TIME = 1_700_000_000_000
TIMEOUT = 20

Row = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Timestamp, key, value, headers."""

ROWS: list[Row] = [
    (TIME, b"franz", b"dear felice", [("city", b"Praha"), ("p\u0159\u00edloha", None), ("empty", b"")]),
    (TIME - 70, None, b"v", []),
    (TIME + 10**7, b"k", None, []),
    (TIME, b"", b"", []),
    *((TIME + n, b"%d" % n, b"letter %d " % n * (n % 9), []) for n in range(3000)),
]

TWINS = pytest.mark.parametrize("twin", [_records, _records_plain], ids=["compiled", "plain"])
EACH_CODEC = pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name.lower())


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One broker for all tests here."""
    with Broker() as broker:
        yield broker


def produce(broker: Broker, topic: str, batch: Any) -> None:
    """Hand the broker a batch as it is."""
    part = ProduceRequest.PartitionProduceData(index=0, records=batch)
    data = [ProduceRequest.TopicProduceData(name=topic, partition_data=[part])]
    request = ProduceRequest(acks=-1, timeout_ms=1000, topic_data=data)
    host, _, port = broker.bootstrap_servers.rpartition(":")
    with socket.create_connection((host, int(port)), TIMEOUT) as connection, connection.makefile("rb") as answer:
        connection.sendall(b"".join(encode_request(request, 12, 1, "judge")))
        frame = answer.read(int.from_bytes(answer.read(4)))
    (response,) = decode_response(ProduceResponse, 12, frame).responses
    assert response.partition_responses[0].error_code == 0, response


@EACH_CODEC
def test_we_read_what_librdkafka_writes(broker: Broker, codec: Codec) -> None:
    """Every codec, with its framing of snappy, null and empty fields, and headers."""
    topic = f"from-librdkafka-{codec.name}"
    broker.create_topic(topic, 1)
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "compression.codec": codec.name.lower(), "linger.ms": 500}
    )
    for time, key, value, headers in ROWS:
        producer.produce(topic, value, key, 0, timestamp=time, headers=headers)
    assert producer.flush(TIMEOUT) == 0
    codecs = set()
    found: dict[ModuleType, list[Record]] = {_records: [], _records_plain: []}
    for batch in broker.batches(topic, 0):
        header = check(batch)
        codecs.add(header.codec)
        for twin, records in found.items():
            records += twin.decode(unpack(header, batch), header)
    assert codec in codecs
    wanted = [Record(n, row[0], row[1], row[2], tuple(row[3])) for n, row in enumerate(ROWS)]
    assert found == {_records: wanted, _records_plain: wanted}


@EACH_CODEC
@TWINS
def test_librdkafka_reads_what_we_write(broker: Broker, twin: ModuleType, codec: Codec) -> None:
    """With its check of checksums on."""
    topic = f"to-librdkafka-{codec.name}-{twin.__name__}"
    broker.create_topic(topic, 1)
    builder = twin.BatchBuilder()
    for time, key, value, headers in ROWS:
        builder.append(value, key, headers, time)
    produce(broker, topic, builder.seal(codec=codec))
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "judge", "check.crcs": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[Any] = []
    try:
        while len(found) < len(ROWS):
            messages = consumer.consume(len(ROWS) - len(found), TIMEOUT)
            assert messages, f"nothing came behind {len(found)} records"
            for message in messages:
                assert message.error() is None
                found.append((message.timestamp()[1], message.key(), message.value(), message.headers() or []))
    finally:
        consumer.close()
    assert found == ROWS
