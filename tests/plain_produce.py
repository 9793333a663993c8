"""Writes record batches to a broker with nothing but a socket: for tests of reading that rest on no producer."""

import socket
import struct
from collections.abc import Iterable

from felice.broker import Broker
from felice.errors import BrokerError
from felice.wire.frames import decode_response, encode_request
from felice.wire.messages.produce import ProduceRequest, ProduceResponse

VERSION = 9
"""Goes by the topic's name."""


def produce(broker: Broker, topic: str, partitions: Iterable[tuple[int, bytes]]) -> None:
    """Write batches, as (partition, batch) pairs, one request each, in order."""
    connections: dict[str, socket.socket] = {}
    try:
        for partition, batch in partitions:
            address = broker.nodes[broker.leader(topic, partition)]
            if address not in connections:
                host, _, port = address.rpartition(":")
                connections[address] = socket.create_connection((host, int(port)), timeout=10)
            _produce(connections[address], topic, partition, batch)
    finally:
        for connection in connections.values():
            connection.close()


def _produce(connection: socket.socket, topic: str, partition: int, batch: bytes) -> None:
    data = ProduceRequest.TopicProduceData.PartitionProduceData(index=partition, records=batch)
    request = ProduceRequest(
        acks=-1, timeout_ms=5000, topic_data=[ProduceRequest.TopicProduceData(name=topic, partition_data=[data])]
    )
    connection.sendall(b"".join(encode_request(request, VERSION, 1, "plain")))
    (size,) = struct.unpack(">i", _receive(connection, 4))
    answer = decode_response(ProduceResponse, VERSION, memoryview(_receive(connection, size)))
    code = answer.responses[0].partition_responses[0].error_code
    if code:
        raise BrokerError(code, f"writing to {topic}-{partition}")


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionResetError("the broker hung up")
        data += piece
    return data
