"""The callback thread: where code of the user's runs that the engine has to call.

A slow callback delays other callbacks and nothing else. One thread, so that callbacks never run beside each other and
come in the order they were posted.
"""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
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
        """Wait until all that was posted before has run, up to `timeout` seconds; tell whether it has."""
        if self._thread is None and self._queue.empty():
            return True
        reached = threading.Event()
        self.post(reached.set)
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
            finally:
                self._starting.release()

    def _run(self) -> None:
        while True:
            function, args = self._queue.get()
            try:
                function(*args)
            except BaseException:  # Even a SystemExit of one callback must not silence all the others.
                _log.exception("a callback failed: %r", function)
            function, args = _nothing, ()  # Drop the references before the next wait.


def _nothing() -> None:
    """Stand in for the last call while the thread waits."""
