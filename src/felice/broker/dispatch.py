"""From a frame to its answer: reads the request, lets faults strike, finds the handler."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from felice.broker.call import Call, Handler
from felice.broker.cluster import Cluster
from felice.broker.connection import Answer, Connection, Frame, Later, Pieces
from felice.broker.faults import Action, Faults, struck
from felice.broker.handlers import HANDLERS
from felice.broker.node import Node
from felice.broker.own_answers import AskedRequest, OwnAnswer, encode_body
from felice.broker.refusal import Hangup
from felice.broker.request_log import RequestLog, note, note_answer, note_failure
from felice.broker.sabotage import endure, spoil
from felice.broker.seen_request import Named, SeenRequest
from felice.errors import WireError
from felice.wire.frames import RequestHeader, decode_request, decode_request_header, encode_response
from felice.wire.messages.registry import REQUESTS
from felice.wire.schema import Request, Response

__all__ = ["Dispatcher"]

API_VERSIONS = 18
NO_ACKS = 0

_log = logging.getLogger("felice.broker")


class Dispatcher:
    """Answers the requests that reach one node."""

    def __init__(
        self, cluster: Cluster, node: Node, faults: Faults, requests: RequestLog, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.cluster = cluster
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
        call = Call(self.cluster, self._node, header, request, self._loop, connection.host, connection)
        if connection.client_id != header.client_id:
            connection.client_id = header.client_id
            _log.info("node %d: %s is client %r", self._node.id, connection.peer, header.client_id)
        seen = note(self._requests, call, frame)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("node %d, from %s: %s v%d %r", self._node.id, connection.peer, call.api, call.version, request)
        try:
            if self._faults.present:
                named = partial(handler.partitions, call, request)
                call.faults = seen.faults = struck(self._faults.present, call, named)
                if any(fault.action is not Action.ERROR for fault in call.faults):
                    task = asyncio.ensure_future(self._troubled(connection, call, handler, seen))
                    task.add_done_callback(self._watch(seen))
                    return Later(task, _as_it_is)
            response = handler.handle(call, request)
            if isinstance(response, asyncio.Future):
                response.add_done_callback(self._watch(seen))
                return Later(response, lambda answer: self._encode(answer, seen, header))
            return self._encode(response, seen, header)
        except Exception as error:
            note_failure(self._requests, seen, error)
            raise

    def named(self, header: RequestHeader, request: Request[Any]) -> Named:
        """Return the topics and partitions that a request is about."""
        call = Call(self.cluster, self._node, header, request, self._loop)
        return frozenset(HANDLERS[header.api_key].partitions(call, request))

    def _encode(self, response: Response | None, seen: SeenRequest, header: RequestHeader) -> Pieces | None:
        """Make the frame of a response, if there is one."""
        pieces = None
        if response is not None:
            pieces = encode_response(response, header.api_key, header.api_version, header.correlation_id)
        note_answer(self._requests, seen, pieces)
        return pieces

    def _watch(self, seen: SeenRequest) -> "Callable[[asyncio.Future[Any]], None]":
        """Return what notes that a request has failed in the end."""

        def look(future: "asyncio.Future[Any]") -> None:
            error = None if future.cancelled() else future.exception()
            if error is not None:
                note_failure(self._requests, seen, error)

        return look

    async def _troubled(self, connection: Connection, call: Call, handler: Handler, seen: SeenRequest) -> Answer:
        """Handle a request that faults have hit."""

        async def ask() -> Pieces | None:
            given = await self._answered(call, handler, seen)
            if isinstance(given, bytes):
                body = encode_body(given, call.request, call.header)
                note_answer(self._requests, seen, body)
                return body
            if given is not None:
                for fault in call.faults:
                    spoil(fault, given, call)
            return self._encode(given, seen, call.header)

        return await endure(call.faults, self._faults.random, connection, ask)

    async def _answered(self, call: Call, handler: Handler, seen: SeenRequest) -> Response | bytes | None:
        """Return what the test or, where it wants no part in it, the broker answers."""

        async def apply() -> Response | None:
            response = handler.handle(call, call.request)
            if isinstance(response, asyncio.Future):
                response = await response
            return response

        for fault in call.faults:
            if isinstance(fault, OwnAnswer):
                given = await fault.give(call.request, AskedRequest(seen, apply, self._loop))
                if given is not None:
                    return None if getattr(call.request, "acks", None) == NO_ACKS else given
        return await apply()


def _as_it_is(answer: Any) -> Answer:
    """Return what is an answer already."""
    return answer  # type: ignore[no-any-return]
