"""How work and answers cross between the callers' threads and the engine's.

Only the classes of this file are touched from both sides. None of them holds a lock: a finalizer or a signal handler
may run at any bytecode of any thread and use a client of its own, so whatever takes a lock here could meet itself.
They rest on two things only: that one operation of a `list` or a `deque` is atomic, and that the two sides write and
read two variables in opposite orders. Each race is told below, where it happens, as a numbered interleaving.

Theory of operation. `Inbox` is the way in: a queue of calls for the engine's loop, and the flag `asleep`, which says
whether somebody must write to the loop's self-pipe for the calls to be seen. `Mailbox` is a coalescing bell on top of
it: however often it is rung before the engine comes to look, `drain` runs once. `OneShot` is the way out: a value that
the engine sets once and that any number of threads and coroutines wait for.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from felice.errors import DeadlineExceeded

__all__ = ["Inbox", "Mailbox", "OneShot"]

T = TypeVar("T")

_log = logging.getLogger("felice.engine")


class Inbox:
    """Calls for the engine's loop, from any thread.

    `asleep` is true while the loop sleeps in its selector, or is about to. Only then does `post` pay for a write to
    the loop's self-pipe (two system calls, one on each side); a busy loop finds the calls by itself.
    """

    __slots__ = ("_calls", "_wake", "asleep", "closed")

    def __init__(self, wake: Callable[[], object]) -> None:
        """Take the thread-safe function that makes the loop run `deliver` soon."""
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._wake = wake
        self.asleep = True
        self.closed = False

    def __len__(self) -> int:
        """Return how many calls wait."""
        return len(self._calls)

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have the engine call `function(*args)` soon, in the order of the posts of this thread."""
        self._calls.append((function, args))
        # Race: a post beside an engine that goes to sleep. The poster appends, then reads `asleep`; the engine sets
        # `asleep`, then reads the queue.
        #   1. engine: all calls delivered           1. engine: all calls delivered
        #   2. poster: appends                       2. engine: asleep = True
        #   3. poster: reads asleep: False, no wake  3. engine: the queue is empty, sleeps
        #   4. engine: asleep = True                 4. poster: appends
        #   5. engine: sees the call, stays awake    5. poster: reads asleep: True, wakes it
        if self.asleep and not self.closed:
            # The first poster after the engine went to sleep wakes it for all that follow.
            # Race: a signal handler raises (Ctrl-C) between the flag and the write.
            #   1. poster: asleep = False
            #   2. the handler raises KeyboardInterrupt, so nothing is written
            #   3. other posters: read False, write nothing; the engine sleeps for ever
            # So the flag is put back on the way out, and the engine woken for those who have read it meanwhile. When
            # the first write had been done, that is one too many.
            try:
                self.asleep = False
                self._wake()
            except BaseException:
                self.asleep = True
                self._wake()
                raise

    def deliver(self) -> None:
        """Make the calls that wait now. On the engine only."""
        calls = self._calls
        # Not `while calls`: a call that posts another one must not keep the loop from its sockets.
        for _ in range(len(calls)):
            function, args = calls.popleft()
            try:
                function(*args)
            except Exception:
                _log.exception("a call handed to the engine failed: %r", function)


class Mailbox:
    """A bell that any thread rings and the engine answers by running `drain()` once.

    What is to be drained lies elsewhere (in a producer's accumulator, say), and must be there before the ring.
    """

    __slots__ = ("_drain", "_post", "_rung")

    def __init__(self, post: Callable[..., None], drain: Callable[[], object]) -> None:
        """Take the engine's `post` and what to run."""
        self._post = post
        self._drain = drain
        self._rung = False

    def notify(self) -> None:
        """Have the engine run `drain()` soon. From any thread; costs one attribute read when it is due already."""
        if self._rung:
            # Race: a ring beside a drain. The flag falls before the drain looks, so whoever reads it as set has
            # put its work down before the drain began.
            #   1. caller: puts work down     1. engine: _rung = False
            #   2. caller: _rung is set       2. caller: puts work down
            #   3. engine: _rung = False      3. caller: _rung is not set, rings again
            #   4. engine: drains the work    4. engine: drains, perhaps twice: the second finds nothing
            return
        try:
            self._rung = True
            self._post(self._run)
        except BaseException:
            # As in `Inbox.post`: interrupted before the post, it must ring for those who have read the flag since.
            self._rung = False
            self._post(self._run)
            raise

    def _run(self) -> None:
        self._rung = False
        self._drain()


class OneShot(Generic[T]):
    """A result that the engine sets once, and that threads and coroutines of any loop wait for."""

    __slots__ = ("_done", "_error", "_value", "_wakers")

    def __init__(self) -> None:
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._wakers: list[Callable[[], object]] = []

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._done

    def set(self, value: T) -> None:
        """Give the result. Once, by one thread; what comes after `set` or `fail` is ignored."""
        if not self._done:
            self._value = value
            self._finish()

    def fail(self, error: BaseException) -> None:
        """Give the error that every waiter shall see."""
        if not self._done:
            self._error = error
            self._finish()

    def _finish(self) -> None:
        # Race: a waiter that comes while the result is set. Each waker is taken from the list by exactly one side,
        # because `pop` and `remove` are atomic.
        #   1. waiter: reads _done: False      1. waiter: appends its waker
        #   2. engine: _done = True            2. engine: _done = True
        #   3. engine: finds no waker          3. waiter: reads _done: True, tries to take its waker back
        #   4. waiter: appends its waker       4. either the engine popped it and wakes, or the waiter removed it
        #   5. waiter: reads _done again: True    and wakes itself
        #   6. waiter: removes it, wakes itself
        self._done = True
        wakers = self._wakers
        while wakers:
            try:
                waker = wakers.pop()
            except IndexError:
                return  # The last one was taken back between the two lines above.
            waker()

    def _add(self, waker: Callable[[], object]) -> None:
        self._wakers.append(waker)
        if self._done and self._discard(waker):
            waker()

    def _discard(self, waker: Callable[[], object]) -> bool:
        try:
            self._wakers.remove(waker)
        except ValueError:
            return False
        return True

    def result(self) -> T:
        """Return the result or raise the error; only once `done`."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # `None` is a T where None was set

    def wait(self, timeout: float | None = None) -> T:
        """Block this thread for the result, up to `timeout` seconds.

        A signal handler that raises (Ctrl-C) ends the wait at once. Raises DeadlineExceeded when the time is up.
        """
        if not self._done:
            # A bare lock as a gate: its acquire is the one wait of CPython that a signal interrupts and that
            # neither polls nor allocates.
            gate = threading.Lock()
            gate.acquire()
            opener = gate.release
            self._add(opener)
            try:
                limit = -1.0 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)
                gate.acquire(timeout=limit)
            finally:
                self._discard(opener)
            if not self._done:
                raise DeadlineExceeded(f"no result within {timeout:g} s")
        return self.result()

    def __await__(self) -> Generator[Any, None, T]:
        """Await the result on the running loop, whichever it is. Cancelling the await leaves the result alone."""
        if not self._done:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()

            def waker() -> None:
                # The loop may have been closed under its waiter: then nobody waits any more.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(_settle, future)

            self._add(waker)
            try:
                yield from future
            finally:
                self._discard(waker)
        return self.result()


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
