"""A producer under random faults: each accepted record has one outcome, and the log agrees with every one of them.

The history is checked as Jepsen checks Kafka's: every value is unique, every send and outcome is kept, and the log is
read in the end. `FELICE_FAULT_ROUNDS` runs more rounds than usual.
"""

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from felice import Producer
from felice.broker import Broker
from felice.broker.faults import Fault
from felice.errors import BufferFull, ClosedError, DeliveryError, ErrorCode
from producer_faces import QUICK

ROUNDS = int(os.environ.get("FELICE_FAULT_ROUNDS", "6"))
PARTITIONS = 3
THREADS = 3
RECORDS = 700
"""Records a thread."""
SECONDS = 1.5
"""How long faults strike at the most."""

PASSING = (
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.LEADER_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.CORRUPT_MESSAGE,
)
FINAL = (ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.INVALID_RECORD, ErrorCode.INVALID_TIMESTAMP)
OPEN = (ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, ErrorCode.UNKNOWN_SERVER_ERROR)
SEQUENCE = (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.UNKNOWN_PRODUCER_ID)


@dataclass
class Sent:
    """One thread's records, in the order of sending."""

    accepted: list[tuple[bytes, int, Any]] = field(default_factory=list)
    """Value, the partition that was asked for, and the delivery."""
    refused: list[bytes] = field(default_factory=list)


class Chaos:
    """Strikes a broker at random until it is told to stop, then mends everything."""

    def __init__(self, broker: Broker, rng: random.Random, *, ambiguous: bool) -> None:
        self._broker = broker
        self._rng = rng
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos")
        self._down: set[int] = set()
        self.struck: list[tuple[str, Fault | None]] = []
        always = [self._passing, self._final, self._too_large, self._drop, self._move, self._move, self._hold]
        # An answer about sequences that is a lie, after a batch was written and its answer lost, is one that no broker
        # gives: the two do not meet.
        self._kinds = [
            *always,
            *(
                (self._lose, self._delay, self._node, self._open, self._confuse, self._freeze)
                if ambiguous
                else (self._sequence,)
            ),
        ]

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        self._stop.set()
        self._thread.join(30)
        self._broker.faults.clear()
        for node in self._down:
            self._broker.start(node)

    def _run(self) -> None:
        while not self._stop.wait(self._rng.uniform(0.005, 0.08)):
            kind = self._rng.choice(self._kinds)
            self.struck.append((kind.__name__, kind()))

    def _error(self, codes: tuple[ErrorCode, ...]) -> Fault:
        partition = self._rng.choice((None, *range(PARTITIONS)))
        return self._broker.faults.error(
            self._rng.choice(codes),
            "Produce",
            topic="letters",
            partition=partition,
            times=self._rng.choice((1, 1, 2, 5)),
        )

    def _passing(self) -> Fault:
        return self._error(PASSING)

    def _final(self) -> Fault:
        return self._error(FINAL)

    def _open(self) -> Fault:
        return self._error(OPEN)

    def _sequence(self) -> Fault:
        return self._error(SEQUENCE)

    def _too_large(self) -> Fault:
        return self._error((ErrorCode.MESSAGE_TOO_LARGE,))

    def _drop(self) -> Fault:
        return self._broker.faults.drop("Produce", times=self._rng.choice((1, 3)))

    def _lose(self) -> Fault:
        if self._rng.random() < 0.5:
            return self._broker.faults.cut("Produce", keep=self._rng.random())
        return self._broker.faults.drop("Produce", applied=True, times=self._rng.choice((1, 3)))

    def _delay(self) -> Fault:
        applied = self._rng.random() < 0.5
        return self._broker.faults.delay(self._rng.choice((0.02, 0.6)), "Produce", applied=applied)

    def _confuse(self) -> Fault:
        faults = self._broker.faults
        confusion = self._rng.choice((faults.cross, faults.oversize, faults.half_open, partial(faults.throttle, 0.1)))
        return confusion(self._rng.choice(("Produce", "Produce", "Metadata", "InitProducerId", "ApiVersions")))

    def _freeze(self) -> Fault:
        node = self._rng.randint(1, 3)
        fault = self._rng.choice((self._broker.faults.freeze, self._broker.faults.refuse))(node)
        self._stop.wait(self._rng.choice((0.05, 0.5, 1.0)))
        fault.remove()
        return fault

    def _hold(self) -> Fault:
        fault = self._broker.faults.hold(self._rng.choice(("Metadata", "Produce", "InitProducerId")))
        self._stop.wait(self._rng.uniform(0.01, 0.1))
        fault.remove()
        return fault

    def _move(self) -> None:
        up = [node for node in (1, 2, 3) if node not in self._down]
        self._broker.move_leader("letters", self._rng.randrange(PARTITIONS), self._rng.choice(up))

    def _node(self) -> None:
        if self._down:
            self._broker.start(self._down.pop())
        else:
            self._down.add(node := self._rng.randint(1, 3))
            self._broker.stop(node)


def send(producer: Producer[Any, Any], name: int, rng: random.Random, sent: Sent, until: float) -> None:
    """Send records with unique values, singly, to partitions that are named or hashed."""
    for n in range(RECORDS):
        value = b"%d:%d:" % (name, n) + b"x" * rng.choice((0, 10, 300))
        partition = rng.randrange(PARTITIONS)
        try:
            delivery = producer.send("letters", value, partition=partition)
        except (BufferFull, ClosedError):
            sent.refused.append(value)
        else:
            sent.accepted.append((value, partition, delivery))
        if rng.random() < 0.02:
            delivery._place()[0].hurry()
        if rng.random() < 0.1 and time.monotonic() < until:
            time.sleep(SECONDS / RECORDS * 8)  # Spreads the sends over the faults; nothing is awaited here.


def history(
    broker: Broker, options: dict[str, Any], rng: random.Random, ambiguous: bool, *, close_after: float | None = None
) -> tuple[list[Sent], Any]:
    """Let threads send under faults; return what they sent, and the error of the final flush.

    With `close_after`, in seconds, the producer is closed in the middle of it, with little time to drain.
    """
    producer: Producer[Any, Any] = Producer(broker.bootstrap_servers, **QUICK, **options)
    sent = [Sent() for _ in range(THREADS)]
    until = time.monotonic() + SECONDS
    threads = [
        threading.Thread(target=send, args=(producer, name, random.Random(rng.random()), sent[name], until))
        for name in range(THREADS)
    ]
    chaos = Chaos(broker, random.Random(rng.random()), ambiguous=ambiguous)
    chaos.start()
    for thread in threads:
        thread.start()
    told = None
    if close_after is not None:
        time.sleep(close_after)  # A random moment is what is wanted.
        began = time.monotonic()
        try:
            producer.close(patience := rng.uniform(0, 0.3))
        except DeliveryError as error:
            told = error
        assert time.monotonic() - began < patience + 2
    for thread in threads:
        thread.join(60)
    chaos.finish()
    print(f"{options}; {len(chaos.struck)} strikes: {chaos.struck}")
    if close_after is None:
        try:
            producer.flush(30)
        except DeliveryError as error:
            told = error
        producer.close()
    assert producer._core.used == 0
    return sent, told


def judge(broker: Broker, sent: list[Sent]) -> tuple[int, int]:
    """Hold every outcome of an idempotent producer against the log; return how many failed, and how many it has."""
    logs = [[record.value for record in broker.records("letters", n)] for n in range(PARTITIONS)]
    where = {value: (partition, offset) for partition, log in enumerate(logs) for offset, value in enumerate(log)}
    assert len(where) == sum(map(len, logs)), "a record is in the log twice"
    failed = 0
    for thread in sent:
        assert not any(value in where for value in thread.refused), "a refused record is in the log"
        for value, partition, delivery in thread.accepted:
            assert delivery.done(), "a record has no outcome"
            error = delivery.exception(0)
            if error is None:
                found = delivery.result(0)
                assert (found.partition, found.offset) == where[value]
                assert partition == found.partition
            else:
                failed += 1
                assert error.may_have_happened or value not in where, f"{value[:20]!r} was written: {error}"
        for log, partition in zip(logs, range(PARTITIONS), strict=True):
            mine = {value: n for n, (value, asked, _) in enumerate(thread.accepted) if asked == partition}
            order = [mine[value] for value in log if value in mine]
            assert order == sorted(order), "records of one sender changed places"
    return failed, len(where)


def options(rng: random.Random) -> dict[str, Any]:
    return {
        "linger": rng.choice((0, 0.002, 0.01)),
        "batch_bytes": rng.choice((256, 1000, 4000)),
        "buffer_bytes": rng.choice((65536, 1 << 24)),
        "buffer_timeout": rng.choice((0.05, 5.0)),
        "request_timeout": rng.choice((0.3, 2.0)),
        "delivery_timeout": rng.choice((0.8, 20.0)),
        "max_in_flight": rng.choice((1, 5, 5)),
        "compression": rng.choice(("none", "none", "lz4", "gzip")),
    }


@pytest.mark.timeout(60 + 30 * ROUNDS)
@pytest.mark.parametrize("ambiguous", [False, True], ids=["certain", "ambiguous"])
def test_an_idempotent_producer_under_random_faults(
    make_broker: Callable[..., Broker], seed: int, ambiguous: bool
) -> None:
    """Rows 1-3, 11, 12, 18, 26, 27, 47: every accepted record has exactly one outcome, and the log agrees with it."""
    for number in range(ROUNDS // 2 or 1):
        rng = random.Random(f"{seed}:{number}")
        broker = make_broker(topics={"letters": PARTITIONS}, nodes=3)
        sent, told = history(broker, options(rng), rng, ambiguous)
        failed, written = judge(broker, sent)
        assert (0 if told is None else told.failed) == failed
        print(f"{sum(len(thread.accepted) for thread in sent)} accepted, {failed} failed, {written} written")
        broker.close()


@pytest.mark.timeout(60 + 30 * ROUNDS)
def test_a_producer_without_idempotence_under_random_faults(make_broker: Callable[..., Broker], seed: int) -> None:
    """Rows 1-3, 11, 12: what was told as delivered is in the log; what surely failed is not."""
    for number in range(ROUNDS // 3 or 1):
        rng = random.Random(f"{seed}:{number}")
        broker = make_broker(topics={"letters": PARTITIONS}, nodes=3)
        plain = options(rng) | {"idempotence": False, "acks": rng.choice((1, "all"))}
        sent, _ = history(broker, plain, rng, True)
        logs = [[record.value for record in broker.records("letters", n)] for n in range(PARTITIONS)]
        everything = {value for log in logs for value in log}
        for thread in sent:
            assert not everything.intersection(thread.refused)
            for value, partition, delivery in thread.accepted:
                error = delivery.exception(0)
                if error is None:
                    assert logs[partition][delivery.result(0).offset] == value
                else:
                    assert getattr(error, "may_have_happened", False) or value not in everything
        broker.close()


@pytest.mark.timeout(60 + 30 * ROUNDS)
def test_a_producer_that_is_closed_in_the_middle_of_faults(make_broker: Callable[..., Broker], seed: int) -> None:
    """Row 41: in its time; all that was accepted has an outcome then, what failed is counted, and the log agrees."""
    for number in range(ROUNDS):
        rng = random.Random(f"{seed}:{number}")
        broker = make_broker(topics={"letters": PARTITIONS}, nodes=3)
        sent, told = history(broker, options(rng), rng, True, close_after=rng.uniform(0, SECONDS / 2))
        failed, written = judge(broker, sent)
        assert failed >= (0 if told is None else told.failed)
        print(f"{sum(len(thread.accepted) for thread in sent)} accepted, {failed} failed, {written} written")
        broker.close()
