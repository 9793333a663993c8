"""A thread with an event loop of its own, and the way into it from other threads."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from felice.errors import ClosedError

__all__ = ["LoopThread"]

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that a caller waits for the loop at most: nothing that runs there takes long."""


class LoopThread:
    """Runs a loop until closed. The thread does not keep the interpreter alive."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs: not behind its end, and not in a child that was forked."""
        return self._thread.is_alive()

    def run(self, function: Callable[[], T]) -> T:
        """Call a function on the loop, wait for it, and return or raise what it returns or raises."""
        if threading.current_thread() is self._thread:
            return function()
        if not self.alive:
            raise ClosedError(
                "the embedded broker does not run in this process",
                hint="after a fork() it goes on in the parent only; its addresses can be used in both",
            )
        result: Future[T] = Future()

        def call() -> None:
            try:
                value = function()
            except BaseException as error:
                result.set_exception(error)
            else:
                result.set_result(value)

        self.loop.call_soon_threadsafe(call)
        return result.result(PATIENCE)

    def close(self, last: Callable[[], None]) -> None:
        """Call `last` on the loop, then end it and the thread; what is still pending is cancelled."""
        if not self.alive:
            return  # After a fork the loop's selector and self-pipe are the parent's: nothing here may touch them.
        try:
            self.run(last)
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        """Be the thread."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            pending = asyncio.all_tasks(self.loop)
            for task in pending:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
