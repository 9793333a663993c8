"""The requests that a broker got, the last few thousand of them: what they were, not what was in them.

Written on the broker's loop, read from any thread.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from felice.broker.call import Call

__all__ = ["RequestLog", "SeenRequest", "note"]

KEPT = 4096


class SeenRequest(NamedTuple):
    """A request that a broker got."""

    number: int
    """Its place among all requests to the broker, from 1 on."""
    api: str
    version: int
    node: int
    client_id: str | None
    correlation_id: int
    size: int
    """Bytes of the frame, without the four that say so."""


class RequestLog:
    """The latest requests, in the order in which they were handled."""

    def __init__(self) -> None:
        self._seen: deque[SeenRequest] = deque(maxlen=KEPT)
        self._changed = threading.Condition()
        self._waiting = 0
        self.count = 0
        """How many there were in all; also the number of the latest one."""

    def __iter__(self) -> Iterator[SeenRequest]:
        """Give what is kept, the oldest first."""
        with self._changed:
            return iter(list(self._seen))

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._seen)

    def of(self, api: str, *, after: int = 0) -> list[SeenRequest]:
        """Return what is kept of one API, by Kafka's name for it, with a number above `after`."""
        return [seen for seen in self if seen.api == api and seen.number > after]

    def wait_for(self, api: str, timeout: float = 10.0, *, count: int = 1, after: int = 0) -> SeenRequest:
        """Wait for the `count`-th request of an API with a number above `after`, and return it.

        Those that came already count: take `count` of the log before, and give it as `after`, to wait for new ones
        only. Raise `TimeoutError` after `timeout` seconds.
        """
        found: list[SeenRequest] = []

        def enough() -> bool:
            nonlocal found
            found = [seen for seen in self._seen if seen.api == api and seen.number > after]
            return len(found) >= count

        with self._changed:
            self._waiting += 1
            try:
                if not self._changed.wait_for(enough, timeout):
                    raise TimeoutError(f"{len(found)} of {count} {api} requests came within {timeout} s")
            finally:
                self._waiting -= 1
        return found[count - 1]

    async def wait_for_async(self, api: str, timeout: float = 10.0, *, count: int = 1, after: int = 0) -> SeenRequest:
        """Do as `wait_for`, without blocking the caller's event loop."""
        return await asyncio.to_thread(self.wait_for, api, timeout, count=count, after=after)


def note(log: RequestLog, call: "Call", size: int) -> None:
    """Add a request, of `size` bytes, to the log."""
    with log._changed:
        log.count += 1
        log._seen.append(
            SeenRequest(
                log.count, call.api, call.version, call.node.id, call.client_id, call.header.correlation_id, size
            )
        )
        if log._waiting:
            log._changed.notify_all()
