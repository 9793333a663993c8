"""The accumulator, compiled and plain: which partition, what is taken, and how batches come about."""

import time
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest

from accumulators import HEADER, MEGABYTE, RECORD, SMALLEST, everything, make, options, put, where, written
from felice.clock import SystemClock
from felice.errors import UsageError
from felice.wire.records import Codec, check, murmur2, read_records

# -- partitions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "java"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]
)
def test_keyed_records_go_where_the_java_client_puts_them(twin: ModuleType, key: bytes, java: int) -> None:
    """A key's partition is Kafka's murmur2 of it without the sign, modulo the partitions; known answers of Kafka's."""
    accumulator, _ = make(twin, partitions=7)
    assert murmur2(key) & 0xFFFFFFFF == java & 0xFFFFFFFF
    assert where(put(accumulator, key=key)) == (java & 0x7FFFFFFF) % 7


def test_an_empty_key_is_a_key(twin: ModuleType) -> None:
    """`b""` chooses a partition as any other key does, and is not the same as None."""
    accumulator, _ = make(twin, partitions=5)
    expected = (murmur2(b"") & 0x7FFFFFFF) % 5
    assert [where(put(accumulator, key=b"")) for _ in range(3)] == [expected] * 3


def test_records_without_a_key_fill_one_batch_before_the_next_partition_gets_one(twin: ModuleType) -> None:
    """Sticky by batch: the partition changes exactly when a batch is full, and all take turns."""
    accumulator, known = make(twin, batch_bytes=2000)
    partitions = [where(put(accumulator, b"v" * 300)) for _ in range(40)]
    changes = [b for a, b in pairwise(partitions) if a != b]
    runs = len(changes) + 1
    assert runs == sum(len(queue.sealed) + bool(queue.open) for queue in known.queues)
    assert len(set(changes[:4])) == 4


def test_a_sealed_sticky_batch_moves_the_turn(twin: ModuleType) -> None:
    """When the sender seals the sticky batch because its linger is over, the next record opens another partition's."""
    accumulator, known = make(twin)
    first = where(put(accumulator))
    accumulator.seal(known.queues[first])
    assert where(put(accumulator)) != first


def test_partitions_without_a_leader_get_no_unkeyed_records(twin: ModuleType) -> None:
    """While some partition has a leader, records that may go anywhere go there."""
    accumulator, known = make(twin)
    accumulator.set_topic("letters", known.options, 4, [2], 0)
    for _ in range(6):
        delivery = put(accumulator)
        assert where(delivery) == 2
        accumulator.seal(known.queues[2])


def test_without_any_leader_records_go_on_somewhere(twin: ModuleType) -> None:
    """With no leader at all the partitions take turns: records wait there."""
    accumulator, known = make(twin)
    accumulator.set_topic("letters", known.options, 4, [], 0)
    seen = set()
    for _ in range(8):
        number = where(put(accumulator))
        seen.add(number)
        accumulator.seal(known.queues[number])
    assert seen == {0, 1, 2, 3}


def test_an_explicit_partition_is_taken(twin: ModuleType) -> None:
    """A partition that is named is used, whatever the key says; one that is not there is refused."""
    accumulator, _ = make(twin)
    assert where(put(accumulator, key=b"21", partition=3)) == 3
    for wrong in (4, -1, 2**40):
        assert put(accumulator, partition=wrong) == twin.BAD_PARTITION
    assert accumulator.used <= 2 * SMALLEST


def test_a_topic_made_anew_may_have_fewer_partitions_and_more_again(twin: ModuleType) -> None:
    """Row 5: queues beyond the new number get nothing more, keep what they have, and are the same when they return."""
    accumulator, known = make(twin)
    last = known.queues[3]
    put(accumulator, b"old", partition=3)
    accumulator.set_topic("letters", known.options, 2, [0, 1], 0)
    assert put(accumulator, partition=3) == twin.BAD_PARTITION
    assert {where(put(accumulator, key=bytes([n]))) for n in range(50)} == {0, 1}
    accumulator.seal_all()
    assert len(last.sealed) == 1
    accumulator.set_topic("letters", known.options, 4, range(4), 0)
    assert known.queues[3] is last


def test_a_topic_is_learnt_once_even_before_callers_find_it(twin: ModuleType) -> None:
    """Two of them would be two sequences of one partition: the broker would take the second for duplicates."""
    accumulator = twin.Accumulator(MEGABYTE, lambda: None, SystemClock())
    first = accumulator.set_topic("letters", options(), 1, [0], 0)
    assert put(accumulator) == twin.UNKNOWN_TOPIC
    assert accumulator.set_topic("letters", options(), 2, [0, 1], 0) is first
    assert accumulator.topics() == [first]
    accumulator.admit(first)
    assert accumulator.topic("letters") is first
    assert where(put(accumulator, partition=1)) == 1


# -- what is taken ----------------------------------------------------------------------------------------------------


def test_a_record_is_written_as_it_was_given(twin: ModuleType) -> None:
    """Key, value, headers and timestamp come back from the bytes, and None is not the same as empty."""
    accumulator, known = make(twin, partitions=1)
    given = [(b"v", b"k", 5), (None, b"", 3), (b"", None, 2**62), (None, None, 0)]
    for value, key, stamp in given:
        put(accumulator, value, key, timestamp_ms=stamp, headers=[("ä", b"1"), ("b", None)])
    accumulator.seal_all()
    (batch,) = known.queues[0].sealed
    assert written(accumulator, batch) == given
    assert read_records(batch.payload)[0].headers == (("ä", b"1"), ("b", None))


def test_records_without_a_timestamp_get_the_wall_clock(twin: ModuleType) -> None:
    """It is the time of the call, in milliseconds, or what the clock that was handed in says."""
    accumulator, known = make(twin, partitions=1)
    before = time.time_ns() // 1_000_000
    put(accumulator)
    accumulator.seal_all()
    ((_, _, stamp),) = written(accumulator, known.queues[0].sealed[0])
    assert before - 50 <= stamp <= time.time_ns() // 1_000_000
    told = twin.Accumulator(MEGABYTE, lambda: None, SystemClock(), lambda: 1234)
    told.admit(told.set_topic("letters", options(), 1, [0], 0))
    put(told)
    told.seal_all()
    assert written(told, told.topic("letters").queues[0].sealed[0]) == [(b"x", None, 1234)]


NOT_PLAIN: list[dict[str, Any]] = [
    {"value": "text"},
    {"value": bytearray(b"x")},
    {"value": 5},
    {"key": "text"},
    {"key": memoryview(b"x")},
    {"headers": "text"},
    {"headers": {"a": b"1"}},
    {"headers": [("a", "text")]},
    {"headers": [(b"a", b"1")]},
    {"headers": [("a",)]},
    {"headers": [["a", b"1"]]},
    {"headers": [None]},
    {"timestamp_ms": -1},
    {"timestamp_ms": 1.5},
    {"timestamp_ms": True},
]


@pytest.mark.parametrize("wrong", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_the_slow_way_and_changes_nothing(twin: ModuleType, wrong: dict[str, Any]) -> None:
    """Only exact bytes, lists of (str, bytes) and whole numbers are taken here; the rest is judged elsewhere."""
    accumulator, known = make(twin)
    assert put(accumulator, **wrong) == twin.NOT_PLAIN
    assert accumulator.used == 0
    assert all(queue.open is None for queue in known.queues)


@pytest.mark.parametrize("topic", [None, 5, b"letters", ["letters"]])
def test_a_topic_is_a_string(twin: ModuleType, topic: Any) -> None:
    """Anything else, hashable or not, is left to the slow way."""
    accumulator, _ = make(twin)
    assert accumulator.offer(topic, b"x", None, None, None, None) == twin.NOT_PLAIN


def test_a_timestamp_beyond_64_bits_is_refused(twin: ModuleType) -> None:
    """It is no time that the format could hold, and nothing is accepted."""
    accumulator, _ = make(twin)
    assert put(accumulator, timestamp_ms=2**63) == twin.NOT_PLAIN
    assert accumulator.used == 0


def test_a_header_that_is_no_text_is_refused(twin: ModuleType) -> None:
    """A lone surrogate has no UTF-8: a typed error at the call, and nothing is begun."""
    accumulator, known = make(twin)
    with pytest.raises(UsageError, match="header"):
        put(accumulator, headers=[("\ud800", b"1")])
    assert accumulator.used == 0
    assert all(queue.open is None for queue in known.queues)


def test_a_partition_of_a_wrong_type_is_refused(twin: ModuleType) -> None:
    """A bool or a float is no partition number."""
    accumulator, _ = make(twin)
    for wrong in (True, 1.0, "1"):
        assert put(accumulator, partition=wrong) in (twin.NOT_PLAIN, twin.BAD_PARTITION)
    assert accumulator.used == 0


def test_a_record_above_the_limit_is_told_apart(twin: ModuleType) -> None:
    """TOO_LARGE says that the record needs a closer look, before any room is looked for."""
    accumulator, _ = make(twin, record_bytes=1000)
    assert put(accumulator, b"x" * (1000 - RECORD - HEADER + 1)) == twin.TOO_LARGE
    assert isinstance(put(accumulator, b"x" * (1000 - RECORD - HEADER)), twin.Delivery)


# -- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_is_sealed_when_the_next_record_does_not_fit(twin: ModuleType) -> None:
    """No batch of several records grows past `batch_bytes`; one larger record has a batch to itself."""
    accumulator, known = make(twin, partitions=1, batch_bytes=1500)
    for size in (400, 400, 400, 400, 5000, 10, 10):
        put(accumulator, b"v" * size)
    batches = [*known.queues[0].sealed, known.queues[0].open]
    assert [len(batch) for batch in batches] == [3, 1, 1, 2]
    assert [batch.state for batch in batches] == [twin.SEALED] * 3 + [twin.OPEN]
    assert all(batch.builder.size <= 1500 for batch in batches if len(batch) > 1)


def test_an_empty_queue_seals_nothing(twin: ModuleType) -> None:
    """Sealing where there is no record makes no batch."""
    accumulator, known = make(twin)
    accumulator.seal(known.queues[0])
    assert accumulator.seal_all() == 0
    assert not known.queues[0].sealed


def test_the_engine_is_rung_once_a_batch(twin: ModuleType) -> None:
    """The first record of a batch rings; the others cost no wake."""
    rings: list[None] = []
    accumulator, _ = make(twin, partitions=1, ring=lambda: rings.append(None))
    for _ in range(100):
        put(accumulator)
    assert len(rings) == 1
    accumulator.seal_all()
    rings.clear()
    put(accumulator)
    assert len(rings) == 1


def test_dirty_queues_are_told_once(twin: ModuleType) -> None:
    """A queue is named when it has a new open or sealed batch, and then not again until there is another."""
    accumulator, known = make(twin)
    put(accumulator, partition=1)
    put(accumulator, partition=1)
    put(accumulator, partition=2)
    assert accumulator.take_dirty() == [known.queues[1], known.queues[2]]
    assert accumulator.take_dirty() == []
    put(accumulator, partition=1)
    assert accumulator.take_dirty() == []
    accumulator.seal(known.queues[1])
    assert accumulator.take_dirty() == [known.queues[1]]


def test_a_hurried_batch_is_told_while_it_is_open(twin: ModuleType) -> None:
    """Somebody waits: the open batch's queue is named again, once; a sealed batch needs no hurry."""
    accumulator, known = make(twin, partitions=1)
    batch, _ = put(accumulator)._place()
    accumulator.take_dirty()
    batch.hurry()
    batch.hurry()
    assert batch.wanted
    assert accumulator.take_dirty() == [known.queues[0]]
    accumulator.seal_all()
    accumulator.take_dirty()
    other, _ = put(accumulator)._place()
    accumulator.seal_all()
    accumulator.take_dirty()
    other.hurry()
    assert accumulator.take_dirty() == []


def test_sealed_batches_keep_the_order_of_the_sends(twin: ModuleType) -> None:
    """Per partition the sealed batches, read one after the other, are what was sent."""
    accumulator, known = make(twin, batch_bytes=600)
    for n in range(200):
        put(accumulator, b"%d" % n, key=b"%d" % (n % 10))
    accumulator.seal_all()
    for queue in known.queues:
        values = [int(value) for batch in queue.sealed for value, _, _ in written(accumulator, batch)]
        assert values == sorted(values)
    assert sorted(map(int, everything(accumulator))) == list(range(200))


def test_finishing_stamps_each_batch_with_its_own_numbers(twin: ModuleType) -> None:
    """A hundred batches finished together carry their own producer ID, epoch and sequence, and right checksums."""
    accumulator, known = make(twin, partitions=100)
    batches = []
    for n in range(100):
        batch, _ = put(accumulator, partition=n)._place()
        accumulator.seal(known.queues[n])
        batch.producer_id, batch.producer_epoch, batch.base_sequence, batch.attempts = 1000 + n, n, 7 * n, 1
        batches.append(batch)
    accumulator.finish(batches)
    for n, batch in enumerate(batches):
        header = check(batch.payload)
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (1000 + n, n, 7 * n)


def test_a_compressed_batch_is_stamped_once_and_charged_for_what_it_takes(twin: ModuleType) -> None:
    """Its plain bytes are let go, and the budget counts the compressed ones."""
    accumulator, known = make(twin, partitions=1)
    for _ in range(100):
        put(accumulator, b"a" * 500)
    accumulator.seal_all()
    (batch,) = known.queues[0].sealed
    plain = accumulator.used
    payload = batch.builder.seal(codec=Codec.GZIP)
    accumulator.compressed(batch, payload)
    assert batch.builder is None
    assert accumulator.used == len(payload) < plain / 10
    batch.producer_id, batch.producer_epoch, batch.base_sequence, batch.attempts = 5, 1, 9, 1
    accumulator.finish([batch])
    header = check(batch.payload)
    assert (header.producer_id, header.producer_epoch, header.base_sequence, header.count) == (5, 1, 9, 100)
    accumulator.release(batch)
    assert accumulator.used == 0


# -- many at once -----------------------------------------------------------------------------------------------------


def test_many_records_have_one_span_a_run(twin: ModuleType) -> None:
    """Spans cover all records in order, and one span ends where another caller's record comes between."""
    accumulator, known = make(twin, partitions=1)
    mine: list[Any] = []
    theirs: list[Any] = []
    offer = accumulator.offer_many
    assert offer("letters", [b"a", b"b"], None, None, None, None, 0, mine) == (2, 0)
    assert offer("letters", [b"A"], None, None, None, None, 0, theirs) == (1, 0)
    assert offer("letters", [b"a", b"b", b"c", b"d"], None, None, None, None, 2, mine) == (4, 0)
    assert [(span.first, span.count) for span in mine] == [(0, 2), (3, 2)]
    assert [(span.first, span.count) for span in theirs] == [(2, 1)]
    accumulator.seal_all()
    (batch,) = known.queues[0].sealed
    assert [value for value, _, _ in written(accumulator, batch)] == [b"a", b"b", b"A", b"c", b"d"]


def test_many_keyed_records_with_headers_go_where_single_ones_go(twin: ModuleType) -> None:
    """Keys, headers, the partition and the timestamp mean the same as in single sends."""
    values = [b"%d" % n for n in range(500)]
    keys = [None if n % 7 == 0 else b"k%d" % (n % 23) for n in range(500)]
    headers = [[("n", b"%d" % n)] if n % 3 else None for n in range(500)]
    single, many = make(twin, batch_bytes=900)[0], make(twin, batch_bytes=900)[0]
    for value, key, header in zip(values, keys, headers, strict=True):
        put(single, value, key, headers=header or [], timestamp_ms=9)
    spans: list[Any] = []
    assert many.offer_many("letters", values, keys, [h or [] for h in headers], None, 9, 0, spans) == (500, 0)
    assert sum(span.count for span in spans) == 500
    for a, b in zip(single.topic("letters").queues, many.topic("letters").queues, strict=True):
        single.seal_all()
        many.seal_all()
        assert [written(single, x) for x in a.sealed] == [written(many, x) for x in b.sealed]


def test_many_records_stop_where_the_room_ends(twin: ModuleType) -> None:
    """What was taken is told, with its spans; the next one is the first that has no room."""
    accumulator, _ = make(twin, limit=65536, batch_bytes=1000)
    spans: list[Any] = []
    taken, reason = accumulator.offer_many("letters", [b"x" * 500] * 1000, None, None, None, None, 0, spans)
    assert reason == twin.NO_ROOM
    assert 50 < taken < 130
    assert sum(span.count for span in spans) == taken == len(everything(accumulator))


def test_many_records_need_a_known_topic_and_partition(twin: ModuleType) -> None:
    """Otherwise none is taken, and the reason says which."""
    accumulator, _ = make(twin)
    offer = accumulator.offer_many
    assert offer("cards", [b"x"], None, None, None, None, 0, []) == (0, twin.UNKNOWN_TOPIC)
    assert offer("letters", [b"x"], None, None, 4, None, 0, []) == (0, twin.BAD_PARTITION)
    assert offer("letters", [b"x" * 2_000_000], None, None, None, None, 0, []) == (0, twin.TOO_LARGE)
    assert accumulator.used == 0


def test_the_longest_item_of_a_column(twin: ModuleType) -> None:
    """-1 where something in it is not bytes or None."""
    assert twin.largest([]) == 0
    assert twin.largest([None, b"abc", b""]) == 3
    assert twin.largest([b"abc", "text"]) == -1
    assert twin.largest([bytearray(b"x")]) == -1
