"""The accumulator's budget of bytes, compiled and plain."""

import random
from types import ModuleType

from accumulators import SMALLEST, make, put
from felice.producer import _accumulator
from felice.wire import _records, _records_plain


def test_the_budget_is_never_passed(twin: ModuleType, seed: int) -> None:
    """Row 47: whatever sizes come, `used` stays below the limit, with the pool on top of it too."""
    rng = random.Random(seed)
    limit = 600_000
    accumulator, known = make(twin, partitions=50, limit=limit, batch_bytes=200_000)
    refused = 0
    for _ in range(4000):
        taken = put(accumulator, b"x" * rng.choice((10, 100, 3000, 40_000)), partition=rng.randrange(50))
        if taken == twin.NO_ROOM:
            refused += 1
            accumulator.seal_all()
            for queue in known.queues:
                while queue.sealed and rng.random() < 0.5:
                    batch = queue.sealed.popleft()
                    builder = batch.builder
                    batch.settle(0)
                    accumulator.release(batch, builder)
        assert accumulator.used <= limit
        assert accumulator.used + accumulator.pooled <= limit
    assert refused > 10


def test_a_long_linger_with_many_partitions_does_not_lock_the_budget(twin: ModuleType) -> None:
    """Row 47: when the room is out because every partition has reserved a little, sealing all makes room again."""
    accumulator, known = make(twin, partitions=200, limit=65536)
    taken = 0
    while isinstance(put(accumulator, partition=taken % 200), twin.Delivery):
        taken += 1
    assert taken >= 60
    assert accumulator.seal_all() > 0
    for queue in known.queues:
        while queue.sealed:
            batch = queue.sealed.popleft()
            batch.settle(0)
            accumulator.release(batch)
    assert accumulator.used == 0
    assert isinstance(put(accumulator), twin.Delivery)


def test_nothing_is_left_of_a_settled_accumulator(twin: ModuleType) -> None:
    """Each byte that was taken from the budget is given back, once, however often a batch is released."""
    accumulator, known = make(twin, batch_bytes=5000)
    for n in range(300):
        put(accumulator, b"y" * n)
    accumulator.seal_all()
    for queue in known.queues:
        while queue.sealed:
            batch = queue.sealed.popleft()
            batch.settle(0)
            accumulator.release(batch)
            accumulator.release(batch)
    assert accumulator.used == 0


def test_what_waits_elsewhere_is_charged(twin: ModuleType) -> None:
    """Staged records take from the same budget."""
    accumulator, _ = make(twin, limit=65536)
    accumulator.charge(65000)
    assert put(accumulator, b"x" * 1000) == twin.NO_ROOM
    accumulator.charge(-65000)
    assert isinstance(put(accumulator, b"x" * 1000), twin.Delivery)


def test_a_record_that_was_promised_a_place_gets_one_whatever_the_budget_says(twin: ModuleType) -> None:
    """Staged records were charged before: they may not be stuck between two rooms. Others have the limit meanwhile."""
    accumulator, known = make(twin, limit=65536, record_bytes=1000)
    accumulator.charge(65536)
    assert isinstance(accumulator.place_record(known, b"x" * 5000, None, None, 2, 7), twin.Delivery)
    assert put(accumulator, partition=3) == twin.NO_ROOM
    assert put(accumulator, b"x" * 2000) == twin.TOO_LARGE
    assert accumulator.limit == 65536
    assert accumulator.place_record(known, b"x", None, None, 9, 7) == twin.BAD_PARTITION


def test_an_adopted_batch_is_in_the_budget_and_in_no_queue(twin: ModuleType) -> None:
    """The halves of a split batch are charged until they are released."""
    accumulator, known = make(twin)
    builder = (_records if twin is _accumulator else _records_plain).BatchBuilder(2000)
    builder.append(b"x" * 100)
    batch = accumulator.adopt(known.queues[0], builder, 1.5)
    assert (len(batch), batch.begun, batch.state) == (1, 1.5, twin.SEALED)
    assert accumulator.used == batch.charge > 0
    assert not known.queues[0].sealed
    accumulator.release(batch, builder)
    assert accumulator.used == 0


def test_row_20_a_buffer_that_somebody_refers_to_is_not_used_again() -> None:
    """Large buffers are kept for reuse, but not while a request holds a view of them (the compiled twin's pool)."""
    accumulator, known = make(_accumulator, partitions=1)
    for _ in range(300):
        put(accumulator, b"x" * 1000)
    accumulator.seal_all()
    (batch,) = known.queues[0].sealed
    accumulator.finish([batch])
    held, builder = memoryview(batch.payload), batch.builder
    before = bytes(held)
    batch.settle(0)
    accumulator.release(batch, builder)
    assert accumulator.pooled == 0
    for _ in range(300):
        put(accumulator, b"y" * 1000)
    assert bytes(held) == before
    second = known.queues[0].open
    accumulator.seal_all()
    second_builder = second.builder
    second.settle(0)
    accumulator.release(second, second_builder)
    assert accumulator.pooled == second_builder.capacity


def test_a_partition_that_gets_less_reserves_less() -> None:
    """What a large batch had reserved is not reserved for ever after it (the compiled twin reserves ahead)."""
    accumulator, known = make(_accumulator, partitions=1)
    for _ in range(500):
        put(accumulator, b"x" * 1000)
    accumulator.seal_all()
    for _ in range(12):
        put(accumulator)
        accumulator.seal_all()
    assert known.queues[0].sealed[-1].charge == SMALLEST
