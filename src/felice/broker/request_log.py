"""The requests that a broker got, the last few thousand of them, with their answers.

Written on the broker's loop, read from any thread. Messages of up to `LIGHT` bytes are kept as long as their entry;
of larger ones, records above all, the latest up to `HEAVY` bytes in all. Of older ones remains that they were there.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from felice.broker.seen_request import Name, SeenRequest
from felice.errors import ConfigError
from felice.wire.messages.registry import API_NAMES

if TYPE_CHECKING:
    from felice.broker.call import Call
    from felice.broker.connection import Frame, Pieces

__all__ = ["RequestLog", "note", "note_answer", "note_failure"]

KEPT = 4096
LIGHT = 2048
HEAVY = 16 * 1024 * 1024
APIS = frozenset(API_NAMES.values())
SHOWN = 5
"""How many requests the message of a wait that was in vain tells of."""

Where = Callable[[SeenRequest], object]
"""Tells whether a request is one that is looked for."""


class RequestLog:
    """The latest requests, in the order in which they were handled.

    What is looked for is given by Kafka's name of the `api`, by the `topic` and `partition` that a request is about,
    by `client_id` and `node`, by `where`, which gets the request and tells whether it is one, and by `after`, the
    number of a request before those that count.
    """

    def __init__(
        self,
        now: Callable[[], float],
        name: Name,
        run: Callable[[Callable[[], list[SeenRequest]]], list[SeenRequest]],
        tell: Callable[[], object],
    ) -> None:
        """Take the clock, what names a request's partitions, how to ask it on the loop, and who hears there of news."""
        self._now = now
        self._name = name
        self._run = run
        self._tell = tell
        self._seen: deque[SeenRequest] = deque(maxlen=KEPT)
        self._heavy: deque[tuple[int, Callable[[], None]]] = deque()
        self._held = 0
        self._news = 0
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

    def of(
        self,
        api: str | None = None,
        *,
        topic: str | None = None,
        partition: int | None = None,
        client_id: str | None = None,
        node: int | None = None,
        after: int = 0,
        where: Where | None = None,
    ) -> list[SeenRequest]:
        """Return those that are kept and looked for."""
        if api is not None and api not in APIS:
            raise ConfigError(f"there is no API {api!r}", hint=f"there are {', '.join(sorted(APIS))}")
        found = [
            seen
            for seen in self
            if seen.number > after
            and (api is None or seen.api == api)
            and (node is None or seen.node == node)
            and (client_id is None or seen.client_id == client_id)
        ]
        if topic is not None or partition is not None:
            candidates = found
            found = self._run(lambda: [seen for seen in candidates if _is_about(seen, topic, partition)])
        return found if where is None else [seen for seen in found if where(seen)]

    def wait_for(
        self,
        api: str | None = None,
        timeout: float = 10.0,
        *,
        count: int = 1,
        topic: str | None = None,
        partition: int | None = None,
        client_id: str | None = None,
        node: int | None = None,
        after: int = 0,
        where: Where | None = None,
    ) -> SeenRequest:
        """Wait for the `count`-th request that is looked for, and return it.

        Those that came already count: take `count` of the log before, and give it as `after`, to wait for new ones
        only. A request counts as soon as it came; to wait for its answer too, say so in `where`, which is asked again
        when something changes, and in the thread that waits. Raise `TimeoutError` after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            self._waiting += 1
        try:
            while True:
                news = self._news
                found = self.of(
                    api, topic=topic, partition=partition, client_id=client_id, node=node, after=after, where=where
                )
                if len(found) >= count:
                    return found[count - 1]
                if not self._wait_for_news(news, deadline - time.monotonic()):
                    raise TimeoutError(self._in_vain(api, timeout, count, len(found), after))
        finally:
            with self._changed:
                self._waiting -= 1

    async def wait_for_async(
        self,
        api: str | None = None,
        timeout: float = 10.0,
        *,
        count: int = 1,
        topic: str | None = None,
        partition: int | None = None,
        client_id: str | None = None,
        node: int | None = None,
        after: int = 0,
        where: Where | None = None,
    ) -> SeenRequest:
        """Do as `wait_for`, without blocking the caller's event loop; `where` is asked in another thread."""
        return await asyncio.to_thread(
            self.wait_for, api, timeout, count=count, topic=topic, partition=partition, client_id=client_id,
            node=node, after=after, where=where,
        )  # fmt: skip

    def clear(self) -> None:
        """Forget all, and count from the beginning."""
        with self._changed:
            self._seen.clear()
            self._heavy.clear()
            self._held = self.count = 0

    def _wait_for_news(self, known: int, timeout: float) -> bool:
        """Wait until there is more news than is known; tell whether there is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._news != known, timeout)

    def _in_vain(self, api: str | None, timeout: float, count: int, found: int, after: int) -> str:
        """Say what came instead of what was waited for."""
        came = self.of(api, after=after)
        latest = "".join(f"\n  {seen!r}" for seen in came[-SHOWN:])
        asked = "requests" if api is None else f"{api} requests"
        rest = f"; the latest {asked}, whatever they are about:{latest}" if came else ""
        return f"{found} of {count} {asked} that are looked for came within {timeout} s{rest}"


def _is_about(seen: SeenRequest, topic: str | None, partition: int | None) -> bool:
    """Tell whether a request names a partition, or a topic with any."""
    return any(topic in (None, name) and partition in (None, index) for name, index in seen.partitions)


# --- for the dispatcher, on the loop ---


def note(log: RequestLog, call: "Call", frame: "Frame") -> SeenRequest:
    """Add a request, and return its entry."""
    number = log.count + 1
    seen = SeenRequest(number, call.header, call.node.id, frame, log._now(), log._name)
    with log._changed:
        log.count = number
        log._seen.append(seen)
        if len(frame) > LIGHT:
            _weigh(log, len(frame), seen.let_go_of_request)
        _tell(log)
    return seen


def note_answer(log: RequestLog, seen: SeenRequest, pieces: "Pieces | None") -> None:
    """Add the answer to a request, or that there is none to come."""
    with log._changed:
        if pieces is not None:
            if sum(map(len, pieces)) <= LIGHT:
                seen.keep_answer([b"".join(pieces)])
            else:
                seen.keep_answer(pieces)
                _weigh(log, sum(map(_kept_alive, pieces)), seen.let_go_of_answer)
        seen.answered = log._now()
        _tell(log)


def note_failure(log: RequestLog, seen: SeenRequest, error: BaseException) -> None:
    """Add that a request could not be answered."""
    with log._changed:
        seen.error = error
        _tell(log)


def _kept_alive(piece: bytes | memoryview) -> int:
    """Return how many bytes a piece keeps: a view of records, all of the block of memory that it is a part of."""
    return memoryview(piece.obj).nbytes if isinstance(piece, memoryview) else len(piece)


def _weigh(log: RequestLog, weight: int, let_go: Callable[[], None]) -> None:
    """Note that bytes are kept alive, and let go of the oldest where they become too many."""
    log._heavy.append((weight, let_go))
    log._held += weight
    while log._held > HEAVY:
        oldest, forget = log._heavy.popleft()
        forget()
        log._held -= oldest


def _tell(log: RequestLog) -> None:
    """Wake those who wait."""
    log._news += 1
    if log._waiting:
        log._changed.notify_all()
    log._tell()
