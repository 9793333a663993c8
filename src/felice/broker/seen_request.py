"""A request that a broker got, with what became of it, for tests to look at.

The bytes are kept as they came and went, and become messages again when somebody asks: that costs the broker next to
nothing, and nobody shares an object with it.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from felice.errors import WireError
from felice.wire.frames import RequestHeader, decode_request, decode_response
from felice.wire.messages.registry import API_NAMES, REQUESTS

if TYPE_CHECKING:
    from felice.broker.connection import Frame, Pieces
    from felice.broker.faults import Fault

__all__ = ["Name", "Named", "SeenRequest"]

SHOWN = 400
"""Characters of a message that its description shows."""
OUTER_NAMES = re.compile(r"\b(?:[A-Z]\w*\.)+(?=[A-Z]\w*\()")
SIZE = 4
"""Bytes of an answer's size in front of it."""

Named: TypeAlias = frozenset[tuple[str, int]]
"""The topics and partitions that a request is about."""

Name: TypeAlias = Callable[[int, RequestHeader, Any], Named]
"""Finds them, given the node that got the request, its header, and the request."""


class SeenRequest:
    """A request, and its answer when there is one. It may be looked at from any thread."""

    __slots__ = (
        "_answer",
        "_frame",
        "_header",
        "_name",
        "_named",
        "_request",
        "_response",
        "answered",
        "arrived",
        "error",
        "faults",
        "node",
        "number",
        "size",
    )

    def __init__(
        self,
        number: int,
        header: RequestHeader,
        node: int,
        frame: "Frame",
        arrived: float,
        name: Name,
    ) -> None:
        self.number = number
        """Its place among all requests to the broker, from 1 on."""
        self.node = node
        """The ID of the node that got it."""
        self.size = len(frame)
        """Bytes of the frame, without the four that say so."""
        self.arrived = arrived
        """When it came: seconds on the broker's clock, as `clock.monotonic()` gives them."""
        self.answered: float | None = None
        """When its answer, if it gets one, was made; None while it is under way, and where it never was handled."""
        self.error: BaseException | None = None
        """What went wrong inside the broker, so that it closed the connection."""
        self.faults: tuple[Fault, ...] = ()
        """The faults that hit it."""
        self._header = header
        self._frame: Frame | None = frame
        self._answer: Pieces | None = None
        self._name = name
        self._named: Named | None = None
        self._request: Any = None
        self._response: Any = None

    @property
    def api(self) -> str:
        """Kafka's name of the API, such as `Produce`."""
        return API_NAMES[self._header.api_key]

    @property
    def version(self) -> int:
        """The version of the API."""
        return self._header.api_version

    @property
    def client_id(self) -> str | None:
        """What the client calls itself."""
        return self._header.client_id

    @property
    def correlation_id(self) -> int:
        """The number by which the client knows the answer."""
        return self._header.correlation_id

    @property
    def took(self) -> float | None:
        """Seconds on the broker's clock between the request and its answer."""
        return None if self.answered is None else self.answered - self.arrived

    @property
    def request(self) -> Any:
        """The request itself, one of `felice.wire.messages`; None where the log has let go of its bytes."""
        frame = self._frame
        if self._request is None and frame is not None:
            self._request = decode_request(frame, self._header)
        return self._request

    @property
    def response(self) -> Any:
        """The answer, one of `felice.wire.messages`.

        None while it is not there, where none comes, and where the log has let go of its bytes. What a fault did to
        its bytes on their way is not seen here.
        """
        answer = self._answer
        if self._response is None and answer is not None:
            frame = memoryview(b"".join(answer))[SIZE:]
            try:
                self._response = decode_response(REQUESTS[self._header.api_key].response, self.version, frame)
            except WireError:  # a test gave bytes of its own for an answer
                return None
        return self._response

    @property
    def partitions(self) -> Named:
        """The topics and partitions that it is about, as faults find them; of a Fetch, those of its session too."""
        if self._named is None and self._frame is not None:
            self._named = self._name(self.node, self._header, self.request)
        return self._named or frozenset()

    def __repr__(self) -> str:
        """Return what was asked, by whom, and what became of it."""
        if self.error is not None:
            fate = f"failed: {self.error!r}"
        elif self.answered is None:
            fate = "not answered"
        else:
            fate = f"{'answered' if self._response or self._answer else 'done'} in {1000 * (self.took or 0):.1f} ms"
        about = f"{self.number}: {self.api} v{self.version} from {self.client_id!r} to node {self.node}"
        hit = "".join(f", hit by {fault!r}" for fault in self.faults)
        answer = "" if self.response is None else f" -> {_shown(self.response)}"
        asked = "(let go)" if self.request is None else _shown(self.request)
        return f"<request {about}, {fate}{hit}: {asked}{answer}>"

    # --- for the log, which bounds what is kept alive ---

    def keep_answer(self, pieces: "Pieces") -> None:
        """Keep the answer's bytes."""
        self._answer = pieces

    def let_go_of_request(self) -> None:
        """Keep the request's bytes no longer; what was read of them is forgotten too."""
        self._frame = self._request = None

    def let_go_of_answer(self) -> None:
        """Keep the answer's bytes no longer."""
        self._answer = self._response = None


def _shown(message: object) -> str:
    """Return a message as text, its parts by the last of their names, cut where it is long."""
    text = OUTER_NAMES.sub("", repr(message))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
