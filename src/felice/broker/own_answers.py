"""Requests that a test answers itself, in the broker's place.

    def slow_down(request, asked):
        response = asked.pass_on()
        response.throttle_time_ms = 100
        return response

    with broker.answer("Metadata", slow_down, times=2):
        ...

The function runs in a thread of its own, one for each request that it answers. So it may wait, and ask the broker
anything; meanwhile only the connection of that request waits.
"""

import asyncio
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeAlias

from felice.broker.faults import Action, Fault, Faults, Where
from felice.broker.handlers import HANDLERS
from felice.broker.refusal import Hangup
from felice.broker.seen_request import SeenRequest
from felice.errors import ConfigError, UsageError
from felice.wire.frames import RequestHeader
from felice.wire.messages.registry import API_NAMES, REQUESTS
from felice.wire.schema import Request, Response

__all__ = ["AskedRequest", "Function", "OwnAnswer", "encode_body"]

API_VERSIONS = 18
_head = struct.Struct(">ii")

Given: TypeAlias = "Response | bytes | None"
"""A response, or its body as bytes, or None to leave it to the broker."""


class AskedRequest:
    """A request that a test is asked to answer."""

    def __init__(
        self, seen: SeenRequest, apply: Callable[[], Coroutine[Any, Any, Any]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.seen = seen
        """Where it came, from whom, and in which version."""
        self.passed_on: Response | None = None
        """What the broker answered, once it was asked to."""
        self._apply = apply
        self._loop = loop

    def pass_on(self) -> Any:
        """Have the broker handle the request, and return its answer, which may be changed.

        Wait as long as that takes: it may be as long as a member of a group waits for the others.
        """
        self.passed_on = asyncio.run_coroutine_threadsafe(self._apply(), self._loop).result()
        return self.passed_on


Function: TypeAlias = Callable[[Any, AskedRequest], Given]
"""Answers a request, which it is given first as the message that it is."""


class OwnAnswer(Fault):
    """A test's own answers. It is targeted, counted and removed as faults are.

    What the function raises closes the connection, is logged, and is raised again where the `with` statement ends, or
    else when the broker is closed.
    """

    def __init__(self, faults: Faults, api: str, function: Function, where: Where) -> None:
        known = sorted(API_NAMES[key] for key in HANDLERS)
        if api not in known:
            raise ConfigError(f"there is no API {api!r}", hint=f"there are {', '.join(known)}")
        super().__init__(faults, Action.ANSWER, api, where)
        self._function = function
        self._errors: list[Exception] = []

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it; raise what the function raised, unless the test has failed already."""
        super().__exit__(kind, error, trace)
        if error is None:
            self.raise_errors()

    def __repr__(self) -> str:
        """Return what it answers, and how often it did."""
        targets = ", ".join(f"{name}={value!r}" for name, value in self.target._asdict().items() if value is not None)
        return f"<own answer to {targets}: asked {self.count} of {self.seen}>"

    def raise_errors(self) -> None:
        """Raise the first error of the function's, if there was one, and forget all of them."""
        errors, self._errors = self._errors, []
        if errors:
            if len(errors) > 1:
                errors[0].add_note(f"({len(errors) - 1} more of the test's own answers failed)")
            raise errors[0]

    async def give(self, request: Request[Any], asked: AskedRequest) -> Given:
        """Ask the function, in a thread of its own. On the broker's loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Given] = loop.create_future()

        def work() -> None:
            try:
                given = _checked(self._function(request, asked), request)
            except Exception as error:
                settle, outcome = future.set_exception, error
            else:
                settle, outcome = future.set_result, given  # type: ignore[assignment]
            with suppress(RuntimeError):  # the broker was closed meanwhile
                loop.call_soon_threadsafe(lambda: None if future.done() else settle(outcome))

        threading.Thread(target=work, name="felice-broker-answer", daemon=True).start()
        try:
            given = await future
        except Hangup:
            raise
        except Exception as error:
            self._errors.append(error)
            raise
        return asked.passed_on if given is None else given


def _checked(given: Given, request: Request[Any]) -> Given:
    """Return what a function gave, if it can be an answer to the request."""
    expected = REQUESTS[request.api_key].response
    if given is None or isinstance(given, bytes | expected):
        return given
    raise UsageError(
        f"an own answer to {request.api_name} is {given!r}", hint=f"give {expected.__name__}, bytes or None"
    )


def encode_body(body: bytes, request: Request[Any], header: RequestHeader) -> list[bytes | memoryview]:
    """Make the frame of an answer whose body is given as bytes."""
    tags = b"\0" if header.api_key != API_VERSIONS and request.flexible(header.api_version) else b""
    return [_head.pack(_head.size - 4 + len(tags) + len(body), header.correlation_id) + tags + body]
