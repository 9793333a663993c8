"""Row 21: a producer whose broker asks for pauses (KIP-219)."""

import time
from typing import Any

from felice import AsyncProducer
from felice.events import Throttled
from felice.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from felice.wire.messages.produce import ProduceRequest, ProduceResponse
from producer_faces import Heard
from scripted_broker import ScriptedBroker, topic

PAUSE = 0.4


async def test_row_21_a_pause_is_kept_and_is_no_timeout() -> None:
    """Row 21: nothing is sent for as long as the answer asked, though the request timeout is shorter; nothing fails."""
    came: list[float] = []

    def produce(request: ProduceRequest, header: Any) -> ProduceResponse:
        came.append(time.monotonic())
        response = ProduceResponse(throttle_time_ms=int(PAUSE * 1000) if len(came) == 1 else 0)
        for data in request.topic_data:
            answers = [
                ProduceResponse.TopicProduceResponse.PartitionProduceResponse(
                    index=asked.index, base_offset=len(came) - 1
                )
                for asked in data.partition_data
            ]
            response.responses.append(
                ProduceResponse.TopicProduceResponse(
                    name=data.name, topic_id=data.topic_id, partition_responses=answers
                )
            )
        return response

    heard = Heard()
    async with ScriptedBroker() as broker:
        broker.topics["letters"] = topic("letters", 1)
        broker.on(
            InitProducerIdRequest, lambda request, header: InitProducerIdResponse(producer_id=1, producer_epoch=0)
        )
        broker.on(ProduceRequest, produce)
        async with AsyncProducer(broker.address, request_timeout=0.2, linger=0, listeners=[heard]) as producer:
            assert (await producer.send_and_wait("letters", b"a")).offset == 0
            assert (await producer.send_and_wait("letters", b"b")).offset == 1
            assert (await producer.send_and_wait("letters", b"c")).offset == 2
    assert came[1] - came[0] >= PAUSE * 0.9
    assert came[2] - came[1] < PAUSE
    (told,) = heard.wait_for(Throttled)
    assert told.seconds == PAUSE
