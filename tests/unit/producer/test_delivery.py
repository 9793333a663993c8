"""Deliveries: waiting for outcomes from threads and from event loops, one by one and in bulk."""

import asyncio
import gc
import threading
from types import ModuleType
from typing import Any

import pytest

from accumulators import make, put
from felice.cluster.engine import Engine
from felice.cluster.handoff import OneShot
from felice.errors import BrokerError, DeadlineExceeded, DeliveryError, ErrorCode, FeliceError
from felice.producer.delivery import BulkDelivery, RecordRange, _hurry, within


def one(twin: ModuleType) -> tuple[Any, Any]:
    """Return a delivery and the batch that will settle it."""
    accumulator, known = make(twin, partitions=1)
    delivery = put(accumulator, timestamp_ms=5)
    return delivery, known.queues[0].open


def soon(function: Any, *args: Any) -> threading.Timer:
    """Do something on another thread while this one waits."""
    timer = threading.Timer(0.02, function, args)
    timer.start()
    return timer


# -- threads ------------------------------------------------------------------------------------------------------


def test_a_thread_waits_for_the_outcome(twin: ModuleType) -> None:
    """`result` returns when the engine has settled the batch."""
    delivery, batch = one(twin)
    settling = soon(batch.settle, 7)
    assert delivery.result(10) == ("letters", 0, 7, 5)
    settling.join()


def test_a_wait_hurries_the_batch(twin: ModuleType) -> None:
    """Who waits pays no linger."""
    delivery, batch = one(twin)
    with pytest.raises(DeadlineExceeded):
        delivery.result(0)
    assert batch.wanted


def test_a_wait_hurries_the_batch_that_the_record_moves_to_beside_it(twin: ModuleType) -> None:
    """The old batch was asked for, and the record is gone from it when it is hurried."""
    stand_in, target = twin.Batch(), twin.Batch()
    delivery = twin.deliver(stand_in, stand_in.reserve(), 5)

    class Moving:
        def _place(self) -> Any:
            found = delivery._place()
            if found[0] is stand_in:
                stand_in.move(0, target, target.reserve())
            return found

    _hurry(Moving())  # type: ignore[arg-type]
    assert target.wanted


def test_a_wait_that_ends_leaves_the_record_on_its_way(twin: ModuleType) -> None:
    """The error says so; the outcome can be had later."""
    delivery, batch = one(twin)
    with pytest.raises(DeadlineExceeded, match=r"within 0\.01 s \(the record is still on its way"):
        delivery.result(0.01)
    with pytest.raises(DeadlineExceeded):
        delivery.exception(0)
    assert not delivery.done()
    batch.settle(3)
    assert delivery.result().offset == 3


def waits() -> int:
    """Count the waits whose memory is held."""
    gc.collect()
    return sum(type(found) is OneShot for found in gc.get_objects())


def test_waits_that_end_leave_nothing_behind(twin: ModuleType) -> None:
    """Who asks again and again while the record is on its way fills no memory, and slows nobody."""
    delivery, batch = one(twin)
    handle, batches = bulk(twin)
    before = waits()
    for _ in range(100):
        for waiting in (delivery, handle):
            with pytest.raises(DeadlineExceeded):
                waiting.result(0)
    assert waits() <= before + 1  # The error that is being looked at holds the last one.
    batch.settle(3)
    for one_batch in batches:
        one_batch.settle(5)
    assert delivery.result(0).offset == 3
    assert len(handle.result(0)) == len(batches)


async def test_awaits_that_are_cancelled_leave_nothing_behind(twin: ModuleType) -> None:
    """As with threads."""
    delivery, batch = one(twin)
    handle, _ = bulk(twin)

    def futures() -> int:
        gc.collect()
        return sum(isinstance(found, asyncio.Future) for found in gc.get_objects())

    before = futures()
    for _ in range(100):
        for waiting in (delivery, handle):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await waiting
    assert futures() <= before + 10
    batch.settle(3)
    assert (await delivery).offset == 3


def test_a_failure_is_raised_by_result_and_returned_by_exception(twin: ModuleType) -> None:
    """The record's own error; somebody has looked at it then."""
    delivery, batch = one(twin)
    error = BrokerError(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "producing to letters-0")
    batch.settle(-1, -1, error)
    assert delivery.exception() is error
    with pytest.raises(BrokerError) as raised:
        delivery.result()
    assert raised.value.code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
    assert batch.looked


def test_the_outcome_counts_even_where_the_wait_ends_beside_it(
    twin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`exception` never takes the end of a wait for the record's error.

    1. the wait's time is up; 2. the engine settles the batch; 3. the waiter looks whether it is done.
    """
    from felice.producer import delivery as room

    delivery, batch = one(twin)

    def late(*_: object) -> None:
        batch.settle(3)
        raise DeadlineExceeded("no outcome within 1 s")

    monkeypatch.setattr(room, "outcome", late)
    assert delivery.exception(1) is None


def test_one_error_of_a_batch_is_raised_without_the_tracebacks_of_others(twin: ModuleType) -> None:
    """It stands for a whole batch: raised a thousand times, it does not grow."""
    delivery, batch = one(twin)
    batch.settle(-1, -1, FeliceError("lost"))

    def depth() -> int:
        with pytest.raises(FeliceError) as raised:
            delivery.result()
        return len(raised.traceback)

    first = depth()
    assert [depth() for _ in range(5)] == [first] * 5


def test_many_threads_wait_for_one_outcome(twin: ModuleType) -> None:
    """All are woken."""
    delivery, batch = one(twin)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(delivery.result(10).offset)) for _ in range(10)]
    for thread in threads:
        thread.start()
    batch.settle(4)
    for thread in threads:
        thread.join(10)
    assert found == [4] * 10


# -- callbacks ----------------------------------------------------------------------------------------------------


def test_a_callback_of_a_thread_runs_on_the_callback_thread(twin: ModuleType) -> None:
    """Never on the thread that settles, which is the engine's; with the delivery as its argument."""
    delivery, batch = one(twin)
    told: list[tuple[Any, int]] = []
    called = threading.Event()

    def callback(done: Any) -> None:
        told.append((done, threading.get_ident()))
        called.set()

    delivery.add_done_callback(callback)
    batch.settle(0)
    assert called.wait(10)
    assert told == [(delivery, Engine.current().callbacks.ident)]
    assert threading.get_ident() != told[0][1]


def test_a_callback_that_is_added_late_is_called_too(twin: ModuleType) -> None:
    """On the same thread as any other, not inside `add_done_callback`."""
    delivery, batch = one(twin)
    batch.settle(0)
    called = threading.Event()
    delivery.add_done_callback(lambda _: called.set())
    assert called.wait(10)


def test_a_callback_that_fails_stops_no_other(twin: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the next one is called."""
    delivery, batch = one(twin)
    called = threading.Event()
    delivery.add_done_callback(lambda _: 1 / 0)
    delivery.add_done_callback(lambda _: called.set())
    batch.settle(0)
    assert called.wait(10)
    assert "ZeroDivisionError" in caplog.text


async def test_a_callback_of_a_loop_runs_on_that_loop(twin: ModuleType) -> None:
    """Where it is added on a running loop, that is its place."""
    delivery, batch = one(twin)
    ident: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    delivery.add_done_callback(lambda _: ident.set_result(threading.get_ident()))
    settling = soon(batch.settle, 0)
    assert await ident == threading.get_ident()
    settling.join()


async def test_a_failing_callback_of_a_loop_goes_to_its_exception_handler(twin: ModuleType) -> None:
    """As asyncio's own callbacks do; and the next one is called."""
    delivery, batch = one(twin)
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    called = asyncio.Event()
    delivery.add_done_callback(lambda _: 1 / 0)
    delivery.add_done_callback(lambda _: called.set())
    batch.settle(0)
    await asyncio.wait_for(called.wait(), 10)
    assert isinstance(told[0]["exception"], ZeroDivisionError)


# -- loops --------------------------------------------------------------------------------------------------------


async def test_a_loop_awaits_the_outcome(twin: ModuleType) -> None:
    """Also again, and after the fact."""
    delivery, batch = one(twin)
    settling = soon(batch.settle, 7)
    assert (await delivery).offset == 7
    assert (await delivery).offset == 7
    assert (await within(delivery, 0)).offset == 7
    settling.join()


async def test_an_awaited_failure_is_raised(twin: ModuleType) -> None:
    """As by `result`."""
    delivery, batch = one(twin)
    settling = soon(batch.settle, -1, -1, FeliceError("lost"))
    with pytest.raises(FeliceError, match="lost"):
        await delivery
    settling.join()


def test_one_delivery_is_awaited_on_two_loops_at_once(twin: ModuleType) -> None:
    """It belongs to none of them."""
    delivery, batch = one(twin)
    found: list[int] = []
    waiting = threading.Barrier(3)

    def run() -> None:
        async def wait() -> None:
            task = asyncio.ensure_future(delivery)
            await asyncio.sleep(0)
            await asyncio.to_thread(waiting.wait, 10)
            found.append((await task).offset)

        asyncio.run(wait())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    waiting.wait(10)
    batch.settle(9)
    for thread in threads:
        thread.join(10)
    assert found == [9, 9]


async def test_row_12_cancelling_an_await_leaves_the_record_alone(twin: ModuleType) -> None:
    """The record goes on, and another await has its outcome."""
    delivery, batch = one(twin)
    task = asyncio.ensure_future(delivery)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(DeadlineExceeded):
        await within(delivery, 0.01)
    assert not delivery.done()
    batch.settle(2)
    assert (await delivery).offset == 2


async def test_a_time_limit_of_the_users_own_is_not_taken_for_ours(twin: ModuleType) -> None:
    """A TimeoutError that comes from around the await stays what it is."""
    delivery, _ = one(twin)
    with pytest.raises(TimeoutError) as raised:
        async with asyncio.timeout(0.01):
            await within(delivery, 10)
    assert not isinstance(raised.value, DeadlineExceeded)


def test_ctrl_c_in_the_middle_of_a_wake_silences_nobody(twin: ModuleType) -> None:
    """A loop that outlives its Ctrl-C, as in a notebook, goes on to hear of outcomes."""
    interrupts = [KeyboardInterrupt]

    class Interrupted(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *args: Any, **options: Any) -> Any:
            if interrupts:
                raise interrupts.pop()
            return super().call_soon_threadsafe(*args, **options)

    def added() -> Any:
        delivery, batch = one(twin)
        batch.settle(3)
        return delivery

    async def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            added().add_done_callback(called.append)
        again = loop.create_future()
        added().add_done_callback(again.set_result)
        await asyncio.wait_for(again, 5)

    called: list[Any] = []
    loop = Interrupted()
    try:
        loop.run_until_complete(interrupted())
    finally:
        loop.close()
    assert len(called) == 1


def test_a_loop_that_was_closed_under_its_waiters_breaks_nothing(twin: ModuleType) -> None:
    """The batch settles, and other waiters are woken."""
    delivery, batch = one(twin)

    async def leave() -> None:
        delivery.add_done_callback(lambda _: None)
        asyncio.ensure_future(delivery).cancel()
        await asyncio.sleep(0)

    asyncio.run(leave())
    gc.collect()
    other: list[bool] = []
    batch.watch(0, lambda: other.append(True))
    batch.settle(0)
    assert other == [True]
    assert delivery.result(1).offset == 0


# -- many ---------------------------------------------------------------------------------------------------------


def bulk(twin: ModuleType, count: int = 10) -> tuple[BulkDelivery, list[Any]]:
    """Return a bulk delivery over two partitions, and the batches that settle it."""
    accumulator, known = make(twin, partitions=2)
    spans: list[Any] = []
    half = count // 2
    for partition in (0, 1):
        accumulator.offer_many("letters", [b"x"] * half, None, None, partition, None, 0, spans)
    return BulkDelivery(spans, count), [queue.open for queue in known.queues]


def test_a_bulk_delivery_tells_ranges(twin: ModuleType) -> None:
    """Where the records are, in the order of sending, once all have their outcome."""
    handle, batches = bulk(twin)
    assert (len(handle), handle.count, handle.done()) == (10, 10, False)
    batches[1].settle(100)
    assert not handle.done()
    settling = soon(batches[0].settle, 50)
    assert handle.result(10) == [RecordRange("letters", 0, 50, 5), RecordRange("letters", 1, 100, 5)]
    assert handle.exception() is None
    settling.join()


def test_a_bulk_delivery_of_nothing_is_done(twin: ModuleType) -> None:
    """There is nothing to wait for."""
    empty = BulkDelivery([], 0)
    assert empty.done()
    assert empty.result() == []


def test_a_bulk_delivery_counts_what_failed(twin: ModuleType) -> None:
    """One error with the count, the first error, and whether any may have been written."""
    handle, batches = bulk(twin)
    batches[0].settle(0)
    batches[1].settle(-1, -1, FeliceError("lost", may_have_happened=True))
    with pytest.raises(DeliveryError, match="5 of 10 records were not delivered; the first: lost") as raised:
        handle.result()
    assert (raised.value.failed, raised.value.may_have_happened) == (5, True)
    assert str(raised.value.first) == "lost"
    assert isinstance(handle.exception(), DeliveryError)


def test_a_bulk_wait_has_an_end(twin: ModuleType) -> None:
    """With the same error as a single one's."""
    handle, _ = bulk(twin)
    with pytest.raises(DeadlineExceeded, match="still on its way"):
        handle.result(0.01)


def test_who_waits_for_many_looks_at_all_of_them(twin: ModuleType) -> None:
    """A batch that fails while another is waited for is no failure that nobody looks at."""
    handle, batches = bulk(twin)
    handle.add_done_callback(lambda _: None)
    assert all(batch.looked for batch in batches)


def test_a_flush_watches_without_looking(twin: ModuleType) -> None:
    """So that failures are still told."""
    handle, batches = bulk(twin)
    done: list[bool] = []
    handle._watch(lambda: done.append(True), looks=False)
    batches[0].settle(0)
    assert done == []
    batches[1].settle(0)
    assert done == [True]
    assert not any(batch.looked for batch in batches)


def test_a_bulk_delivery_follows_records_that_move(twin: ModuleType) -> None:
    """A split batch: the ranges are where the records are in the end."""
    handle, batches = bulk(twin)
    accumulator, _ = make(twin, partitions=1)
    halves = []
    for first in (0, 2):
        put(accumulator)
        half, _ = put(accumulator)._place()
        for n in range(2):
            batches[0].move(first + n, half, n)
        accumulator.seal_all()
        halves.append(half)
    put(accumulator)
    last, _ = put(accumulator)._place()
    batches[0].move(4, last, 1)
    handle_done: list[bool] = []
    handle._watch(lambda: handle_done.append(True))
    for n, batch in enumerate((*halves, last, batches[1])):
        assert not handle_done
        batch.settle(10 * n)
    assert handle_done == [True]
    assert [(r.first_offset, r.length) for r in handle.result()] == [(0, 2), (10, 2), (21, 1), (30, 5)]


async def test_a_bulk_delivery_is_awaited_and_called_back_on_a_loop(twin: ModuleType) -> None:
    """As a single one is; cancelling leaves the records alone."""
    handle, batches = bulk(twin)
    task = asyncio.ensure_future(handle)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    called: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    handle.add_done_callback(called.set_result)
    settling = [soon(batch.settle, 0) for batch in batches]
    assert len(await handle) == 2
    assert await called is handle
    for timer in settling:
        timer.join()
