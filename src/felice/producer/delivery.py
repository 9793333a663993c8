"""Waiting for outcomes: what `Delivery` and `BulkDelivery` do beyond reading what is there.

A hook on a batch runs on the engine and only passes the word on: to a waiting thread, to an event loop, or to the
callback thread.
"""

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from felice.clock import check_timeout
from felice.cluster.engine import Engine
from felice.cluster.handoff import OneShot
from felice.errors import DeadlineExceeded, DeliveryError, FeliceError, ForkedError
from felice.types import RecordMetadata

if TYPE_CHECKING:
    from felice.producer._accumulator import Batch, Delivery, Span


def outcome(delivery: "Delivery", timeout: float | None) -> tuple["Batch", int]:
    """Wait for a record's outcome; return the batch and index it ended in, or raise its error."""
    if not delivery.done():
        _check(timeout)
        settled: OneShot[None] = OneShot()
        batch, index = delivery._place()
        _check_process(batch)

        def hook() -> None:
            settled.set(None)

        batch.watch(index, hook)
        _hurry(delivery)
        try:
            settled.wait(timeout)
        except DeadlineExceeded:
            raise _no_outcome(timeout, batch) from None
        finally:
            batch.unwatch(index, hook)
    batch, index = delivery._place()
    batch.looked = True
    if batch.error is not None:
        # One error stands for a whole batch: raised afresh, without the traceback of whoever raised it before.
        raise batch.error.with_traceback(None)
    return batch, index


def exception(delivery: "Delivery", timeout: float | None) -> BaseException | None:
    """Wait for a record's outcome and return its error, or None."""
    try:
        outcome(delivery, timeout)
    except FeliceError:
        # Not the error that came: it may tell of a wait that ended just before the outcome was there.
        batch, _ = delivery._place()
        if not batch.done:
            raise
        return batch.error
    return None


async def awaiting(delivery: "Delivery") -> RecordMetadata:
    """Await a record's outcome on the running loop. Cancelling it leaves the record alone."""
    if not delivery.done():
        batch, index = delivery._place()
        _check_process(batch)
        future, hook = _promise()
        batch.watch(index, hook)
        _hurry(delivery)
        try:
            await future
        finally:
            batch.unwatch(index, hook)
    return delivery.result(0)


async def within(delivery: "Delivery", timeout: float | None) -> RecordMetadata:
    """Await a record's outcome for up to `timeout` seconds; raise DeadlineExceeded then."""
    _check(timeout)
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            return await delivery
    except TimeoutError:
        if limit.expired():
            raise _no_outcome(timeout, delivery._place()[0]) from None
        raise


def _hurry(delivery: "Delivery") -> None:
    """Have the batch that holds the record sent without its linger, as somebody waits."""
    # Race: beside an engine that moves the record. So we look again.
    #   1. we: ask for its batch   2. engine: moves it, from a batch that is not hurried   3. we: hurry the old batch
    while not ((batch := delivery._place()[0]).wanted or batch.done):
        batch.hurry()


def _check(timeout: float | None) -> None:
    if timeout is not None:
        check_timeout(timeout, none="without end")


def _check_process(batch: "Batch") -> None:
    """Raise ForkedError in a child process: the outcome will come to the parent and never to it."""
    queue = batch.queue
    if queue is not None and getattr(queue.owner.accumulator, "_forked", False):
        raise ForkedError(
            f"this record for {queue.topic} was sent before a fork() and its outcome goes to the parent process",
            hint="wait for it there",
        )


def _no_outcome(timeout: float | None, batch: "Batch | None") -> DeadlineExceeded:
    """Say that the wait is over, and what stands between the record and its broker, as far as that is known."""
    core: Any = batch.queue.owner.accumulator if batch is not None and batch.queue is not None else None
    health = getattr(core, "health", None)  # An accumulator alone has none.
    last = f"; last: {health.last_error}" if health is not None and health.last_error else ""
    return DeadlineExceeded(
        f"no outcome within {timeout or 0:g} s{last}",
        hint="the record is still on its way: its delivery_timeout decides",
    )


def add_callback(delivery: Any, callback: Callable[[Any], object]) -> None:
    """Call `callback(delivery)` on the running loop, or on the callback thread, when the outcome is there."""
    post = _poster()
    batch, index = delivery._place()
    batch.watch(index, lambda: post(callback, delivery))


def _poster() -> Callable[..., None]:
    """Return how to reach the callbacks' place: this thread's running loop, or else the callback thread."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return Engine.current().callbacks.post
    return _bell(loop).post


class _Bell:
    """Calls for one event loop: any number of them cost it one wake."""

    __slots__ = ("_calls", "_due", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._due = False
        self._loop = weakref.ref(loop)  # The bells are kept by loop, and must not keep it.

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have the loop call `function(*args)` soon."""
        # Race: as in handoff.Mailbox, the flag falls before the queue is read, so whoever reads it as set has put
        # its call down before that reading.
        self._calls.append((function, args))
        if not self._due:
            try:
                self._due = True
                self._ring()
            except BaseException:
                # Also as there: interrupted before the wake, it must ring for those who have read the flag since.
                self._due = False
                self._ring()
                raise

    def _ring(self) -> None:
        loop = self._loop()
        if loop is None or loop.is_closed():
            self._calls.clear()  # Closed under its waiters: nobody waits any more.
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        self._due = False
        calls = self._calls
        for _ in range(len(calls)):
            function, args = calls.popleft()
            try:
                function(*args)
            except Exception as error:
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"a delivery's callback {function!r} failed", "exception": error}
                )


_bells: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Bell] = weakref.WeakKeyDictionary()


def _bell(loop: asyncio.AbstractEventLoop) -> _Bell:
    found = _bells.get(loop)
    if found is None:
        found = _bells[loop] = _Bell(loop)
    return found


def _promise() -> "tuple[asyncio.Future[None], Callable[[], None]]":
    """Make a future of the running loop, and the hook that settles it from any thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    bell = _bell(loop)

    def settle() -> None:
        if not future.done():
            future.set_result(None)

    return future, lambda: bell.post(settle)


class RecordRange(NamedTuple):
    """Records of one partition with consecutive offsets."""

    topic: str
    partition: int
    first_offset: int
    """The first record's offset; -1 where the broker does not tell (`acks=0`)."""
    length: int


class BulkDelivery:
    """Many records on their way, from one `send_many`: ask it, wait for it, await it."""

    __slots__ = ("_spans", "count")

    def __init__(self, spans: "list[Span]", count: int) -> None:
        self._spans = spans
        self.count = count
        """How many records there are."""

    def __len__(self) -> int:
        """Return how many records there are."""
        return self.count

    def _places(self) -> Generator[tuple["Batch", int, int], None, None]:
        """Yield (batch, first index, count) for every run of records that have settled together."""
        for span in self._spans:
            if span.batch.moved is None:
                yield span.batch, span.first, span.count
                continue
            run: tuple[Batch, int, int] | None = None
            for at in range(span.first, span.first + span.count):
                batch, index = span.batch.place(at)
                if run is not None and run[0] is batch and run[1] + run[2] == index:
                    run = (batch, run[1], run[2] + 1)
                else:
                    if run is not None:
                        yield run
                    run = (batch, index, 1)
            if run is not None:
                yield run

    def _unsettled(self) -> tuple["Batch", int] | None:
        return next(((batch, first) for batch, first, _ in self._places() if not batch.done), None)

    def done(self) -> bool:
        """Tell whether every record has its outcome."""
        return self._unsettled() is None

    def _watch(self, hook: Callable[[], None], *, looks: bool = True) -> Callable[[], None]:
        """Call `hook()` when every record has its outcome; `looks`: somebody will look at all of them.

        Returns the function that takes it back.
        """
        watched: list[tuple[Batch, int]] = []

        def next_one() -> None:
            left = self._unsettled()
            if left is None:
                hook()
            else:
                watched[:] = [left]
                left[0].watch(left[1], next_one, looks)

        def stop() -> None:
            for batch, index in watched:
                batch.unwatch(index, next_one)

        if looks:
            for batch, _, _ in self._places():
                batch.looked = True
        next_one()
        return stop

    def _hurry(self) -> None:
        for batch, _, _ in self._places():
            if not batch.done:
                _check_process(batch)
                batch.hurry()

    def _ranges(self) -> list[RecordRange]:
        found: list[RecordRange] = []
        failed, doubt, first_error = 0, False, None
        for batch, first, count in self._places():
            batch.looked = True
            if batch.error is not None:
                failed += count
                first_error = first_error or batch.error
                doubt = doubt or getattr(batch.error, "may_have_happened", False)
            else:
                queue = batch.queue
                offset = batch.base_offset + first if batch.base_offset >= 0 else -1
                found.append(RecordRange(queue.topic, queue.partition, offset, count))
        if failed:
            raise DeliveryError(
                f"{failed} of {self.count} records were not delivered; the first: {first_error}",
                failed=failed,
                first=first_error,
                may_have_happened=doubt,
            ) from first_error
        return found

    def result(self, timeout: float | None = None) -> list[RecordRange]:
        """Wait up to `timeout` seconds for all records; return where they are, in the order of sending.

        Raises DeliveryError when any of them failed, and DeadlineExceeded when the time is up.
        """
        if not self.done():
            _check(timeout)
            settled: OneShot[None] = OneShot()
            stop = self._watch(lambda: settled.set(None))
            self._hurry()  # Now that it is known that somebody looks.
            try:
                settled.wait(timeout)
            except DeadlineExceeded:
                left = self._unsettled()
                raise _no_outcome(timeout, left[0] if left else None) from None
            finally:
                stop()
        return self._ranges()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait up to `timeout` seconds; return the DeliveryError of those that failed, or None."""
        try:
            self.result(timeout)
        except DeliveryError as error:
            return error
        return None

    def add_done_callback(self, callback: Callable[["BulkDelivery"], object]) -> None:
        """Call `callback(self)` when all have their outcomes: on the running loop, or on the callback thread."""
        post = _poster()
        self._watch(lambda: post(callback, self))

    async def _awaiting(self) -> list[RecordRange]:
        if not self.done():
            future, hook = _promise()
            stop = self._watch(hook)
            self._hurry()
            try:
                await future
            finally:
                stop()
        return self._ranges()

    def __await__(self) -> Generator[Any, None, list[RecordRange]]:
        """Await all outcomes. Cancelling it leaves the records alone."""
        return self._awaiting().__await__()
