"""A server that speaks Kafka's protocol as badly as a test wants it to. It runs on the test's own loop."""

import asyncio
import inspect
import struct
from collections.abc import Callable
from typing import Any

from felice.wire.frames import decode_request, decode_request_header, encode_response
from felice.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse
from felice.wire.messages.registry import REQUESTS
from felice.wire.schema import Request, Response

SILENCE = object()
"""What a handler returns to leave a request without an answer."""

HANG_UP = object()
"""What a handler returns to close the connection instead of an answer."""

Handler = Callable[..., Any]


class ScriptedBroker:
    """One listening socket. `on(api, handler)` decides what `handler(request, header)` answers to an API.

    A handler returns a response, raw bytes (sent as they are), SILENCE or HANG_UP, and may be a coroutine function.
    """

    def __init__(self, node_id: int = 1, host: str = "127.0.0.1") -> None:
        self.node_id = node_id
        self.host = host
        self.port = 0
        self.ranges = {key: (api.min_version, api.max_version) for key, api in REQUESTS.items()}
        self.topics: dict[str, MetadataResponse.Topic] = {}
        self.peers: list[ScriptedBroker] = [self]
        self.requests: list[tuple[Any, Request[Any]]] = []
        self.accepted = 0
        self._handlers: dict[type[Request[Any]], Handler] = {
            ApiVersionsRequest: self.versions,
            MetadataRequest: self.metadata,
        }
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self, port: int | None = None) -> "ScriptedBroker":
        """Listen, on the port it had before or on a free one."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port if port is None else port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
            self.hang_up()
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in tuple(self._writers):
            writer.close()

    async def __aenter__(self) -> "ScriptedBroker":
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._writers)

    # -- what it answers ------------------------------------------------------------------------------------------

    def on(self, api: type[Request[Any]], handler: Handler) -> None:
        """Have `handler(request, header)` answer this API from now on."""
        self._handlers[api] = handler

    def script(self, api: type[Request[Any]], *answers: Any) -> None:
        """Give these answers, one after the other, and from then on the usual one."""
        usual = self._handlers[api]
        left = list(answers)

        def handler(request: Request[Any], header: Any) -> Any:
            if not left:
                self._handlers[api] = usual
                return usual(request, header)
            answer = left.pop(0)
            return answer(request, header) if callable(answer) else answer

        self.on(api, handler)

    def versions(self, request: Any, header: Any) -> Any:
        low, high = self.ranges[18]
        if not low <= header.api_version <= high:
            return frame(encode_response(ApiVersionsResponse(error_code=35), 18, 0, header.correlation_id))
        return ApiVersionsResponse(
            api_keys=[
                ApiVersionsResponse.ApiVersion(api_key=key, min_version=low, max_version=high)
                for key, (low, high) in self.ranges.items()
            ]
        )

    def metadata(self, request: Any, header: Any) -> MetadataResponse:
        wanted = [topic.name for topic in request.topics or ()]
        return MetadataResponse(
            brokers=[
                MetadataResponse.Broker(node_id=peer.node_id, host=peer.host, port=peer.port) for peer in self.peers
            ],
            controller_id=self.peers[0].node_id,
            cluster_id="scripted",
            topics=[self.topics.get(name, MetadataResponse.Topic(name=name, error_code=3)) for name in wanted],
        )

    def count(self, api: type[Request[Any]]) -> int:
        """Return how many requests of this API have come."""
        return sum(isinstance(request, api) for _, request in self.requests)

    async def wait_for(self, api: type[Request[Any]], count: int = 1) -> None:
        """Wait until that many requests of this API have come."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: self.count(api) >= count)

    # -- the server -----------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.accepted += 1
        try:
            while True:
                size = struct.unpack(">i", await reader.readexactly(4))[0]
                data = await reader.readexactly(size)
                header = decode_request_header(data)
                try:
                    request = decode_request(data, header)
                except Exception:
                    request = REQUESTS[header.api_key]()  # a version that is not written down
                self.requests.append((header, request))
                async with self._news:
                    self._news.notify_all()
                answer = self._handlers[type(request)](request, header)
                if inspect.isawaitable(answer):
                    answer = await answer
                if answer is HANG_UP:
                    return
                if isinstance(answer, Response):
                    answer = frame(encode_response(answer, header.api_key, header.api_version, header.correlation_id))
                if answer is not SILENCE:
                    writer.write(answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()


def frame(pieces: list[Any]) -> bytes:
    """Join the pieces of a frame."""
    return b"".join(pieces)


def topic(
    name: str, *leaders: int, epoch: int = 0, topic_id: bytes = b"", epochs: tuple[int, ...] = ()
) -> MetadataResponse.Topic:
    """Make the metadata of a topic with one partition a leader."""
    return MetadataResponse.Topic(
        name=name,
        topic_id=topic_id or name.encode().ljust(16, b"\0")[:16],
        partitions=[
            MetadataResponse.Topic.Partition(
                partition_index=n,
                leader_id=leader,
                leader_epoch=epochs[n] if epochs else epoch,
                replica_nodes=[leader],
                isr_nodes=[leader],
            )
            for n, leader in enumerate(leaders)
        ],
    )
