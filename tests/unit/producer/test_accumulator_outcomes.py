"""Batches and deliveries, compiled and plain: outcomes, and records that move."""

import gc
import sys
import threading
from types import ModuleType

import pytest

from accumulators import make, put
from felice.errors import FeliceError
from felice.producer import _accumulator


def test_every_delivery_of_a_batch_is_settled_in_one_step(twin: ModuleType) -> None:
    """Offsets count from the batch's first; the timestamp is the record's own, or the broker's."""
    accumulator, known = make(twin, partitions=1)
    deliveries = [put(accumulator, timestamp_ms=n) for n in range(5)]
    assert not any(delivery.done() for delivery in deliveries)
    known.queues[0].open.settle(100)
    assert all(delivery.done() for delivery in deliveries)
    assert [d.result(0) for d in deliveries] == [("letters", 0, 100 + n, n) for n in range(5)]
    assert deliveries[0].exception(0) is None


def test_the_brokers_own_timestamp_is_told(twin: ModuleType) -> None:
    """Where the topic stamps on append, the records' timestamps are the broker's."""
    accumulator, known = make(twin, partitions=1)
    delivery = put(accumulator, timestamp_ms=5)
    known.queues[0].open.settle(0, 777)
    assert delivery.result(0).timestamp_ms == 777


def test_without_acks_the_offset_is_not_known(twin: ModuleType) -> None:
    """-1 and not a guess."""
    accumulator, known = make(twin, partitions=1)
    put(accumulator)
    delivery = put(accumulator)
    known.queues[0].open.settle(-1)
    assert delivery.result(0).offset == -1


def test_a_batch_has_one_outcome(twin: ModuleType) -> None:
    """The first one counts; a later one changes nothing."""
    accumulator, known = make(twin, partitions=1)
    delivery = put(accumulator)
    batch = known.queues[0].open
    batch.settle(-1, -1, FeliceError("lost"))
    batch.settle(3)
    assert batch.state == twin.FAILED
    assert str(delivery.exception(0)) == "lost"
    with pytest.raises(FeliceError, match="lost"):
        delivery.result(0)


def test_hooks_run_once_when_it_is_settled_and_at_once_afterwards(twin: ModuleType) -> None:
    """Each is called exactly once."""
    accumulator, known = make(twin, partitions=1)
    put(accumulator)
    batch = known.queues[0].open
    called: list[str] = []
    batch.watch(0, lambda: called.append("before"))
    assert called == []
    batch.settle(0)
    assert called == ["before"]
    batch.watch(0, lambda: called.append("after"))
    batch.settle(0)
    assert called == ["before", "after"]


def test_a_hook_that_was_taken_back_is_not_called(twin: ModuleType) -> None:
    """Its caller waits no more; others of the same record do, also where it has moved."""
    stand_in, target = twin.Batch(), twin.Batch()
    called: list[str] = []

    def first() -> None:
        called.append("first")

    def second() -> None:
        called.append("second")

    index, place = stand_in.reserve(), target.reserve()
    stand_in.unwatch(index, first)
    for hook in (first, second, first):
        stand_in.watch(index, hook)
    stand_in.unwatch(index, first)
    stand_in.move(index, target, place)
    stand_in.unwatch(index, first)
    target.settle(0)
    stand_in.unwatch(index, second)
    assert called == ["second"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the garbage collector runs between bytecodes only")
@pytest.mark.parametrize("allocations", range(6))
@pytest.mark.parametrize("event", ["moved", "settled"])
def test_a_hook_is_not_lost_beside_an_engine_that_moves_or_settles_the_record(event: str, allocations: int) -> None:
    """The garbage collector runs inside of `watch`, and with it a finalizer that lets the engine's thread go on."""
    batch, target = _accumulator.Batch(), _accumulator.Batch()
    index, place = batch.reserve(), target.reserve()
    called: list[str] = []
    begun = threading.Event()

    def act() -> None:
        if event == "moved":
            batch.move(index, target, place)
        else:
            batch.settle(0)

    def collect(phase: str, _: object) -> None:
        if not begun.is_set():
            begun.set()
            engine = threading.Thread(target=act)
            engine.start()
            engine.join()

    def hook() -> None:
        called.append(event)

    threshold = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        held = [[(n, n)] for n in range(5000)]  # No tuple and no list is left to be had without an allocation.
        gc.callbacks.append(collect)
        gc.set_threshold(gc.get_count()[0] + allocations)
        gc.enable()
        batch.watch(index, hook)
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
        gc.callbacks.remove(collect)
        del held
    if event == "moved" and not begun.is_set():
        act()
    (target if event == "moved" else batch).settle(0)
    assert called == [event]


def test_a_failure_is_looked_at_only_by_those_who_say_so(twin: ModuleType) -> None:
    """A watcher for flush does not count as somebody who will see the error."""
    accumulator, known = make(twin, partitions=1)
    put(accumulator)
    batch = known.queues[0].open
    batch.watch(0, lambda: None, False)
    assert not batch.looked
    batch.watch(0, lambda: None)
    assert batch.looked


def test_a_moved_record_has_the_outcome_of_its_new_batch(twin: ModuleType) -> None:
    """Deliveries, hooks and hurry all follow: those of that record, and no others."""
    accumulator, _ = make(twin, partitions=1)
    stand_in = twin.Batch()
    deliveries = [twin.deliver(stand_in, stand_in.reserve(), 5) for _ in range(3)]
    called: list[int] = []
    for n in range(3):
        stand_in.watch(n, lambda n=n: called.append(n))
    stand_in.hurry()
    target = put(accumulator)._place()[0]
    for _ in range(2):
        put(accumulator)
    stand_in.move(0, target, 2)
    stand_in.move(2, target, 0)
    assert target.wanted
    assert target.looked
    target.settle(10)
    assert sorted(called) == [0, 2]
    assert [d.done() for d in deliveries] == [True, False, True]
    assert deliveries[0].result(0).offset == 12
    assert deliveries[2].result(0).offset == 10
    failed = stand_in.settle_one(1, FeliceError("no place"))
    assert failed.looked
    assert str(deliveries[1].exception(0)) == "no place"
    assert sorted(called) == [0, 1, 2]


def test_a_record_that_moves_twice_is_found(twin: ModuleType) -> None:
    """Staged, then batched, then split: the delivery still says where it ended."""
    accumulator, _ = make(twin, partitions=1)
    stand_in = twin.Batch()
    delivery = twin.deliver(stand_in, stand_in.reserve(), 5)
    second, _ = put(accumulator)._place()
    stand_in.move(0, second, 0)
    accumulator.seal_all()
    third, _ = put(accumulator)._place()
    second.move(0, third, 0)
    assert delivery._place() == (third, 0)
    assert stand_in.place(0) == (third, 0)
    third.settle(44)
    assert delivery.result(0) == ("letters", 0, 44, 5)
