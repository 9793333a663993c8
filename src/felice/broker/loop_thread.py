"""A thread with an event loop of its own, and the way into it from other threads."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import TypeVar

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

    def run(self, function: Callable[[], T]) -> T:
        """Call a function on the loop, wait for it, and return or raise what it returns or raises."""
        if threading.current_thread() is self._thread:
            return function()
        result: Future[T] = Future()

        def call() -> None:
            try:
                result.set_result(function())
            except InvalidStateError:
                pass
            except BaseException as error:
                result.set_exception(error)

        self.loop.call_soon_threadsafe(call)
        return result.result(PATIENCE)

    def close(self) -> None:
        """End the loop and the thread; what is still pending is cancelled."""
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
