"""Producers of both faces while things go wrong: what is written, in which order, and what is told."""

import contextlib
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from felice.broker import Broker
from felice.errors import (
    BrokerError,
    ClosedError,
    DeadlineExceeded,
    DeliveryError,
    ErrorCode,
    RecordTooLarge,
)
from felice.events import BatchSplit, ConnectionFailed, ProducerEpochBumped, TopicRecreated
from felice.wire.records import read_header
from producer_faces import Connect, Face, log, values

MakeBroker = Callable[..., Broker]


def numbers(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % n for n in range(start, start + count)]


def send(producer: Face, count: int, *, start: int = 0, partition: int = 0, flush_every: int = 0) -> list[Any]:
    """Send numbered records to one partition."""
    deliveries = []
    for n in range(start, start + count):
        deliveries.append(producer.send("letters", b"%d" % n, partition=partition))
        if flush_every and n % flush_every == 0:
            deliveries[-1]._place()[0].hurry()
    return deliveries


def stream(producer: Face, count: int = 300) -> list[Any]:
    """Send to one partition in many small batches, so that up to five of them are under way at once."""
    producer.send_and_wait("letters", b"first", partition=0)
    return send(producer, count)


SMALL = {"batch_bytes": 256, "linger": 0.001}
"""Batches of a few records each."""


def offsets(producer: Face, deliveries: list[Any]) -> list[int]:
    return [producer.outcome(delivery).offset for delivery in deliveries]


# -- connections --------------------------------------------------------------------------------------------------

FAULTS: dict[str, Callable[[Broker], Any]] = {
    "dropped before": lambda broker: broker.faults.drop("Produce", nth=2, times=2),
    "dropped after": lambda broker: broker.faults.drop("Produce", applied=True, nth=2, times=2),
    "answer cut": lambda broker: broker.faults.cut("Produce", nth=2, times=2),
    "answer delayed past the timeout": lambda broker: broker.faults.delay(2, "Produce", applied=True, nth=2),
    "request delayed past the timeout": lambda broker: broker.faults.delay(2, "Produce", nth=2),
    "everything dropped for a while": lambda broker: broker.faults.drop(times=6, nth=8),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_rows_11_and_12_whatever_happens_to_a_connection_each_record_is_written_once_and_in_order(
    broker: Broker, connect: Connect, fault: str
) -> None:
    """Row 11, row 12: with five requests in flight; the offsets told are where the records are."""
    producer = connect(broker, request_timeout=0.4, **SMALL)
    producer.send_and_wait("letters", b"first", partition=0)
    with FAULTS[fault](broker) as struck:
        deliveries = send(producer, 300)
        found = offsets(producer, deliveries)
        assert struck.count > 0
    assert log(broker)[0] == [b"first", *numbers(300)]
    assert found == list(range(1, 301))


def test_row_11_a_frozen_broker_is_given_up_and_used_again(broker: Broker, connect: Connect) -> None:
    """Row 11: requests time out, the connection is closed, and after the thaw all goes on, once and in order."""
    producer = connect(broker, request_timeout=0.3, connect_timeout=0.3, **SMALL)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.freeze():
        deliveries = send(producer, 200)
        with pytest.raises(DeadlineExceeded):
            producer.flush(0.8)
        assert not any(delivery.done() for delivery in deliveries)
    assert offsets(producer, deliveries) == list(range(1, 201))
    assert log(broker)[0] == [b"first", *numbers(200)]


def test_row_1_a_broker_that_stops_and_starts_loses_nothing(broker: Broker, connect: Connect) -> None:
    """Row 1: what was sent before, during and after arrives once and in order, on the same connection settings."""
    producer = connect(broker, **SMALL)
    deliveries = stream(producer, 100)
    broker.stop(1)
    deliveries += send(producer, 100, start=100)
    with pytest.raises(DeadlineExceeded):
        producer.flush(0.3)
    assert producer.producer.health.last_error
    broker.start(1)
    deliveries += send(producer, 100, start=200)
    assert offsets(producer, deliveries) == list(range(1, 301))
    assert log(broker)[0] == [b"first", *numbers(300)]
    producer.ready()
    assert producer.producer.health.state in ("up", "degraded")


def test_row_49_a_connection_that_was_closed_while_idle_is_made_anew(broker: Broker, connect: Connect) -> None:
    """Row 49: neither an error nor a delay worth a backoff."""
    producer = connect(broker)
    producer.send_and_wait("letters", b"a", partition=0)
    broker.stop(1)
    broker.start(1)
    producer.send_and_wait("letters", b"b", partition=0)
    assert log(broker)[0] == [b"a", b"b"]


# -- leaders ------------------------------------------------------------------------------------------------------


def test_row_2_an_unreachable_leader_is_looked_for_elsewhere(make_broker: MakeBroker, connect: Connect) -> None:
    """Row 2: a network error has the metadata refreshed, and the records go to the new leader, once and in order."""
    broker = make_broker(topics={"letters": 1}, nodes=3)
    producer = connect(broker, **SMALL)
    deliveries = stream(producer, 100)
    broker.stop(broker.leader("letters", 0))
    deliveries += send(producer, 100, start=100)
    assert offsets(producer, deliveries) == list(range(1, 201))
    assert log(broker)[0] == [b"first", *numbers(200)]


@pytest.mark.parametrize("partitions", [1, 4])
def test_row_3_a_leader_that_moves_is_followed(make_broker: MakeBroker, connect: Connect, partitions: int) -> None:
    """Row 3: again and again, while records flow; once and in order."""
    broker = make_broker(topics={"letters": partitions}, nodes=3)
    producer = connect(broker, **SMALL)
    deliveries = stream(producer, 0)
    for moves in range(8):
        for partition in range(partitions):
            broker.move_leader("letters", partition, 1 + (moves + partition) % 3)
            deliveries += send(producer, 40, start=40 * moves, partition=partition)
    for delivery in deliveries:
        producer.outcome(delivery)
    found = log(broker)
    assert found[0] == [b"first", *numbers(320)]
    assert all(found[partition] == numbers(320) for partition in range(1, partitions))


def test_row_3_the_leader_that_an_answer_names_is_used_without_a_pause(
    make_broker: MakeBroker, connect: Connect
) -> None:
    """Row 3, KIP-951: NOT_LEADER_OR_FOLLOWER says who leads; nobody waits for a backoff or for metadata."""
    broker = make_broker(topics={"letters": 1}, nodes=2)
    producer = connect(broker, retry_backoff=5.0, retry_backoff_max=5.0)
    first = broker.leader("letters", 0)
    producer.send_and_wait("letters", b"a")
    broker.move_leader("letters", 0, 3 - first)
    with broker.faults.hold("Metadata", times=None):
        started = time.monotonic()
        producer.send_and_wait("letters", b"b")
        assert time.monotonic() - started < 2
    assert values(broker) == [b"a", b"b"]


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.NETWORK_EXCEPTION,
    ],
)
def test_row_3_errors_that_pass_are_tried_again_in_order(broker: Broker, connect: Connect, code: ErrorCode) -> None:
    """Row 3: with five batches in flight, those behind the failed one are out of order, and all go again."""
    producer = connect(broker, **SMALL)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.error(code, "Produce", nth=2, times=3) as fault:
        deliveries = send(producer, 200)
        assert offsets(producer, deliveries) == list(range(1, 201))
        assert fault.count == 3
    assert log(broker)[0] == [b"first", *numbers(200)]


@pytest.mark.parametrize("code", [ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND])
def test_errors_that_leave_it_open_are_tried_again(broker: Broker, connect: Connect, code: ErrorCode) -> None:
    """The same batch goes again, with the same sequence."""
    producer = connect(broker, **SMALL)
    with broker.faults.error(code, "Produce", nth=3, times=2):
        deliveries = stream(producer)
        assert offsets(producer, deliveries) == list(range(1, 301))
    assert log(broker)[0] == [b"first", *numbers(300)]


@pytest.mark.parametrize(
    "code", [ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.INVALID_RECORD, ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT]
)
def test_an_error_for_good_fails_one_batch_and_the_rest_goes_on(
    broker: Broker, connect: Connect, code: ErrorCode
) -> None:
    """Its numbers leave a hole, so the others begin a new epoch; their order holds, and each failure is typed."""
    producer = connect(broker, **SMALL)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.error(code, "Produce", nth=3):
        deliveries = send(producer, 200)
        errors = [delivery.exception(20) for delivery in deliveries]
    failed = {n for n, error in enumerate(errors) if error is not None}
    assert 0 < len(failed) < 100
    assert all(isinstance(error, BrokerError) and error.code == code for error in errors if error is not None)
    assert not any(error.may_have_happened for error in errors if isinstance(error, BrokerError))
    assert log(broker)[0] == [b"first", *[b"%d" % n for n in range(200) if n not in failed]]


# -- sequences ----------------------------------------------------------------------------------------------------


def test_row_26_out_of_order_on_the_oldest_begins_a_new_epoch(broker: Broker, connect: Connect) -> None:
    """Row 26: the broker has none of it, nor of what follows: all is stamped anew and goes, once and in order."""
    producer = connect(broker, **SMALL)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.error(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, "Produce", times=1):
        deliveries = send(producer, 200)
        assert offsets(producer, deliveries) == list(range(1, 201))
    assert log(broker)[0] == [b"first", *numbers(200)]
    (bumped,) = producer.heard.wait_for(ProducerEpochBumped)
    assert (bumped.producer_epoch, bumped.reason) == (1, "letters-0 was out of sequence")
    assert read_header(broker.batches("letters", 0)[-1]).producer_epoch == 1


def test_row_26_a_duplicate_is_a_success(broker: Broker, connect: Connect) -> None:
    """Row 26: the answer was lost, the batch sent again, and the broker knows it by its number."""
    producer = connect(broker)
    producer.send_and_wait("letters", b"a", partition=0)
    with broker.faults.drop("Produce", applied=True):
        assert producer.send_and_wait("letters", b"b", partition=0).offset == 1
    with broker.faults.error(ErrorCode.DUPLICATE_SEQUENCE_NUMBER, "Produce"):
        producer.send_and_wait("letters", b"c", partition=0)
    assert log(broker)[0] == [b"a", b"b"]


def test_row_27_an_unknown_producer_id_begins_a_new_epoch(broker: Broker, connect: Connect) -> None:
    """Row 27: drain, bump, start anew; never stuck, and other partitions go on in between."""
    producer = connect(broker, **SMALL)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.error(ErrorCode.UNKNOWN_PRODUCER_ID, "Produce", partition=0, times=2) as fault:
        zero = send(producer, 200)
        one = send(producer, 200, partition=1)
        assert offsets(producer, zero) == list(range(1, 201))
        assert offsets(producer, one) == list(range(200))
        assert fault.count == 2
    assert log(broker)[0] == [b"first", *numbers(200)]
    assert log(broker)[1] == numbers(200)


@pytest.mark.parametrize("code", [ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.CLUSTER_AUTHORIZATION_FAILED])
def test_row_28_a_fenced_producer_is_at_its_end(broker: Broker, connect: Connect, code: ErrorCode) -> None:
    """Row 28: everything fails at once with the reason and the remedy, and a new producer works."""
    producer = connect(broker)
    producer.send_and_wait("letters", b"a", partition=0)
    with broker.faults.error(code, "Produce"):
        error = producer.error(producer.send("letters", b"b", partition=0))
    assert (error.code, error.retriable) == (code, False)
    assert error.hint
    for partition in (0, 1):
        later = producer.error(producer.send("letters", b"c", partition=partition))
        assert later.code == code
    with pytest.raises(DeliveryError):
        producer.send("letters", b"d") and producer.flush()
    assert connect(broker).send_and_wait("letters", b"e", partition=0).offset == 1


def test_row_28_no_right_to_a_producer_id_is_told(broker: Broker, connect: Connect) -> None:
    """What cannot be had is no reason to wait."""
    with broker.faults.error(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "InitProducerId", times=None):
        producer = connect(broker)
        error = producer.error(producer.send("letters", b"a"))
    assert error.code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED


def test_a_producer_id_is_asked_for_until_there_is_one(broker: Broker, connect: Connect) -> None:
    """Errors that pass, and connections that break, delay the first batch and no more."""
    with (
        broker.faults.error(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, "InitProducerId", times=2),
        broker.faults.drop("InitProducerId", nth=3),
    ):
        assert connect(broker).send_and_wait("letters", b"a", partition=0).offset == 0


def test_the_last_epoch_is_followed_by_a_new_producer_id(
    broker: Broker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs end at 32767 (here at 1): then another ID is asked for, and all goes on, once and in order."""
    monkeypatch.setattr("felice.producer.identification.LAST_EPOCH", 1)
    producer = connect(broker, **SMALL)
    sent = [b"first"]
    producer.send_and_wait("letters", b"first", partition=0)
    for _ in range(4):
        with broker.faults.error(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, "Produce"):
            start = len(sent) - 1
            found = offsets(producer, send(producer, 50, start=start))
        sent += numbers(50, start)
        assert found == list(range(start + 1, start + 51))
    assert log(broker)[0] == sent
    assert len(broker.requests.of("InitProducerId")) >= 2


def test_a_hole_at_the_last_epoch_waits_for_a_new_producer_id(
    broker: Broker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that failed in doubt ends the epoch; nothing is stamped before there is a next one."""
    monkeypatch.setattr("felice.producer.identification.LAST_EPOCH", 0)
    producer = connect(broker)
    producer.send_and_wait("letters", b"a", partition=0)
    with broker.faults.error(ErrorCode.UNKNOWN_SERVER_ERROR, "Produce"):
        assert producer.error(producer.send("letters", b"b", partition=0)).may_have_happened
    assert producer.send_and_wait("letters", b"c", partition=0).offset == 1
    ids = [read_header(batch).producer_id for batch in broker.batches("letters", 0)]
    assert len(set(ids)) == 2


# -- too large ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["none", "lz4"])
def test_row_18_a_batch_too_large_for_the_broker_is_split(broker: Broker, connect: Connect, codec: str) -> None:
    """Row 18: in halves, as often as it takes, inside its own sequence range; records, order and handles stay."""
    broker.create_topic("narrow", 1, configs={"max.message.bytes": 3000})
    rng = random.Random(3)
    sent = [rng.randbytes(200) for _ in range(200)]
    producer = connect(broker, linger=0.05, compression=codec)
    producer.send_and_wait("narrow", b"first")
    deliveries = [producer.send("narrow", value, headers=[("n", b"1")], timestamp_ms=9) for value in sent]
    handle = producer.send_many("narrow", sent)
    assert [producer.outcome(d) for d in deliveries] == [("narrow", 0, n + 1, 9) for n in range(200)]
    assert sum(r.length for r in producer.outcome(handle)) == 200
    producer.flush()
    assert values(broker, "narrow") == [b"first", *sent, *sent]
    assert all(record.headers == (("n", b"1"),) for record in broker.records("narrow", 0)[1:201])
    assert producer.heard.wait_for(BatchSplit)
    assert producer.holds_nothing()


def test_row_18_only_the_record_that_cannot_fit_fails(broker: Broker, connect: Connect) -> None:
    """Row 18: its neighbours in the batch are delivered, in order."""
    broker.create_topic("narrow", 1, configs={"max.message.bytes": 3000})
    producer = connect(broker, linger=0.05)
    producer.partitions_for("narrow")
    sent = numbers(20)
    deliveries = [producer.send("narrow", value) for value in sent[:10]]
    large = producer.send("narrow", b"x" * 5000)
    deliveries += [producer.send("narrow", value) for value in sent[10:]]
    error = producer.error(large)
    assert isinstance(error, RecordTooLarge)
    assert "narrow-0" in str(error)
    assert "MESSAGE_TOO_LARGE" in str(error)
    for delivery in deliveries:
        producer.outcome(delivery)
    assert values(broker, "narrow") == sent


def test_a_batch_that_cannot_even_be_split_fails_alone(
    broker: Broker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no memory for its halves: it has an outcome all the same, and so has what shared its request."""

    def halves(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("felice.producer.outcomes.halves", halves)
    producer = connect(broker, linger=0.2)
    for partition in (0, 1):
        producer.send_and_wait("letters", b"first", partition=partition)
    with broker.faults.error(ErrorCode.MESSAGE_TOO_LARGE, "Produce", partition=0):
        deliveries = [producer.send("letters", b"%d" % n, partition=n % 2) for n in range(10)]
        for delivery in deliveries[::2]:
            error = producer.error(delivery)
            assert "letters-0: MemoryError() while sending" in str(error)
            assert error.may_have_happened
        assert offsets(producer, deliveries[1::2]) == [1, 2, 3, 4, 5]
    assert producer.send_and_wait("letters", b"last", partition=0).offset == 1
    assert producer.holds_nothing()


def test_a_flush_waits_for_both_halves(broker: Broker, connect: Connect) -> None:
    """Also where the second half is delivered before the first, as can be without idempotence."""
    broker.create_topic("narrow", 1, configs={"max.message.bytes": 3000})
    producer = connect(broker, linger=60, idempotence=False, retry_backoff=0.2)
    producer.partitions_for("narrow")
    deliveries = [producer.send("narrow", b"x" * 1200) for _ in range(4)]
    with broker.faults.error(ErrorCode.NOT_ENOUGH_REPLICAS, "Produce", nth=2):
        producer.flush()
    assert all(delivery.done() for delivery in deliveries)
    assert len(values(broker, "narrow")) == 4


@pytest.mark.parametrize("idempotence", [True, False])
@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_row_19_records_that_the_broker_refuses_fail_alone(
    broker: Broker, connect: Connect, codec: str, idempotence: bool
) -> None:
    """Row 19, KIP-467: the answer names them; the others are sent again without them, in their order."""
    broker.create_topic("compacted", 1, configs={"cleanup.policy": "compact"})
    producer = connect(broker, linger=0.01, compression=codec, idempotence=idempotence, batch_bytes=2000)
    producer.partitions_for("compacted")
    deliveries = [
        producer.send("compacted", b"%d" % n, key=None if n % 10 == 3 else b"k", partition=0) for n in range(300)
    ]
    handle = producer.send_many("compacted", [b"a", b"b", b"c"], keys=[b"k", None, b"k"], partition=0)
    errors = [delivery.exception(20) for delivery in deliveries]
    assert [n for n, error in enumerate(errors) if error is not None] == list(range(3, 300, 10))
    for error in filter(None, errors):
        assert isinstance(error, BrokerError)
        assert error.code == ErrorCode.INVALID_RECORD
        assert "needs a key" in str(error)
        assert not error.may_have_happened
    assert producer.error(handle).failed == 1
    producer.flush()
    expected = [*(b"%d" % n for n in range(300) if n % 10 != 3), b"a", b"c"]
    assert values(broker, "compacted") == expected
    told = [deliveries[n].result(0).offset for n in range(300) if n % 10 != 3]
    assert told == list(range(len(told)))
    assert producer.holds_nothing()


# -- topics that are not there ------------------------------------------------------------------------------------


def test_row_5_records_for_an_unknown_topic_wait_in_order(broker: Broker, connect: Connect) -> None:
    """Row 5: nothing is created by accident; when somebody creates it, all goes, in order; bulk sends too."""
    producer = connect(broker)
    deliveries = [producer.send("cards", b"%d" % n, key=b"k") for n in range(100)]
    handle = producer.send_many("cards", numbers(100, 100), keys=[b"k"] * 100)
    broker.requests.wait_for("Metadata", count=2)
    assert "cards" not in broker.topics
    assert not any(delivery.done() for delivery in deliveries)
    broker.create_topic("cards", 3)
    for delivery in deliveries:
        producer.outcome(delivery)
    assert sum(r.length for r in producer.outcome(handle)) == 200 - 100
    (filled,) = [partition for partition in log(broker, "cards").values() if partition]
    assert filled == numbers(200)
    producer.flush()
    assert producer.holds_nothing()


def test_row_5_an_unknown_topic_fails_its_records_in_the_end(broker: Broker, connect: Connect) -> None:
    """Row 5: after the delivery timeout, with the chain of reasons; other topics do not wait."""
    producer = connect(broker, delivery_timeout=0.6)
    deliveries = [producer.send("cards", b"%d" % n) for n in range(3)]
    assert producer.send_and_wait("letters", b"x").offset == 0
    error = producer.error(deliveries[0])
    assert isinstance(error, DeadlineExceeded)
    assert "cards: its partitions were not known within 0.6 s" in str(error)
    assert "UNKNOWN_TOPIC_OR_PARTITION" in str(error)
    assert not error.may_have_happened
    assert all(isinstance(delivery.exception(10), DeadlineExceeded) for delivery in deliveries)
    producer.flush()
    assert producer.holds_nothing()
    assert "cards" not in broker.topics


def test_row_5_no_cluster_at_all_fails_the_records_with_the_reason(connect: Connect) -> None:
    """Row 5: the address that nobody answers at is in the error."""
    producer = connect("127.0.0.1:1", delivery_timeout=0.4)
    error = producer.error(producer.send("letters", b"x"))
    assert isinstance(error, DeadlineExceeded)
    assert "127.0.0.1:1" in str(error)
    assert "refused" in str(error)


def test_a_topic_name_that_cannot_be_fails_at_once(broker: Broker, connect: Connect) -> None:
    """Waiting does not mend it."""
    started = time.monotonic()
    error = connect(broker).error(connect(broker).send("no/name", b"x"))
    assert error.code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert time.monotonic() - started < 5


def test_row_5_a_topic_made_anew_starts_its_sequences_anew(broker: Broker, connect: Connect) -> None:
    """Row 5, row 4: the new topic takes everything from then on, in order, whatever the old one had."""
    producer = connect(broker, **SMALL)
    offsets(producer, stream(producer, 50))
    broker.delete_topic("letters")
    deliveries = send(producer, 50, start=50)
    with pytest.raises(DeadlineExceeded):
        producer.flush(0.2)
    broker.create_topic("letters", 4)
    deliveries += send(producer, 50, start=100)
    assert offsets(producer, deliveries) == list(range(100))
    assert log(broker)[0] == numbers(100, 50)
    assert producer.heard.wait_for(TopicRecreated)


def test_row_5_a_topic_made_anew_may_be_smaller(broker: Broker, connect: Connect) -> None:
    """Row 5: keys go to the partitions that are there now; what waited for one that is gone fails, and says so."""
    producer = connect(broker, delivery_timeout=1.5, linger=0)
    producer.send_and_wait("letters", b"x", partition=3)
    broker.delete_topic("letters")
    lost = producer.send("letters", b"lost", partition=3)
    broker.create_topic("letters", 2)
    producer.heard.wait_for(TopicRecreated)
    for n in range(20):
        producer.send_and_wait("letters", b"%d" % n, key=b"%d" % n)
    assert len(values(broker)) == 20
    with pytest.raises(Exception, match="partitions 0 to 1"):
        producer.send("letters", b"y", partition=3)
    assert "partitions 0 to 1, not 3" in str(producer.error(lost))


# -- time ---------------------------------------------------------------------------------------------------------


class Jumping:
    """A wall clock that somebody sets back and forth by half an hour; the monotonic one is the machine's."""

    def __init__(self) -> None:
        self._ticks = 0

    def monotonic(self) -> float:
        return time.monotonic()

    def time_ms(self) -> int:
        self._ticks += 1
        return time.time_ns() // 1_000_000 + (-1) ** self._ticks * 1_800_000


def test_row_46_a_wall_clock_that_jumps_moves_timestamps_and_nothing_else(broker: Broker, connect: Connect) -> None:
    """Row 46: no deadline is met early or missed, and the records keep their order; each has the time that was then."""
    producer = connect(broker, clock=Jumping(), delivery_timeout=10, linger=0.01)
    deliveries = send(producer, 40)
    found = [producer.outcome(delivery) for delivery in deliveries]
    assert [one.offset for one in found] == list(range(40))
    assert log(broker)[0] == numbers(40)
    stamps = [record.timestamp_ms for record in broker.records("letters", 0)]
    assert [one.timestamp_ms for one in found] == stamps
    now = time.time() * 1000
    assert all(1_700_000 < abs(stamp - now) < 1_900_000 for stamp in stamps)
    assert {stamp > now for stamp in stamps} == {True, False}


def test_a_record_that_was_never_sent_fails_without_doubt(broker: Broker, connect: Connect) -> None:
    """After the delivery timeout, with the reason; it is not in the log, and the producer goes on."""
    producer = connect(broker, delivery_timeout=0.5)
    producer.send_and_wait("letters", b"a", partition=0)
    with broker.faults.error(ErrorCode.NOT_ENOUGH_REPLICAS, "Produce", times=None):
        error = producer.error(producer.send("letters", b"b", partition=0))
    assert isinstance(error, DeadlineExceeded)
    assert not error.may_have_happened
    assert "letters-0: not delivered within 0.5 s" in str(error)
    assert "NOT_ENOUGH_REPLICAS" in str(error)
    assert producer.send_and_wait("letters", b"c", partition=0).offset == 1
    assert log(broker)[0] == [b"a", b"c"]


@pytest.mark.parametrize("applied", [True, False])
def test_a_record_that_may_have_been_written_says_so(broker: Broker, connect: Connect, applied: bool) -> None:
    """Whether it was or not: the answer never came. The next ones go in a new epoch."""
    producer = connect(broker, delivery_timeout=0.5, request_timeout=5)
    producer.send_and_wait("letters", b"a", partition=0)
    fault = broker.faults.delay(1.2, "Produce", applied=applied)
    with fault:
        error = producer.error(producer.send("letters", b"b", partition=0))
        assert isinstance(error, DeadlineExceeded)
        assert error.may_have_happened
        assert "may have been written" in str(error)
    with broker.faults.drop("Produce", times=None):
        second = producer.error(producer.send("letters", b"c", partition=0))
    assert second.may_have_happened
    assert producer.send_and_wait("letters", b"d", partition=0).partition == 0
    found = log(broker)[0]
    assert found == sorted(found)
    assert {b"a", b"d"} <= set(found)
    assert len(found) == len(set(found))


def test_doubt_is_not_forgotten_when_another_error_comes_after_it(broker: Broker, connect: Connect) -> None:
    """Written, the answer lost, then refused on the second try: the error still says that it may have been written."""
    producer = connect(broker)
    producer.send_and_wait("letters", b"a", partition=0)
    with (
        broker.faults.drop("Produce", applied=True),
        broker.faults.error(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "Produce", nth=2),
    ):
        error = producer.error(producer.send("letters", b"b", partition=0))
    assert error.code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert error.may_have_happened
    assert "an earlier try may have been written" in str(error)
    assert log(broker)[0] == [b"a", b"b"]


def test_doubt_is_not_forgotten_when_the_producer_ends(broker: Broker, connect: Connect) -> None:
    """One partition's fencing fails the others' batches too; one of them was written."""
    producer = connect(broker, retry_backoff=0.3, retry_backoff_max=0.3)
    producer.send_and_wait("letters", b"a", partition=0)
    with (
        broker.faults.drop("Produce", applied=True, partition=0),
        broker.faults.error(ErrorCode.INVALID_PRODUCER_EPOCH, "Produce", partition=1),
    ):
        written = producer.send("letters", b"b", partition=0)
        written._place()[0].hurry()
        producer.heard.wait_for(ConnectionFailed)
        fatal = producer.error(producer.send("letters", b"c", partition=1))
        assert not fatal.may_have_happened
        assert producer.error(written).may_have_happened
    assert log(broker)[0] == [b"a", b"b"]


# -- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["dead", "frozen"])
def test_row_41_close_reports_what_is_left_within_its_time(broker: Broker, connect: Connect, how: str) -> None:
    """Row 41: sent, staged and lingering records all have an outcome, counted, by the deadline."""
    producer = connect(broker, linger=60, request_timeout=60)
    producer.send_and_wait("letters", b"a", partition=0)
    fault = broker.faults.freeze() if how == "frozen" else None
    if how == "dead":
        broker.stop(1)
    deliveries = send(producer, 40) + [producer.send("cards", b"x") for _ in range(7)]
    deliveries += send(producer, 3, partition=1)
    started = time.monotonic()
    with pytest.raises(DeliveryError, match="50 records were not delivered") as raised:
        producer.close(0.5)
    assert time.monotonic() - started < 2.5
    assert raised.value.failed == 50
    errors = [delivery.exception(0) for delivery in deliveries]
    assert all(isinstance(error, ClosedError) for error in errors)
    assert producer.holds_nothing()
    if how == "frozen":
        assert {getattr(error, "may_have_happened", None) for error in errors} == {True, False}
    if fault is not None:
        fault.remove()


def test_closing_with_no_time_fails_what_is_left_at_once(broker: Broker, connect: Connect) -> None:
    """`close(0)` waits for nothing."""
    producer = connect(broker, linger=60)
    producer.send_and_wait("letters", b"a")
    with broker.faults.hold("Produce"):  # A batch may go before its linger is over.
        delivery = producer.send("letters", b"b")
        with pytest.raises(DeliveryError):
            producer.close(0)
        assert delivery.done()


def test_threads_that_send_beside_a_close_have_an_outcome_for_all_that_was_accepted(
    broker: Broker, connect: Connect
) -> None:
    """Every delivery that was handed out is settled, however close the race."""
    for _ in range(10):
        producer = connect(broker, linger=1)
        producer.send_and_wait("letters", b"a")
        accepted: list[Any] = []
        started = threading.Barrier(4)

        def work(producer: Face = producer, accepted: list[Any] = accepted, started: Any = started) -> None:
            started.wait(10)
            try:
                for n in range(100_000):
                    accepted.append(producer.producer.try_send("letters", b"%d" % n, headers={"h": b"1"}))
            except ClosedError:
                return

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        started.wait(10)
        while len(accepted) < 50:
            time.sleep(0)
        with contextlib.suppress(DeliveryError):
            producer.close(0)
        for thread in threads:
            thread.join(20)
        for delivery in accepted:
            error = delivery.exception(5)
            assert error is None or isinstance(error, ClosedError)


def test_waiters_are_woken_by_a_close(broker: Broker, connect: Connect) -> None:
    """A send that waits for room learns that the producer was closed."""
    producer = connect(broker, buffer_bytes=70_000, batch_bytes=30_000, buffer_timeout=60)
    producer.send_and_wait("letters", b"a", partition=0)
    with broker.faults.freeze():
        caught: list[BaseException] = []

        def fill() -> None:
            try:
                for _ in range(1000):
                    producer.send("letters", b"x" * 1000, partition=0)
            except Exception as error:
                caught.append(error)

        thread = threading.Thread(target=fill)
        thread.start()
        while producer.core._waiters == [] and thread.is_alive():
            time.sleep(0.001)
        with pytest.raises(DeliveryError):
            producer.close(0.1)
        thread.join(10)
    assert [type(error) for error in caught] == [ClosedError]
