"""Who waits for something to happen to partitions: whatever it is, it looks."""

import asyncio
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

__all__ = ["LongPoll", "Watcher"]

R = TypeVar("R")


class Watcher(ABC):
    """Somebody who waits, while it is among a partition's `watchers`."""

    __slots__ = ()

    def grew(self, size: int) -> None:
        """Hear that `size` bytes were appended, and can be read."""
        self.changed()

    def advanced(self) -> None:
        """Hear that the high watermark went up without an append, or that enough replicas are in sync again."""
        self.changed()

    @abstractmethod
    def changed(self) -> None:
        """Hear that the partition has another leader, or is gone; or of anything for which there is nothing above."""


class LongPoll(Watcher, Generic[R]):
    """A request that waits until there is enough for an answer: the `future`. It watches until that is done."""

    __slots__ = ("_looking", "_loop", "_timer", "future")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Wait for so long, of the loop's time, at most."""
        self._loop = loop
        self._looking = False
        self.future: asyncio.Future[R] = loop.create_future()
        self._timer = loop.call_later(seconds, self._settle, True)
        self.future.add_done_callback(self._over)

    def changed(self) -> None:
        """Look soon, once for all that happens in this round of the loop."""
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._settle, False)

    @abstractmethod
    def _answer(self, *, late: bool) -> R | None:
        """Return the answer: if there is enough for one, or with what there is if it is late."""

    @abstractmethod
    def _unwatch(self) -> None:
        """Watch nothing any more."""

    def _settle(self, late: bool) -> None:
        """Answer if there is something to answer with."""
        self._looking = False
        if self.future.done():
            return
        try:
            answer = self._answer(late=late)
        except Exception as error:
            self.future.set_exception(error)
        else:
            if answer is not None:
                self.future.set_result(answer)

    def _over(self, future: "asyncio.Future[R]") -> None:
        """Take back what was registered, also where the connection is gone and the future cancelled."""
        self._timer.cancel()
        self._unwatch()
