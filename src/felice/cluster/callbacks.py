"""The callback thread: where code of the user's runs that the engine has to call.

A slow callback delays other callbacks and nothing else. One thread, so that callbacks never run beside each other and
come in the order they were posted.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["Callbacks"]

_log = logging.getLogger("felice.callbacks")

EVENT_LIMIT = 10_000
"""How many calls may wait before `offer` refuses more."""


class Callbacks:
    """One daemon thread that makes calls, started by the first of them."""

    def __init__(self, *, limit: int = EVENT_LIMIT) -> None:
        # SimpleQueue.put is reentrant (a finalizer may post from inside a post) and never waits.
        self._queue: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()
        self._limit = limit
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """How many calls `offer` has refused because too many waited."""

    @property
    def ident(self) -> int | None:
        """The thread's identifier, or None while it has not started."""
        return self._thread.ident if self._thread else None

    def post(self, function: Callable[..., object], *args: Any) -> None:
        """Have the thread call `function(*args)`; never refused. From any thread."""
        self._queue.put((function, args))
        if self._thread is None:
            self._start()

    def offer(self, function: Callable[..., object], *args: Any) -> bool:
        """Post a call that may be lost, as an event may: refused and counted when too many wait."""
        if self._queue.qsize() >= self._limit:
            self.dropped += 1
            return False
        self.post(function, *args)
        return True

    def flush(self, timeout: float) -> bool:
        """Wait until all that was posted before has run, up to `timeout` seconds; tell whether it has.

        Where no thread can be started, as at the interpreter's end, the calls are made here.
        """
        if self._thread is None and self._queue.empty():
            return True
        reached = threading.Event()
        self.post(reached.set)
        with suppress(Empty):
            while self._thread is None:
                self._call(*self._queue.get_nowait())
        return reached.wait(timeout)

    def _start(self) -> None:
        # Never waits for the lock: who holds it is starting the thread, which will find our call in the queue.
        # (It may even be this very thread, further down its stack, when a finalizer posts.)
        if self._starting.acquire(blocking=False):
            try:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="felice-callbacks", daemon=True)
                    thread.start()
                    self._thread = thread
            except RuntimeError as error:
                # The system's limit, or the interpreter is ending. Who posts is not to blame: the next post tries anew.
                if self._queue.qsize() == 1:
                    _log.warning("callbacks wait for a thread that cannot be started: %s", error)
            finally:
                self._starting.release()

    def _run(self) -> None:
        while True:
            self._call(*self._queue.get())

    def _call(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Make one call; references to it end with this."""
        try:
            function(*args)
        except BaseException:  # Even a SystemExit of one callback must not silence all the others.
            _log.exception("a callback failed: %r", function)
