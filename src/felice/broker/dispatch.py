"""From a frame to its answer: reads the request, lets faults strike, finds the handler."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from felice.broker.call import Call, Handler
from felice.broker.cluster import Cluster
from felice.broker.connection import Answer, Connection, Frame, Last, Later, Muted, Pieces, Then
from felice.broker.faults import Action, Fault, Faults, removal, struck
from felice.broker.handlers import HANDLERS
from felice.broker.node import Node
from felice.broker.refusal import Hangup
from felice.broker.request_log import RequestLog, note
from felice.broker.sabotage import spoil, spoil_frame
from felice.errors import WireError
from felice.wire.frames import RequestHeader, decode_request, decode_request_header, encode_response
from felice.wire.messages.registry import REQUESTS
from felice.wire.schema import Response

__all__ = ["Dispatcher"]

API_VERSIONS = 18

_log = logging.getLogger("felice.broker")


class Dispatcher:
    """Answers the requests that reach one node."""

    def __init__(
        self, cluster: Cluster, node: Node, faults: Faults, requests: RequestLog, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._cluster = cluster
        self._node = node
        self._faults = faults
        self._requests = requests
        self._loop = loop

    def serve(self, connection: Connection, frame: Frame) -> Answer | Later:
        """Answer one request; raise `Hangup` for what Kafka answers by closing the connection."""
        try:
            header = decode_request_header(frame)
            handler = HANDLERS.get(header.api_key)
            if handler is None:
                raise Hangup(f"there is no API {header.api_key} here")
            request_class = REQUESTS[header.api_key]
            if not request_class.min_version <= header.api_version <= request_class.max_version:
                if header.api_key == API_VERSIONS:
                    from felice.broker.handlers.api_versions import refuse_version  # loaded when first asked for

                    return encode_response(refuse_version(), API_VERSIONS, 0, header.correlation_id)
                raise Hangup(f"there is no version {header.api_version} of {request_class.api_name} here")
            request = decode_request(frame, header)
        except WireError as error:
            raise Hangup(f"its bytes make no sense: {error}") from error
        call = Call(self._cluster, self._node, header, request, self._loop, connection.host)
        connection.client_id = header.client_id
        note(self._requests, call, len(frame))
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("node %d, from %s: %s v%d %r", self._node.id, connection.peer, call.api, call.version, request)
        if self._faults.active:
            call.faults = struck(self._faults.active, call, lambda: handler.partitions(call, request))
            if any(fault.action is not Action.ERROR for fault in call.faults):
                return Later(asyncio.ensure_future(self._troubled(connection, call, handler)), _as_it_is)
        return self._apply(call, handler)

    def _apply(self, call: Call, handler: Handler) -> Answer | Later:
        """Have a request handled."""
        answer = handler.handle(call, call.request)
        if answer is None:
            return None
        if isinstance(answer, asyncio.Future):
            return Later(answer, _encoder(call.header))
        return _encode(answer, call.header)

    async def _troubled(self, connection: Connection, call: Call, handler: Handler) -> Answer:
        """Handle a request that faults have hit: what they do before it, to its response, and to the bytes of that."""
        for fault in call.faults:
            match fault.action:
                case Action.DELAY:
                    await self._pause(fault)
                case Action.HOLD:
                    await removal(fault)
                case Action.DROP:
                    return self._ended(connection, fault)
                case Action.SILENCE:
                    return Last([], Then.SILENCE)
        response = handler.handle(call, call.request)
        if isinstance(response, asyncio.Future):
            response = await response
        if response is None:
            return None
        for fault in call.faults:
            spoil(fault, response)
        answer: Answer = _encode(response, call.header)
        for fault in call.faults:
            match fault.action:
                case Action.DELAY_ANSWER:
                    await self._pause(fault)
                case Action.DROP_ANSWER:
                    return self._ended(connection, fault)
                case Action.SILENCE_ANSWER:
                    return Last([], Then.SILENCE)
                case Action.THROTTLE if isinstance(answer, list):
                    answer = Muted(answer, fault.details["seconds"])
                case Action.CUT if isinstance(answer, list):
                    return Last(spoil_frame(fault, answer, self._faults.random), Then.CLOSE)
                case Action.GARBLE | Action.OVERSIZE | Action.CROSS if isinstance(answer, list):
                    answer = spoil_frame(fault, answer, self._faults.random)
        return answer

    async def _pause(self, fault: Fault) -> None:
        """Wait as long as a fault says."""
        await asyncio.sleep(fault.details["seconds"] + self._faults.random.random() * fault.details["jitter"])

    @staticmethod
    def _ended(connection: Connection, fault: Fault) -> Last:
        """End a connection, as a fault has it."""
        _log.debug("connection from %s closed: %r", connection.peer, fault)
        return Last([], Then.RESET if fault.details["reset"] else Then.CLOSE)


def _encode(response: Response, header: RequestHeader) -> Pieces:
    """Make the frame of a response."""
    return encode_response(response, header.api_key, header.api_version, header.correlation_id)


def _encoder(header: RequestHeader) -> Callable[[Response], Answer]:
    """Return what makes the frame of a response when it is there."""
    return lambda response: _encode(response, header)


def _as_it_is(answer: Any) -> Answer:
    """Return what is an answer already."""
    return answer  # type: ignore[no-any-return]
