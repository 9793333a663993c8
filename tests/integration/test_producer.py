"""Producers of both faces on the embedded broker, while all is well."""

import random
import time
from typing import Any

import pytest

from felice import AsyncProducer, Producer
from felice.broker import Broker
from felice.cluster.engine import Engine
from felice.errors import (
    BrokerError,
    ClosedError,
    ConfigError,
    DeadlineExceeded,
    DeliveryError,
    ErrorCode,
    FeliceError,
    RecordTooLarge,
    UsageError,
)
from felice.events import DeliveriesFailed
from felice.producer.delivery import BulkDelivery, RecordRange
from felice.types import RecordMetadata
from felice.wire.records import murmur2, read_header
from producer_faces import Connect, log, values

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


# -- what arrives -------------------------------------------------------------------------------------------------


def test_a_record_arrives_as_it_was_given(broker: Broker, connect: Connect) -> None:
    """Key, value, headers, timestamp and partition; the delivery tells where it is."""
    producer = connect(broker)
    delivery = producer.send(
        "letters", b"Dear F.", key=b"max", headers=[("from", b"Prague"), ("to", None)], partition=2, timestamp_ms=1234
    )
    assert producer.outcome(delivery) == RecordMetadata("letters", 2, 0, 1234)
    (record,) = broker.records("letters", 2)
    assert (record.value, record.key, record.timestamp_ms) == (b"Dear F.", b"max", 1234)
    assert record.headers == (("from", b"Prague"), ("to", None))
    assert delivery.done()
    assert delivery.exception() is None


def test_nothing_and_empty_are_two_things(broker: Broker, connect: Connect) -> None:
    """None and b"" arrive as what they were, as keys and as values."""
    producer = connect(broker)
    for value, key in ((None, b"k"), (b"", b""), (None, None)):
        producer.send_and_wait("letters", value, key=key, partition=0)
    assert [(record.value, record.key) for record in broker.records("letters", 0)] == [
        (None, b"k"),
        (b"", b""),
        (None, None),
    ]


def test_records_without_a_time_have_the_time_of_the_call(broker: Broker, connect: Connect) -> None:
    """In milliseconds since 1970, also while the topic is not known yet."""
    before = time.time_ns() // 1_000_000
    producer = connect(broker)
    first = producer.send_and_wait("letters", b"staged")
    second = producer.send_and_wait("letters", b"known")
    after = time.time_ns() // 1_000_000
    assert before - 50 <= first.timestamp_ms <= second.timestamp_ms + 50 <= after + 100


def test_a_topic_that_stamps_on_append_tells_its_own_time(broker: Broker, connect: Connect) -> None:
    """The delivery has the broker's timestamp then."""
    broker.create_topic("stamped", 1, configs={"message.timestamp.type": "LogAppendTime"})
    told = connect(broker).send_and_wait("stamped", b"x", timestamp_ms=5)
    assert told.timestamp_ms == broker.records("stamped", 0)[0].timestamp_ms > 5


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_arrives(broker: Broker, connect: Connect, codec: str) -> None:
    """In large batches, which another thread compresses, and in small ones; the batches say which codec it is."""
    producer = connect(broker, compression=codec, batch_bytes=200_000, linger=0.05)
    sent = [b"%06d " % n * 20 for n in range(3000)]
    for value in sent:
        producer.send("letters", value, partition=1)
    producer.flush()
    producer.send_and_wait("letters", b"small", partition=1)
    assert log(broker)[1] == [*sent, b"small"]
    batches = broker.batches("letters", 1)
    assert {read_header(batch).codec.name.lower() for batch in batches} == {codec}
    assert (sum(map(len, batches)) < 150_000) == (codec != "none")


def test_a_topic_has_options_of_its_own(broker: Broker, connect: Connect) -> None:
    """Compression, linger and sizes may differ from topic to topic."""
    broker.create_topic("cards", 1)
    producer = connect(
        broker,
        linger=60,
        compression="zstd",
        topics={"cards": {"linger": 0, "compression": "none", "batch_bytes": 500}},
    )
    cards = [producer.send("cards", b"c" * 100) for _ in range(20)]
    letter = producer.send("letters", b"l" * 5000, partition=0)
    for card in cards:
        producer.outcome(card)
    assert not letter.done()
    producer.flush()
    assert {read_header(batch).codec.name for batch in broker.batches("cards", 0)} == {"NONE"}
    assert all(len(batch) <= 500 for batch in broker.batches("cards", 0))
    assert read_header(broker.batches("letters", 0)[0]).codec.name == "ZSTD"


# -- which partition ----------------------------------------------------------------------------------------------


def test_keys_choose_partitions_as_the_java_client_does(broker: Broker, connect: Connect) -> None:
    """The murmur2 hash of the key without its sign, modulo the partitions; order holds for each key."""
    producer = connect(broker)
    sent = [(b"k%d" % (n % 17), b"%d" % n) for n in range(500)]
    for key, value in sent:
        producer.send("letters", value, key=key)
    producer.flush()
    for number in range(4):
        mine = [value for key, value in sent if (murmur2(key) & 0x7FFFFFFF) % 4 == number]
        assert log(broker)[number] == mine


def test_records_without_a_key_stay_together(broker: Broker, connect: Connect) -> None:
    """They fill one batch, and the next batch is another partition's."""
    producer = connect(broker, linger=0.2)
    producer.send_and_wait("letters", b"first")
    for burst in range(4):
        for n in range(50):
            producer.send("letters", b"%d:%d" % (burst, n))
        producer.flush()
    whole = [
        [value for value in partition if value and value.startswith(b"%d:" % burst)]
        for burst in range(4)
        for partition in log(broker).values()
    ]
    assert sorted(len(part) for part in whole) == [0] * 12 + [50] * 4
    assert len([partition for partition in log(broker).values() if partition]) == 4


def test_a_partitioner_of_ones_own(broker: Broker, connect: Connect) -> None:
    """Any callable, also for records that were sent before the topic was known; a named partition stays."""
    asked: list[tuple[str, Any, Any, int]] = []

    def by_length(topic: str, key: bytes | None, value: bytes | None, count: int) -> int:
        asked.append((topic, key, value, count))
        return len(value or b"") % count

    producer = connect(broker, partitioner=by_length)
    early = [producer.send("letters", b"x" * n, key=b"k") for n in range(1, 9)]
    early.append(producer.send("letters", b"named", partition=3))
    assert [producer.outcome(d).partition for d in early] == [1, 2, 3, 0, 1, 2, 3, 0, 3]
    late = [producer.send("letters", b"x" * n) for n in range(1, 9)]
    assert [producer.outcome(d).partition for d in late] == [1, 2, 3, 0, 1, 2, 3, 0]
    bulk = producer.send_many("letters", [b"x" * n for n in range(8)])
    assert sum(r.length for r in producer.outcome(bulk)) == 8
    assert {ask[0] for ask in asked} == {"letters"}
    assert {ask[3] for ask in asked} == {4}
    assert log(broker)[2] == [b"xx", b"x" * 6, b"xx", b"x" * 6, b"xx", b"x" * 6]


def test_records_for_a_partitioner_that_come_while_others_are_placed_lose_nothing(
    broker: Broker, connect: Connect
) -> None:
    """The topic is learnt once, and its partitions have one sequence each, however the sends come."""
    producer = connect(broker, partitioner=lambda topic, key, value, count: int(value) % count)  # type: ignore[arg-type]
    deliveries = [producer.send("letters", b"%d" % n) for n in range(3000)]
    for delivery in deliveries:
        producer.outcome(delivery)
    assert log(broker) == {p: [b"%d" % n for n in range(3000) if n % 4 == p] for p in range(4)}


@pytest.mark.parametrize("wrong", [4, -1, True, None, "1", 1.0], ids=str)
def test_a_partitioner_that_names_no_partition_is_told(broker: Broker, connect: Connect, wrong: Any) -> None:
    """At the call where the topic is known, by the delivery where the record waited; others go on."""
    answers = {b"bad": wrong}
    producer = connect(broker, partitioner=lambda topic, key, value, count: answers.get(value, 1))
    with broker.faults.hold("Metadata"):
        early, good = producer.send("letters", b"bad"), producer.send("letters", b"good")
    assert producer.outcome(good).partition == 1
    assert "the partitioner returned" in str(producer.error(early))
    with pytest.raises(UsageError, match=r"the partitioner returned .* partitions 0 to 3"):
        producer.send("letters", b"bad")
    with pytest.raises(UsageError):
        producer.send_many("letters", [b"good", b"bad"])
    assert values(broker) == [b"good"]


def test_a_partitioner_that_fails_is_told(broker: Broker, connect: Connect) -> None:
    """Its own error at the call; as the cause of a typed one where the record had waited, told once a batch."""

    def fail(topic: str, key: bytes | None, value: bytes | None, count: int) -> int:
        raise ValueError(f"no idea where {value!r} goes")

    producer = connect(broker, partitioner=fail)
    with broker.faults.hold("Metadata"):
        early = [producer.send("letters", b"%d" % n) for n in range(3)]
    failed = producer.heard.wait_for(DeliveriesFailed)
    assert [(event.topic, event.records) for event in failed] == [("letters", 3)]
    error = producer.error(early[0])
    assert isinstance(error, UsageError)
    assert isinstance(error.__cause__, ValueError)
    with pytest.raises(ValueError, match="no idea where b'late'"):
        producer.send("letters", b"late")
    assert values(broker) == []


# -- serializers --------------------------------------------------------------------------------------------------


def test_serializers_turn_keys_and_values_into_bytes(broker: Broker, connect: Connect) -> None:
    """None stays None and is not serialized; send_many serializes too."""
    producer = connect(broker, key_serializer=str.encode, value_serializer=lambda n: b"%d" % n)
    producer.send_and_wait("letters", 5, key="max", partition=0)
    producer.send_and_wait("letters", None, key=None, partition=0)
    producer.outcome(producer.send_many("letters", [6, None], keys=["a", None], partition=0))
    found = [(record.key, record.value) for record in broker.records("letters", 0)]
    assert found == [(b"max", b"5"), (None, None), (b"a", b"6"), (None, None)]


def test_a_serializer_that_fails_fails_the_call_and_nothing_else(broker: Broker, connect: Connect) -> None:
    """Its own error comes through, and nothing was accepted; what is not bytes in the end is refused."""
    producer = connect(broker, value_serializer=lambda value: value.encode())
    with pytest.raises(AttributeError):
        producer.send("letters", 5)
    with pytest.raises(AttributeError):
        producer.send_many("letters", ["fine", 5])
    producer.send_and_wait("letters", "good")
    assert values(broker) == [b"good"]
    with pytest.raises(UsageError, match="value_serializer"):
        connect(broker, value_serializer=lambda value: 7).send("letters", "x")


# -- acks ---------------------------------------------------------------------------------------------------------


def test_acks_zero_waits_for_nobody(broker: Broker, connect: Connect) -> None:
    """The offset is not known then; the records are there."""
    producer = connect(broker, acks=0, idempotence=False)
    assert producer.send_and_wait("letters", b"x", partition=1).offset == -1
    ranges = producer.outcome(producer.send_many("letters", [b"y"] * 10, partition=1))
    assert ranges == [RecordRange("letters", 1, -1, 10)]
    producer.close()
    deadline = time.monotonic() + 10
    while len(values(broker)) < 11 and time.monotonic() < deadline:
        broker.requests.wait_for("Produce")
    assert log(broker)[1] == [b"x"] + [b"y"] * 10


@pytest.mark.parametrize("acks", [1, "all"])
def test_without_idempotence_there_are_no_sequences(broker: Broker, connect: Connect, acks: Any) -> None:
    """No producer ID is asked for, and the batches have none."""
    producer = connect(broker, acks=acks, idempotence=False)
    assert producer.send_and_wait("letters", b"x", partition=0).offset == 0
    header = read_header(broker.batches("letters", 0)[0])
    assert (header.producer_id, header.base_sequence) == (-1, -1)
    assert broker.requests.of("InitProducerId") == []


def test_by_default_it_is_idempotent(broker: Broker, connect: Connect) -> None:
    """Each partition's batches have a producer ID and unbroken sequences from 0 on."""
    producer = connect(broker)
    for n in range(30):
        producer.send("letters", b"%d" % n, partition=n % 2)
        if n % 7 == 0:
            producer.flush()
    producer.flush()
    for partition in (0, 1):
        expected = 0
        for batch in broker.batches("letters", partition):
            header = read_header(batch)
            assert header.producer_id >= 0
            assert (header.producer_epoch, header.base_sequence) == (0, expected)
            expected += header.count
        assert expected == 15


# -- when ---------------------------------------------------------------------------------------------------------


def test_a_lone_awaited_send_pays_no_linger(broker: Broker, connect: Connect) -> None:
    """With five seconds of linger an awaited record is back at once, again and again."""
    producer = connect(broker, linger=5)
    producer.ready()
    started = time.monotonic()
    for _ in range(20):
        producer.send_and_wait("letters", b"x")
    assert time.monotonic() - started < 1.0
    delivery = producer.send("letters", b"y")
    assert not delivery.done()
    started = time.monotonic()
    producer.outcome(delivery)
    assert time.monotonic() - started < 0.5


def test_a_batch_leaves_when_its_linger_ends(broker: Broker, connect: Connect) -> None:
    """Nobody waits for it, and it goes all the same, with what came meanwhile."""
    producer = connect(broker, linger=0.15)
    producer.send_and_wait("letters", b"first", partition=0)
    began = broker.requests.count
    for n in range(10):
        producer.send("letters", b"%d" % n, partition=0)
    broker.requests.wait_for("Produce", after=began)
    producer.flush()
    assert len(broker.requests.of("Produce", after=began)) == 1
    assert len(values(broker)) == 11


def test_a_batch_leaves_when_it_is_full(broker: Broker, connect: Connect) -> None:
    """Whatever its linger."""
    producer = connect(broker, linger=60, batch_bytes=1000)
    producer.partitions_for("letters")
    deliveries = [producer.send("letters", b"x" * 300, partition=0) for _ in range(4)]
    broker.requests.wait_for("Produce")
    assert [producer.outcome(delivery).offset for delivery in deliveries[:3]] == [0, 1, 2]
    assert not deliveries[3].done() or len(values(broker)) == 4


def test_flush_sends_everything_and_waits(broker: Broker, connect: Connect) -> None:
    """Also what is still staged; again costs nothing."""
    producer = connect(broker, linger=60)
    deliveries = [producer.send("letters", b"%d" % n, key=b"%d" % n) for n in range(100)]
    producer.flush()
    assert all(delivery.done() for delivery in deliveries)
    assert len(values(broker)) == 100
    producer.flush()
    producer.flush(0)


def test_a_flush_that_takes_too_long_says_what_is_left(broker: Broker, connect: Connect) -> None:
    """The records stay on their way."""
    producer = connect(broker)
    producer.send_and_wait("letters", b"first", partition=0)
    with broker.faults.hold("Produce") as held:
        deliveries = [producer.send("letters", b"%d" % n, partition=0) for n in range(5)]
        held.wait()
        with pytest.raises(DeadlineExceeded, match="5 records are still on their way"):
            producer.flush(0.05)
    producer.flush()
    assert [producer.outcome(delivery).offset for delivery in deliveries] == [1, 2, 3, 4, 5]


def test_a_clean_end_delivers_everything(broker: Broker, connect: Connect) -> None:
    """The end of a `with` block waits for what was sent in it, whatever its linger; afterwards nothing is taken."""
    producer = connect(broker, linger=60)
    with producer:
        deliveries = [producer.send("letters", b"%d" % n) for n in range(100)]
    assert all(delivery.done() for delivery in deliveries)
    assert len(values(broker)) == 100
    for call in (producer.send, producer.try_send, producer.send_and_wait):
        with pytest.raises(ClosedError, match="nothing was accepted"):
            call("letters", b"late")
    with pytest.raises(ClosedError):
        producer.send_many("letters", [b"late"])
    with pytest.raises(ClosedError):
        producer.flush()
    producer.close()
    assert producer.producer.health.state == "closed"


def test_a_producer_that_was_never_used_connects_to_nothing() -> None:
    """Making and closing one needs no broker."""
    from felice import Producer

    with Producer("127.0.0.1:1") as producer:
        assert producer.health.state == "new"
    assert producer.health.connections == 0


def test_what_it_knows_of_the_cluster(broker: Broker, connect: Connect) -> None:
    """`ready`, `partitions_for` and `health`."""
    producer = connect(broker)
    producer.ready()
    assert producer.producer.health.state == "up"
    assert producer.partitions_for("letters") == 4
    with pytest.raises(DeadlineExceeded, match=r"cards.*UNKNOWN_TOPIC_OR_PARTITION"):
        producer.partitions_for("cards", 0.2)
    with pytest.raises(BrokerError) as raised:
        producer.partitions_for("no/name", 10)
    assert raised.value.code == ErrorCode.INVALID_TOPIC_EXCEPTION


# -- many ---------------------------------------------------------------------------------------------------------


def test_many_records_at_once(broker: Broker, connect: Connect) -> None:
    """One handle tells where all are, in order; an iterator will do, and nothing is nothing."""
    producer = connect(broker)
    for rounds in range(2):  # before and after the topic is known
        handle = producer.send_many("letters", (b"%d" % n for n in range(1000)), partition=rounds)
        assert isinstance(handle, BulkDelivery)
        ranges = producer.outcome(handle)
        assert sum(r.length for r in ranges) == len(handle) == 1000
        assert {(r.topic, r.partition) for r in ranges} == {("letters", rounds)}
        assert log(broker)[rounds] == [b"%d" % n for n in range(1000)]
    assert producer.outcome(producer.send_many("letters", [])) == []


def test_many_records_with_keys_and_headers(broker: Broker, connect: Connect) -> None:
    """One entry a value; each record is where and what a single send would have made it."""
    producer = connect(broker)
    n = 500
    handle = producer.send_many(
        "letters",
        [b"%d" % i for i in range(n)],
        keys=[b"k%d" % (i % 13) if i % 5 else None for i in range(n)],
        headers=[[("n", b"%d" % i)] if i % 2 else None for i in range(n)],
        timestamp_ms=77,
    )
    assert sum(r.length for r in producer.outcome(handle)) == n
    found = {record.value: (p, record) for p in range(4) for record in broker.records("letters", p)}
    assert len(found) == n
    for i in range(n):
        partition, record = found[b"%d" % i]
        assert record.timestamp_ms == 77
        assert record.headers == ((("n", b"%d" % i),) if i % 2 else ())
        if i % 5:
            assert partition == (murmur2(b"k%d" % (i % 13)) & 0x7FFFFFFF) % 4


def test_columns_have_one_length(broker: Broker, connect: Connect) -> None:
    """Otherwise nothing is accepted."""
    producer = connect(broker)
    with pytest.raises(UsageError, match="2 keys for 3 values"):
        producer.send_many("letters", [b"a", b"b", b"c"], keys=[b"1", b"2"])
    with pytest.raises(UsageError, match="1 headers for 2 values"):
        producer.send_many("letters", [b"a", b"b"], headers=[[("h", b"1")]])
    producer.flush()
    assert values(broker) == []


# -- what cannot be sent ------------------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], str]] = [
    ({"value": "text"}, "a value of type str"),
    ({"value": 5}, "value_serializer"),
    ({"key": "text"}, "a key of type str"),
    ({"key": 1.5}, "key_serializer"),
    ({"partition": -1}, "partition=-1"),
    ({"partition": 2**31}, "partition="),
    ({"partition": "0"}, "partition='0'"),
    ({"partition": True}, "partition=True"),
    ({"timestamp_ms": -1}, "timestamp_ms=-1"),
    ({"timestamp_ms": 1.5}, "whole milliseconds"),
    ({"timestamp_ms": 2**63}, "timestamp_ms="),
    ({"timestamp_ms": True}, "timestamp_ms=True"),
    ({"headers": "text"}, "headers='text'"),
    ({"headers": [("a", "text")]}, "header"),
    ({"headers": [("a",)]}, "header"),
    ({"headers": [(b"a", b"1")]}, "header"),
    ({"headers": 5}, "header"),
    ({"headers": [("\ud800", b"1")]}, "header"),
    ({"topic": ""}, "topic=''"),
    ({"topic": None}, "topic=None"),
    ({"topic": b"letters"}, "topic=b'letters'"),
]


@pytest.mark.parametrize("known", [False, True], ids=["staged", "known"])
@pytest.mark.parametrize(("wrong", "said"), BAD, ids=str)
def test_bad_input_fails_at_the_call_and_changes_nothing(
    broker: Broker, connect: Connect, wrong: dict[str, Any], said: str, known: bool
) -> None:
    """A typed error that says what to give, whether or not the topic is known yet; the next record goes."""
    producer = connect(broker)
    if known:
        producer.partitions_for("letters")
        producer.send_and_wait("letters", b"first", partition=0)
    producer.flush()
    used = producer.core.used
    given = {"topic": "letters", "value": b"x", **wrong}
    topic, value = given.pop("topic"), given.pop("value")
    for call in (producer.send, producer.try_send):
        with pytest.raises(UsageError) as raised:
            call(topic, value, **given)
        assert said in str(raised.value)
    assert producer.core.used == used
    producer.send_and_wait("letters", b"good", partition=0)
    assert values(broker) == [b"first", b"good"][not known :]


def test_a_partition_that_is_not_there_is_refused(broker: Broker, connect: Connect) -> None:
    """At the call where the topic is known, by the delivery where it was not."""
    producer = connect(broker)
    with broker.faults.hold("Metadata"):
        early = producer.send("letters", b"x", partition=4)
    assert "partitions 0 to 3" in str(producer.error(early))
    with pytest.raises(UsageError, match=r"partition=4 of letters .*partitions 0 to 3"):
        producer.send("letters", b"x", partition=4)
    with pytest.raises(UsageError, match="partition=9"):
        producer.send_many("letters", [b"x"] * 3, partition=9)


def test_bytes_like_keys_and_values_are_taken_as_they_are_now(broker: Broker, connect: Connect) -> None:
    """A buffer that changes after the call changes nothing."""
    producer = connect(broker)
    buffer = bytearray(b"before")
    delivery = producer.send("letters", memoryview(buffer), key=bytearray(b"k"), partition=0)
    buffer[:] = b"after!"
    producer.outcome(delivery)
    (record,) = broker.records("letters", 0)
    assert (record.value, record.key) == (b"before", b"k")


def test_headers_may_be_given_as_a_mapping_or_an_iterator(broker: Broker, connect: Connect) -> None:
    """Anything that yields pairs."""
    producer = connect(broker)
    for headers in ({"a": b"1"}, iter([("a", b"1")]), (("a", b"1"),), [["a", b"1"]]):
        producer.send_and_wait("letters", b"x", headers=headers, partition=0)
    assert [record.headers for record in broker.records("letters", 0)] == [(("a", b"1"),)] * 4


@pytest.mark.parametrize("known", [False, True], ids=["staged", "known"])
def test_a_record_above_the_limit_is_refused_after_compression(broker: Broker, connect: Connect, known: bool) -> None:
    """What compresses below the limit goes; the error names size, limit and option."""
    producer = connect(broker, record_bytes=10_000, compression="gzip")
    if known:
        producer.partitions_for("letters")
        producer.send_and_wait("letters", b"first", partition=0)
    assert producer.send_and_wait("letters", b"a" * 500_000, partition=0).offset == int(known)
    noise = random.Random(5).randbytes(20_000)
    for call in (producer.send, producer.try_send):
        with pytest.raises(RecordTooLarge, match=r"a record of 20\d\d\d bytes after gzip.*record_bytes=10000"):
            call("letters", noise)
    with pytest.raises(RecordTooLarge):
        producer.send_many("letters", [b"small", noise])
    assert len(values(broker)) == 1 + known


def test_a_record_above_the_whole_buffer_is_refused_at_once(broker: Broker, connect: Connect) -> None:
    """It could never be sent, so nobody waits for room."""
    producer = connect(broker, buffer_bytes=100_000, batch_bytes=20_000, compression="gzip", record_bytes=2**30)
    with pytest.raises(RecordTooLarge, match="buffer_bytes=100000"):
        producer.send("letters", b"a" * 200_000)


def test_a_config_error_comes_from_the_constructor(connect: Connect) -> None:
    """Of both faces."""
    with pytest.raises(ConfigError, match="no option 'lingr'"):
        connect("b:1", lingr=5)


@pytest.mark.parametrize("kind", [Producer, AsyncProducer])
@pytest.mark.parametrize("listeners", [5, [print, "x"], print])
def test_listeners_that_cannot_be_called_are_told_and_leave_nothing_behind(kind: type[Any], listeners: Any) -> None:
    """At once, and not with each event; what was half made is not kept for forks and the exit."""
    engine = Engine.current()
    kept = len(engine._forks), len(engine._clients)
    with pytest.raises(ConfigError, match="listener"):
        kind("b:1", listeners=listeners)
    assert (len(engine._forks), len(engine._clients)) == kept


# -- failures that are told ---------------------------------------------------------------------------------------


def refuse(broker: Broker, times: int | None = None) -> Any:
    return broker.faults.error(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "Produce", times=times)


def test_flush_raises_with_counts_for_what_nobody_looked_at(
    broker: Broker, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Once; each failed batch is one line in the log and one event."""
    producer = connect(broker, linger=60)
    with refuse(broker):
        for partition in (0, 1):
            for _ in range(5):
                producer.send("letters", b"x", partition=partition)
        with pytest.raises(DeliveryError, match=r"10 records were not delivered.*TOPIC_AUTHORIZATION_FAILED") as raised:
            producer.flush()
    assert raised.value.failed == 10
    assert isinstance(raised.value.first, BrokerError)
    assert not raised.value.may_have_happened
    events = producer.heard.wait_for(DeliveriesFailed, 2)
    assert sorted((event.partition, event.records) for event in events) == [(0, 5), (1, 5)]
    lines = [record for record in caplog.records if "DeliveriesFailed" in record.getMessage()]
    assert [record.levelname for record in lines] == ["ERROR"] * 2
    producer.flush()


def test_a_failure_that_somebody_looks_at_is_not_told_elsewhere(broker: Broker, connect: Connect) -> None:
    """Whoever waits for it, or has a callback, knows."""
    producer = connect(broker, linger=60)  # so that nothing fails before it is looked at
    with refuse(broker):
        with pytest.raises(BrokerError):
            producer.send_and_wait("letters", b"x")
        called = producer.send("letters", b"y")
        called.add_done_callback(lambda _: None)
        bulk = producer.send_many("letters", [b"z"] * 1000, keys=[b"%d" % n for n in range(1000)])
        assert producer.error(bulk).failed == 1000
        producer.flush()
    assert producer.heard.of(DeliveriesFailed) == []


def test_a_clean_with_block_raises_for_what_failed(broker: Broker, connect: Connect) -> None:
    """With the count."""
    with refuse(broker):
        producer = connect(broker)
        with pytest.raises(DeliveryError, match="3 records"), producer:  # noqa: PT012  # its end is what raises
            for _ in range(3):
                producer.send("letters", b"x")


def test_a_failing_with_block_keeps_its_own_error(broker: Broker, connect: Connect) -> None:
    """The error that ended the block is the one to see; the failures are told as events."""
    with refuse(broker):
        producer = connect(broker)
        with pytest.raises(KeyError, match="mine"), producer:  # noqa: PT012  # the block's own error
            producer.send("letters", b"x")
            raise KeyError("mine")
    producer.heard.wait_for(DeliveriesFailed)


def test_errors_say_what_to_do(broker: Broker, connect: Connect) -> None:
    """Where, what, and what to look at."""
    producer = connect(broker)
    with refuse(broker):
        error = producer.error(producer.send("letters", b"x", partition=2))
    assert isinstance(error, FeliceError)
    assert "letters-2" in str(error)
    assert "grant this principal" in error.hint
    assert (error.retriable, error.may_have_happened) == (False, False)
