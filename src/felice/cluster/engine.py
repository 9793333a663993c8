"""The engine: the one background thread of a process, whose event loop owns all network state.

Callers' threads reach it through `run` (do this and wait), `post` (do this soon) and the hand-off objects of
`handoff.py`. It starts with the first client and ends with the interpreter.

Non-obvious:

- After `fork()` the child has a copy of the loop but not its thread, and shares the loop's selector with the parent:
  taking one file descriptor out of it there takes it out of the parent's too. So the child touches nothing: the engine
  is marked as forked, kept for ever (so that no destructor runs), and `Engine.current()` makes a new one.
- At exit the engine is still alive while the clients drain, because it is stopped by `atexit`, after the non-daemon
  threads have ended and before daemon threads are frozen.
"""

import asyncio
import atexit
import logging
import os
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar, cast

from felice.cluster.callbacks import Callbacks
from felice.cluster.handoff import Inbox, Mailbox, OneShot
from felice.errors import ClosedError, DeadlineExceeded, ForkedError, UsageError

__all__ = ["Client", "Engine"]

T = TypeVar("T")

EXIT_DRAIN = 5.0
"""Seconds that all clients together have to drain when the interpreter ends."""

EXIT_CANCEL = 0.5
"""Seconds that tasks have to end when they are cancelled at exit."""

LATE = 1.0
"""Seconds by which the loop may run late before that is told, and the period at which it is looked at."""

_log = logging.getLogger("felice.engine")


class Client(Protocol):
    """What registers with the engine to be drained when the interpreter ends."""

    def drain_at_exit(self, deadline: float) -> int:
        """Bring out what is buffered, up to `deadline` (on `time.monotonic()`); return how much is left.

        Called on the main thread, while the engine still runs.
        """
        ...


class _Selector(selectors.DefaultSelector):
    """The system's selector, which tells the inbox when the loop goes to sleep."""

    inbox: Inbox | None = None

    def select(self, timeout: float | None = None) -> Any:
        """Wait for sockets, timers or posted calls."""
        inbox = self.inbox
        if inbox is None:
            return super().select(timeout)
        inbox.asleep = True  # The order of these two lines is half of a protocol: see Inbox.post.
        if len(inbox):
            timeout = 0
        try:
            return super().select(timeout)
        finally:
            inbox.asleep = False
            # The loop runs what became ready right after the selector, so these calls wait for no further round.
            inbox.deliver()


def _new_loop() -> tuple[asyncio.AbstractEventLoop, _Selector | None]:
    """Make uvloop's loop where it is installed, and asyncio's own otherwise."""
    try:
        import uvloop
    except ImportError:
        selector = _Selector()
        return asyncio.SelectorEventLoop(selector), selector
    return cast(asyncio.AbstractEventLoop, uvloop.new_event_loop()), None


class Engine:
    """One thread, one loop. Get it with `Engine.current()`; make one yourself only in tests."""

    def __init__(self) -> None:
        """Start the thread."""
        self.loop, selector = _new_loop()
        self.loop.set_exception_handler(_log_exception)
        self.callbacks = Callbacks()
        self.forked = False
        """Whether this process is a child of the one that the engine belongs to: then it must not be used."""
        self.stopped = False
        """Whether the interpreter is ending."""
        if selector is not None:
            self._inbox = Inbox(lambda: self.loop.call_soon_threadsafe(_nothing))
            selector.inbox = self._inbox
        else:
            self._inbox = Inbox(lambda: self.loop.call_soon_threadsafe(self._deliver))
        self._clients: dict[int, Client] = {}
        self._late: dict[object, Callable[[float], object]] = {}
        self._tick: asyncio.TimerHandle | None = None
        self._tick_due = 0.0
        self._forks: dict[object, Callable[[], object]] = {}
        self._thread = threading.Thread(target=self._main, name="felice-engine", daemon=True)
        self._thread.start()

    @classmethod
    def current(cls) -> "Engine":
        """Return this process's engine, starting it if need be."""
        global _current
        engine = _current
        if engine is None:
            # Reentrant, for a finalizer that makes a client while this thread is just starting the engine.
            with _starting:
                if _current is None:
                    made = cls()
                    if _current is None:
                        _current = made
                engine = _current
        return engine

    @property
    def ident(self) -> int:
        """The identifier of the engine's thread."""
        return cast(int, self._thread.ident)

    def check(self) -> None:
        """Raise ForkedError or ClosedError where the engine cannot be used any more. Takes no lock."""
        if self.forked:
            raise ForkedError(
                "this client was made before a fork() and belongs to the parent process",
                hint="make the client in the process that uses it",
            )
        if self.stopped:
            raise ClosedError("the interpreter is ending and the engine has stopped")

    def _check_caller(self, what: str) -> None:
        self.check()
        if threading.get_ident() == self._thread.ident:
            raise UsageError(
                f"{what} was called on the engine's own thread, which would wait for itself",
                hint="await the coroutine there, or make the call from another thread",
            )

    # -- work in, answers out -------------------------------------------------------------------------------------

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have the engine call `function(*args)` soon. From any thread; wakes are coalesced."""
        self._inbox.post(function, *args)

    def mailbox(self, drain: Callable[[], object]) -> Mailbox:
        """Make a bell that runs `drain()` on the engine."""
        return Mailbox(self._inbox.post, drain)

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, timeout: float | None = None) -> T:
        """Run `function(*args)` on the engine and wait for its result, up to `timeout` seconds.

        Raises what the coroutine raises, DeadlineExceeded when the time is up, ForkedError, and UsageError on the
        engine's own thread. A signal handler's exception (Ctrl-C) comes through at once. However the wait ends, if
        it ends before the coroutine does, the coroutine is cancelled.
        """
        self._check_caller("run()")
        call = _Call(self.loop, function, args)
        try:
            self._inbox.post(call.start)
            return call.outcome.wait(timeout)
        except BaseException:
            if not call.outcome.done:
                self._inbox.post(call.cancel)
            raise

    async def run_async(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run `function(*args)` on the engine and await its result on the loop of the caller, whichever it is.

        Cancelling the await cancels the coroutine.
        """
        self._check_caller("run_async()")
        call = _Call(self.loop, function, args)
        try:
            self._inbox.post(call.start)
            return await call.outcome
        except BaseException:
            if not call.outcome.done:
                self._inbox.post(call.cancel)
            raise

    # -- the life of clients --------------------------------------------------------------------------------------

    def register(self, client: Client) -> None:
        """Have `client.drain_at_exit` called when the interpreter ends; keeps the client alive until then."""
        self._clients[id(client)] = client

    def unregister(self, client: Client) -> None:
        """Forget a client that is closed."""
        self._clients.pop(id(client), None)

    def when_forked(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback()` in every child process right after its fork; return the function that stops that.

        It may set flags and must do nothing else: other threads' locks may be held for ever in a child.
        """
        token = object()
        self._forks[token] = callback

        def stop() -> None:
            self._forks.pop(token, None)

        return stop

    def when_late(self, callback: Callable[[float], object]) -> Callable[[], None]:
        """Call `callback(seconds)` on the engine when its loop ran late by more than `LATE` seconds.

        Something held the GIL, or the process was stopped. Returns the function that stops that. The loop is
        looked at only while somebody asks. On the engine only.
        """
        token = object()
        self._late[token] = callback
        if self._tick is None:
            self._next_tick()

        def stop() -> None:
            self._late.pop(token, None)
            if not self._late and self._tick is not None:
                self._tick.cancel()
                self._tick = None

        return stop

    def _next_tick(self) -> None:
        self._tick_due = time.monotonic() + LATE
        self._tick = self.loop.call_later(LATE, self._on_tick)

    def _on_tick(self) -> None:
        late = time.monotonic() - self._tick_due
        if late > LATE:
            for callback in tuple(self._late.values()):
                callback(late)
        self._next_tick()

    # -- the thread -----------------------------------------------------------------------------------------------

    def _main(self) -> None:
        while not self.stopped:
            try:
                self.loop.run_forever()
            except BaseException:
                # A task that raises SystemExit takes the loop down with it; the other clients still need it.
                _log.exception("the engine's loop was interrupted and goes on")
        left = asyncio.all_tasks(self.loop)
        if left:
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.wait(left, timeout=EXIT_CANCEL))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())

    def _deliver(self) -> None:
        # Without a selector of our own (uvloop) a post counts as a wake that is due until this runs.
        self._inbox.asleep = True
        self._inbox.deliver()
        if len(self._inbox):
            self.loop.call_soon(self._deliver)

    def _on_fork(self) -> None:
        self.forked = True
        self._inbox.closed = True  # The self-pipe is shared, too: a finalizer's post here would wake the parent.
        for callback in tuple(self._forks.values()):
            callback()

    def _drain_and_stop(self) -> None:
        deadline = time.monotonic() + EXIT_DRAIN
        try:
            for client in tuple(self._clients.values()):
                try:
                    left = client.drain_at_exit(deadline)
                except Exception:
                    _log.exception("%r could not be drained at the interpreter's exit", client)
                else:
                    if left:
                        _log.error(
                            "felice: the interpreter ends and %d records of %r are lost; close it before", left, client
                        )
            self.callbacks.flush(max(0.0, deadline - time.monotonic()))
        finally:
            self.stop()

    def stop(self, timeout: float = 1.0) -> None:
        """Stop the loop for good and wait for the thread's end, up to `timeout` seconds."""
        if not self.stopped and not self.forked:
            self.stopped = True
            self._inbox.closed = True
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(timeout)
            if not self._thread.is_alive():
                self.loop.close()


class _Call(Generic[T]):
    """A coroutine that a caller has asked the engine to run."""

    __slots__ = ("_args", "_function", "_loop", "_task", "outcome")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, function: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]
    ) -> None:
        self._loop = loop
        self._function = function
        self._args = args
        self._task: asyncio.Task[T] | None = None
        self.outcome: OneShot[T] = OneShot()

    def start(self) -> None:
        """Make the task. On the engine."""
        try:
            self._task = self._loop.create_task(self._function(*self._args))
        except Exception as error:  # Not a coroutine function, or wrong arguments: the caller's mistake.
            self.outcome.fail(error)
        else:
            self._task.add_done_callback(self._finish)

    def cancel(self) -> None:
        """Cancel the task. On the engine, after `start`: posts of one thread keep their order."""
        if self._task is not None:
            self._task.cancel()

    def _finish(self, task: "asyncio.Task[T]") -> None:
        if task.cancelled():
            self.outcome.fail(DeadlineExceeded("the call was cancelled on the engine"))
        elif (error := task.exception()) is not None:
            self.outcome.fail(error)
        else:
            self.outcome.set(task.result())


def _nothing() -> None:
    """Wake the loop: its selector delivers the posted calls by itself."""


def _log_exception(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _log.error("on the engine: %s", context.get("message"), exc_info=context.get("exception"))


_current: Engine | None = None
_starting = threading.RLock()
_abandoned: list[Engine] = []
generation = 0
"""Counts the forks between the first process and this one: a cheap token for code that must not ask for the pid."""


def _after_fork_in_child() -> None:
    global _current, _starting, generation
    generation += 1
    _starting = threading.RLock()  # The old one may be held by a thread that is not here any more.
    if _current is not None:
        _abandoned.append(_current)
        _current._on_fork()
        _current = None


def _at_exit() -> None:
    if _current is not None:
        _current._drain_and_stop()


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
