"""Producers whose requests wait: for a connection, for a producer ID, for a broker that makes sense again."""

import asyncio
import struct
import threading
import time
from typing import Any

import pytest

from felice import AsyncProducer, Producer
from felice.broker import Broker
from felice.errors import DeadlineExceeded
from felice.wire.messages.api_versions import ApiVersionsRequest
from felice.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from felice.wire.messages.produce import ProduceRequest, ProduceResponse
from felice.wire.records import read_header
from producer_faces import QUICK
from scripted_broker import ScriptedBroker, topic


def produced(request: ProduceRequest, header: Any) -> ProduceResponse:
    """Acknowledge everything."""
    return ProduceResponse(
        responses=[
            ProduceResponse.TopicProduceResponse(
                name=data.name,
                topic_id=data.topic_id,
                partition_responses=[
                    ProduceResponse.TopicProduceResponse.PartitionProduceResponse(index=asked.index, base_offset=0)
                    for asked in data.partition_data
                ],
            )
            for data in request.topic_data
        ]
    )


def scripted() -> ScriptedBroker:
    """Make a broker with one topic of two partitions that takes what it gets."""
    broker = ScriptedBroker()
    broker.topics["letters"] = topic("letters", 1, 1)
    broker.on(InitProducerIdRequest, lambda request, header: InitProducerIdResponse(producer_id=1, producer_epoch=0))
    broker.on(ProduceRequest, produced)
    return broker


async def test_a_record_that_expires_while_its_request_waits_for_a_connection_stays_out_of_it() -> None:
    """It fails without doubt, since it never left; the younger one in the same request is delivered."""
    connected = asyncio.Event()
    asked, identified = asyncio.Event(), asyncio.Event()
    broker = scripted()

    async def versions(request: Any, header: Any) -> Any:
        if broker.accepted > 1:  # The first connection is for metadata, the second one for records.
            await connected.wait()
        return broker.versions(request, header)

    async def identify(request: Any, header: Any) -> InitProducerIdResponse:
        asked.set()
        await identified.wait()
        return InitProducerIdResponse(producer_id=1, producer_epoch=0)

    broker.on(ApiVersionsRequest, versions)
    broker.on(InitProducerIdRequest, identify)
    async with broker, AsyncProducer(broker.address, linger=0, delivery_timeout=2.0, **QUICK) as producer:
        await producer.partitions_for("letters")
        old = await producer.send("letters", b"old", partition=0)
        await asked.wait()
        await asyncio.sleep(1.0)  # So much younger is the second one.
        young = await producer.send("letters", b"young", partition=1)
        identified.set()  # Both leave the accumulator together.
        with pytest.raises(DeadlineExceeded) as caught:
            await old
        assert not caught.value.may_have_happened
        assert "may have been written" not in str(caught.value)
        connected.set()
        assert (await young).partition == 1
    (sent,) = (request for _, request in broker.requests if isinstance(request, ProduceRequest))
    partitions = [data for topic_data in sent.topic_data for data in topic_data.partition_data]
    assert [data.index for data in partitions] == [1]
    assert all(data.records for data in partitions)


async def test_an_answer_about_the_producer_id_that_makes_no_sense_is_not_the_end() -> None:
    """One answer that is cut short within its frame ends its connection, and the next try is right."""
    broker = scripted()
    broker.script(InitProducerIdRequest, lambda _, header: struct.pack(">iib", 5, header.correlation_id, 0))
    async with broker, AsyncProducer(broker.address, linger=0, **QUICK) as producer:
        assert (await producer.send_and_wait("letters", b"a", partition=0, timeout=10)).offset == 0
    assert broker.count(InitProducerIdRequest) == 2


async def test_a_producer_id_that_is_none_is_not_taken_for_one() -> None:
    """Its batches would be those of a producer that is not idempotent, and nobody would notice."""
    broker = scripted()
    broker.script(
        InitProducerIdRequest, InitProducerIdResponse(), InitProducerIdResponse(producer_id=7, producer_epoch=-1)
    )
    async with broker, AsyncProducer(broker.address, linger=0, **QUICK) as producer:
        await producer.send_and_wait("letters", b"a", partition=0, timeout=10)
    (sent,) = (request for _, request in broker.requests if isinstance(request, ProduceRequest))
    assert read_header(sent.topic_data[0].partition_data[0].records).producer_id == 1


def test_row_47_room_that_refused_records_leave_is_told(broker: Broker) -> None:
    """Row 47: they waited for a topic and filled the buffer; who waits for room gets it when they are refused."""
    broker.create_topic("cards", 1)
    known = threading.Event()

    def partitioner(topic: str, key: bytes | None, value: bytes | None, count: int) -> int:
        known.wait(10)
        raise ValueError("no partition is good enough")

    with Producer(
        broker.bootstrap_servers,
        topics={"letters": {"partitioner": partitioner}},
        buffer_bytes=70_000,
        batch_bytes=30_000,
        **QUICK,
    ) as producer:
        with broker.faults.hold("Metadata"):
            refused = [producer.send("letters", b"x" * 3000) for _ in range(22)]
        waited: list[Any] = []
        waiting = threading.Thread(target=lambda: waited.append(producer.send("cards", b"y" * 9000)))
        waiting.start()
        while not producer._core._waiters:
            waiting.join(0.01)
        known.set()
        waiting.join(10)
        assert waited[0].result(10).offset == 0
        for delivery in refused:
            assert "the partitioner failed" in str(delivery.exception(10))


def test_the_time_of_a_record_begins_when_it_is_sent(broker: Broker) -> None:
    """Also where it waited for its topic first: it has its outcome within its one delivery timeout."""
    with Producer(broker.bootstrap_servers, delivery_timeout=2, linger=0, **QUICK) as producer:
        delivery = producer.send("cards", b"a")
        began = time.monotonic()
        time.sleep(1.2)
        with broker.faults.hold("Produce"):
            broker.create_topic("cards", 1)
            error = delivery.exception(10)
            assert time.monotonic() - began < 3
        assert "cards-0: not delivered within 2 s" in str(error)
