"""A producer whose broker answers nonsense in the right form: whatever it says, each record has one outcome.

`FELICE_FAULT_ROUNDS` runs more rounds than usual.
"""

import asyncio
import logging
import os
import random
from typing import Any

import pytest

from felice import AsyncProducer
from felice.errors import DeliveryError, ErrorCode
from felice.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from felice.wire.messages.produce import ProduceRequest, ProduceResponse
from producer_faces import QUICK
from scripted_broker import HANG_UP, SILENCE, ScriptedBroker, topic

ROUNDS = int(os.environ.get("FELICE_FAULT_ROUNDS", "6"))
PARTITIONS = 3

Topic = ProduceResponse.TopicProduceResponse
Partition = Topic.PartitionProduceResponse

FATAL = frozenset(
    {
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
CODES = [*(code for code in ErrorCode if code not in FATAL), -2, 999, 32767]
NUMBERS = (-(2**31), -1, 0, 1, 2, 5, 2**31 - 1)


class Liar:
    """Answers Produce as no broker does, for a while."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.left = rng.randint(5, 60)

    def __call__(self, request: ProduceRequest, header: Any) -> Any:
        self.left -= 1
        rng = self._rng
        if self.left > 0 and rng.random() < 0.1:
            return rng.choice((SILENCE, HANG_UP))
        response = ProduceResponse(
            responses=[
                Topic(
                    name=asked.name,
                    topic_id=asked.topic_id,
                    partition_responses=[self._partition(data.index) for data in asked.partition_data],
                )
                for asked in request.topic_data
            ]
        )
        if self.left > 0 and rng.random() < 0.5:
            self._twist(response)
        return response

    def _partition(self, index: int) -> Partition:
        return Partition(index=index, base_offset=0)

    def _twist(self, response: ProduceResponse) -> None:
        rng = self._rng
        response.throttle_time_ms = rng.choice((0, 0, 10, -5))
        for one in response.responses:
            for partition in list(one.partition_responses):
                if rng.random() < 0.1:
                    one.partition_responses.remove(partition)
                    continue
                partition.error_code = rng.choice(CODES)
                partition.base_offset = rng.choice(NUMBERS)
                partition.log_append_time_ms = rng.choice(NUMBERS)
                partition.error_message = rng.choice((None, "", "no"))
                partition.record_errors = [
                    Partition.BatchIndexAndErrorMessage(batch_index=rng.choice(NUMBERS))
                    for _ in range(rng.choice((0, 0, 1, 3)))
                ]
                partition.current_leader = Partition.LeaderIdAndEpoch(
                    leader_id=rng.choice((1, 1, *NUMBERS)), leader_epoch=rng.choice((*NUMBERS[:-1], 7))
                )
                if rng.random() < 0.1:
                    one.partition_responses.append(self._partition(rng.choice(NUMBERS)))
        if rng.random() < 0.1:
            response.responses.append(Topic(name="cards", topic_id=b"?" * 16, partition_responses=[self._partition(0)]))


@pytest.mark.timeout(60 + 30 * ROUNDS)
async def test_each_record_has_one_outcome_whatever_the_broker_answers(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows 3, 12, 14, 18, 19, 26: unknown codes, impossible numbers, partitions that are missing or were not asked."""
    caplog.set_level(logging.ERROR)
    for number in range(ROUNDS):
        rng = random.Random(f"{seed}:{number}")
        async with ScriptedBroker() as broker:
            broker.topics["letters"] = topic("letters", *[1] * PARTITIONS)
            broker.on(
                InitProducerIdRequest, lambda request, header: InitProducerIdResponse(producer_id=1, producer_epoch=0)
            )
            broker.on(ProduceRequest, liar := Liar(rng))
            producer = AsyncProducer(
                broker.address,
                linger=0.001,
                batch_bytes=rng.choice((300, 3000)),
                request_timeout=0.3,
                delivery_timeout=3,
                idempotence=rng.random() < 0.8,
                **QUICK,
            )
            deliveries = []
            for n in range(300):
                deliveries.append(await producer.send("letters", b"%d" % n, partition=rng.randrange(PARTITIONS)))
                if rng.random() < 0.1:
                    await asyncio.sleep(0.005)
            told = None
            try:
                await producer.flush()
            except DeliveryError as error:
                told = error
            assert all(delivery.done() for delivery in deliveries)
            errors = [error for delivery in deliveries if (error := delivery.exception(0)) is not None]
            assert (0 if told is None else told.failed) == len(errors)
            liar.left = 0  # From here on it tells the truth.
            assert (await producer.send_and_wait("letters", b"last", partition=0, timeout=10)).offset == 0
            await producer.close(5)
            assert producer._core.used == 0
    assert not [record.getMessage() for record in caplog.records if "unexpectedly" in record.getMessage()]
    assert not [record for record in caplog.records if record.name in ("felice.engine", "asyncio")]
