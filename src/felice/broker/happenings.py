"""Waiting until something is so: a test's question is asked anew whenever something has happened, and only then.

Happenings are requests and their answers, timers of the broker's clock, connections that close, and what the test
itself does to the broker. All that happens in one turn of the loop makes one question.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any, TypeVar

from felice.errors import ClosedError, UsageError

__all__ = ["Happenings"]

T = TypeVar("T")


class Happenings:
    """Who waits for what. All but `wait` is for the broker's loop."""

    def __init__(self, run: Callable[[Callable[[], Any]], Any]) -> None:
        """Take how to run something on the broker's loop."""
        self._run = run
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[Future[Any], Callable[[], object]] = {}
        self._looking = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask questions on this loop."""
        self._loop = loop

    def wait(self, ask: Callable[[], T], timeout: float) -> T:
        """Wait until `ask` returns something true, and return that; raise what it raises.

        From any thread but the loop's. Raise `TimeoutError` after `timeout` seconds.
        """
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                raise UsageError("waiting on the broker's own loop would never end", hint="wait in another thread")
        answer: Future[T] = Future()
        self._run(lambda: self._begin(answer, ask))
        try:
            return answer.result(timeout)
        except FutureTimeoutError:
            if answer.done():  # the question itself raised it, or the answer came at the last moment
                return answer.result()
            raise TimeoutError(f"it was not so within {timeout} s") from None
        finally:
            answer.cancel()
            with suppress(ClosedError):
                self._run(lambda: self._waiting.pop(answer, None))

    def tell(self) -> None:
        """Hear that something has happened."""
        if self._waiting and not self._looking and self._loop is not None:
            self._looking = True
            self._loop.call_soon(self._look)

    def close(self) -> None:
        """Send all away."""
        for answer in self._waiting:
            with suppress(InvalidStateError):
                answer.set_exception(ClosedError("the broker was closed while something was waited for"))
        self._waiting.clear()
        self._looking = False

    def _begin(self, answer: Future[Any], ask: Callable[[], object]) -> None:
        """Ask for the first time, and again later if need be."""
        self._waiting[answer] = ask
        looking, self._looking = self._looking, True
        self._ask(answer, ask)
        self._looking = looking

    def _look(self) -> None:
        """Ask all questions again. What they themselves do there is no news: that would never end."""
        for answer, ask in list(self._waiting.items()):
            self._ask(answer, ask)
        self._looking = False

    def _ask(self, answer: Future[Any], ask: Callable[[], object]) -> None:
        """Ask one question."""
        # Who waits may give up at this very moment.
        with suppress(InvalidStateError):
            try:
                found = ask()
            except Exception as error:
                answer.set_exception(error)
            else:
                if not found:
                    return
                answer.set_result(found)
        self._waiting.pop(answer, None)
