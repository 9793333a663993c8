"""Both faces of a producer behind one way of calling them, so that a test is written once."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from felice import AsyncProducer, Producer
from felice.broker import Broker
from felice.errors import FeliceError
from felice.events import Event

T = TypeVar("T")

QUICK: dict[str, Any] = {
    "retry_backoff": 0.02,
    "retry_backoff_max": 0.1,
    "reconnect_backoff": 0.02,
    "reconnect_backoff_max": 0.1,
}
"""Short pauses, so that tests of failures are short."""

PATIENCE = 30.0


class Heard:
    """The events that a client told, and how to wait for one."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._news = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._news:
            self._events.append(event)
            self._news.notify_all()

    def of(self, kind: type[Event]) -> list[Any]:
        """Return those of a kind so far."""
        with self._news:
            return [event for event in self._events if type(event) is kind]

    def wait_for(self, kind: type[Event], count: int = 1) -> list[Any]:
        """Wait until there are so many of a kind; return all of that kind."""
        with self._news:
            enough = self._news.wait_for(lambda: sum(type(e) is kind for e in self._events) >= count, 10)
            assert enough, f"not {count} {kind.__name__} in {self._events}"
        return self.of(kind)


class Face:
    """A producer, `sync` or `async`: the async one is called on a loop of its own, in a thread of its own."""

    def __init__(self, kind: str, servers: str, **options: Any) -> None:
        self.kind = kind
        self.heard = Heard()
        options = QUICK | options
        options["listeners"] = [self.heard, *options.get("listeners", ())]
        self._loop: asyncio.AbstractEventLoop | None = None
        self.producer: Any
        if kind == "async":
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="test-loop", daemon=True)
            self._thread.start()
            self.producer = AsyncProducer(servers, **options)
        else:
            self.producer = Producer(servers, **options)

    @property
    def core(self) -> Any:
        """What the faces share: to look at what no caller needs to see."""
        return self.producer._core

    def holds_nothing(self) -> bool:
        """Tell whether all room is free, which a record's bytes are a moment after its outcome is told."""
        deadline = time.monotonic() + PATIENCE
        while self.core.used and time.monotonic() < deadline:
            time.sleep(0.001)
        return not self.core.used

    def on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def _call(self, name: str, *args: Any, **options: Any) -> Any:
        made = getattr(self.producer, name)(*args, **options)
        return self.on_loop(made) if asyncio.iscoroutine(made) or hasattr(made, "cr_await") else made

    def send(self, *args: Any, **options: Any) -> Any:
        if self._loop is None:
            return self.producer.send(*args, **options)

        async def send() -> Any:
            return await self.producer.send(*args, **options)

        return self.on_loop(send())

    def try_send(self, *args: Any, **options: Any) -> Any:
        return self.producer.try_send(*args, **options)

    def send_and_wait(self, *args: Any, **options: Any) -> Any:
        return self._call("send_and_wait", *args, **options)

    def send_many(self, *args: Any, **options: Any) -> Any:
        return self._call("send_many", *args, **options)

    def flush(self, timeout: float | None = None) -> None:
        self._call("flush", timeout)

    def ready(self, timeout: float = 10) -> None:
        self._call("ready", timeout)

    def partitions_for(self, topic: str, timeout: float = 10) -> int:
        found: int = self._call("partitions_for", topic, timeout)
        return found

    def close(self, timeout: float | None = None) -> None:
        self._call("close", timeout)

    def outcome(self, delivery: Any, timeout: float = PATIENCE) -> Any:
        """Wait for a delivery's result in this face's way."""
        if self._loop is None:
            return delivery.result(timeout)

        async def wait() -> Any:
            async with asyncio.timeout(timeout):
                return await delivery

        return self.on_loop(wait())

    def error(self, delivery: Any) -> Any:
        """Wait for a delivery's failure, and return it."""
        try:
            found = self.outcome(delivery)
        except FeliceError as error:
            return error
        raise AssertionError(f"it did not fail: {found}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is None:
            self.producer.__exit__(kind, error, trace)
        else:
            self.on_loop(self.producer.__aexit__(kind, error, trace))

    def dispose(self) -> None:
        """Let everything go, whatever state it is in."""
        with contextlib.suppress(FeliceError):
            self.close(0)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop.close()


Connect = Callable[..., Face]
"""Makes a producer of one face for a broker: `connect(broker, linger=1)`."""


def log(broker: Broker, topic: str = "letters") -> dict[int, list[bytes | None]]:
    """Return the values in a topic's partitions, in the order of their offsets."""
    return {n: [record.value for record in broker.records(topic, n)] for n in range(broker.topics[topic])}


def values(broker: Broker, topic: str = "letters") -> list[bytes | None]:
    """Return all values in a topic, partition by partition."""
    return [value for partition in log(broker, topic).values() for value in partition]


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds
