"""Faults from outside, before any cluster: a proxy that understands Kafka's frames.

    with FaultProxy("kafka-1:9092,kafka-2:9092") as proxy:
        client = Producer(proxy.bootstrap_servers)
        proxy.faults.half_open("Produce", applied=True)

It listens on loopback, on one port for each node, and has clients believe that the nodes are there: it puts its own
addresses into the cluster's answers. Its faults are those of the embedded broker (`felice.broker.faults`), but for
`error`, `disk_full` and `stale_metadata`, which only a broker can have, and without topics and partitions as targets,
for which it would have to look into requests.

Requests on a connection are passed on one after the other, as Kafka itself handles them.
"""

import asyncio
import random
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from felice.broker.connection import Answer, Connection, Frame, Last, Later, Muted, Pieces, Then
from felice.broker.faults import Action, Fault, Faults, Site, struck
from felice.broker.listener import Listener
from felice.broker.loop_thread import LoopThread
from felice.broker.refusal import Hangup
from felice.broker.sabotage import endure, spoil
from felice.config.addresses import Address, Addresses, parse_addresses
from felice.errors import ClosedError, ConfigError, WireError
from felice.wire.frames import RequestHeader, decode_request, decode_request_header, decode_response, encode_response
from felice.wire.messages.registry import API_NAMES, REQUESTS

__all__ = ["FaultProxy"]

T = TypeVar("T")

SIZE = struct.Struct(">i")
PRODUCE, API_VERSIONS = 0, 18
ADDRESSED = frozenset({0, 1, 3, 10, 60, 78, 79})
"""APIs whose answers name nodes with their addresses, by key."""
LISTS_OF_NODES = ("brokers", "coordinators", "node_endpoints")

MAX_FRAME = 128 * 1024 * 1024
SCRATCH = 256 * 1024
CONNECT_TIMEOUT = 10.0
POSSIBLE = frozenset(Action) - {Action.ERROR, Action.STALE, Action.ANSWER}
ON_RESPONSES = frozenset({Action.THROTTLE, Action.BAD_CRC, Action.BOMB})


class _Door:
    """One port of the proxy, and the node behind it."""

    def __init__(self, upstream: Address) -> None:
        self.upstream = upstream
        self.id = -1
        """The node's ID; -1 until an answer has told it."""
        self.port = 0


class _Passing(NamedTuple):
    """A request on its way, as far as faults want to know it."""

    api: str
    node: _Door
    client_id: str | None


class _Upstream(NamedTuple):
    """A connection to a node, on behalf of one client's."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, address: Address, ended: Callable[[], None]) -> Self:
        """Connect to a node; `ended` is called when the node hangs up."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)
        protocol = _Noticing(reader, ended)
        transport, _ = await loop.create_connection(lambda: protocol, *address)
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


class _Noticing(asyncio.StreamReaderProtocol):
    """Tells of the end of a connection also while nobody reads from it."""

    def __init__(self, reader: asyncio.StreamReader, ended: Callable[[], None]) -> None:
        super().__init__(reader)
        self._ended = ended

    def eof_received(self) -> bool | None:
        """Hear that the node has sent its last."""
        kept = super().eof_received()
        self._ended()
        return kept

    def connection_lost(self, error: Exception | None) -> None:
        """Hear that the connection is gone."""
        super().connection_lost(error)
        self._ended()


class FaultProxy:
    """A cluster's double on loopback, through which everything goes, and where everything can go wrong.

    - `bootstrap_servers`: the cluster's addresses, as for a client. It has to be there only when clients connect.
    - `seed`: makes chance repeatable.
    """

    def __init__(self, bootstrap_servers: Addresses, *, seed: int | None = None) -> None:
        self._seeds = parse_addresses(bootstrap_servers)
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self._doors: dict[Address, tuple[_Door, Listener]] = {}
        self._upstreams: dict[Connection, _Upstream] = {}
        self._asking: set[Connection] = set()
        self._scratch = memoryview(bytearray(SCRATCH))
        self._thread: LoopThread | None = None
        site = Site(self._run, self._obey_faults, self._disconnect, None, random.Random(self.seed))
        self.faults = Faults(site, POSSIBLE)
        """What goes wrong on demand."""

    def start(self) -> Self:
        """Open a port for each address."""
        if self._thread is None:
            self._thread = LoopThread("felice-fault-proxy")
            try:
                self._run(lambda: [self._door(address) for address in self._seeds])
            except BaseException:
                self.close()
                raise
        return self

    def close(self) -> None:
        """Close all ports and connections. Closing twice does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.close(self._close)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @property
    def bootstrap_servers(self) -> str:
        """Addresses for clients, in the order of the cluster's."""
        return self._run(lambda: ",".join(f"127.0.0.1:{self._door(address).port}" for address in self._seeds))

    @property
    def nodes(self) -> dict[int, str]:
        """The nodes that answers have named so far: their IDs, and the proxy's addresses for them."""
        return self._run(
            lambda: {door.id: f"127.0.0.1:{door.port}" for door, _ in self._doors.values() if door.id >= 0}
        )

    # --- doors, on the loop ---

    def _run(self, function: Callable[[], T]) -> T:
        if self._thread is None:
            raise ClosedError("the proxy is not running", hint="use it in a with statement, or call start()")
        return self._thread.run(function)

    def _door(self, address: Address) -> _Door:
        """Return the door to a node, opening it if need be."""
        found = self._doors.get(address)
        if found is None:
            assert self._thread is not None
            door = _Door(address)
            listener = Listener(
                self._thread.loop,
                door,
                ("127.0.0.1", 0),
                lambda connection, frame: self._serve(door, connection, frame),
                max_frame=MAX_FRAME,
                scratch=self._scratch,
                forget=self._forget,
            )
            found = self._doors[address] = (door, listener)
            self._settle(door, listener)
        return found[0]

    def _of(self, node: int | None, *, may_be_gone: bool = False) -> list[tuple[_Door, Listener]]:
        """Return the door to one node, or all."""
        found = [pair for pair in self._doors.values() if node is None or pair[0].id == node]
        if not found and not may_be_gone:
            raise ConfigError(f"no answer has named a node {node} yet", hint="let a client ask for metadata first")
        return found

    def _obey_faults(self, node: int | None, may_be_gone: bool) -> None:
        """Have the door to one node, or all, be as faults say; one whose address is another's now may be gone."""
        for door, listener in self._of(node, may_be_gone=may_be_gone):
            self._settle(door, listener)

    def _settle(self, door: _Door, listener: Listener) -> None:
        """Freeze a door and let connections in, or not, as faults say."""
        listener.freeze(self.faults.stops(Action.FREEZE, door.id))
        listener.let_in(not self.faults.stops(Action.REFUSE, door.id))

    def _disconnect(self, node: int | None, client_id: str | None, reset: bool) -> int:
        return sum(listener.disconnect(client_id, reset) for _, listener in self._of(node))

    def _forget(self, connection: Connection) -> None:
        """Close what was open on behalf of a client."""
        self._asking.discard(connection)
        upstream = self._upstreams.pop(connection, None)
        if upstream is not None:
            upstream.writer.close()

    def _close(self) -> None:
        for _, listener in self._doors.values():
            listener.close()
        self._doors.clear()

    # --- requests, on the loop ---

    def _serve(self, door: _Door, connection: Connection, frame: Frame) -> Later:
        """Pass one request on; what cannot be read, and what faults do not touch, goes as it is."""
        try:
            header = decode_request_header(frame)
        except WireError as error:
            raise Hangup(f"its bytes make no sense: {error}") from error
        connection.client_id = header.client_id
        hit: tuple[Fault, ...] = ()
        if self.faults.present:
            call = _Passing(API_NAMES.get(header.api_key, ""), door, header.client_id)
            hit = struck(self.faults.present, call, tuple)
        self._asking.add(connection)
        passing = asyncio.ensure_future(self._pass(door, connection, frame, header, hit))
        return Later(passing, lambda answer: self._finish(connection, answer))

    async def _pass(
        self, door: _Door, connection: Connection, frame: Frame, header: RequestHeader, hit: tuple[Fault, ...]
    ) -> Answer:
        """Pass a request on and bring its answer, with what the faults do on the way."""

        async def ask() -> Pieces | None:
            reply = await self._ask(door, connection, frame, header)
            return None if reply is None else self._translated(reply, header, hit)

        return await endure(hit, self.faults.random, connection, ask)

    def _finish(self, connection: Connection, answer: Answer) -> Answer:
        """Return the answer as it goes out; where the node hung up behind it, the connection ends too."""
        self._asking.discard(connection)
        upstream = self._upstreams.get(connection)
        if upstream is not None and upstream.reader.at_eof() and not isinstance(answer, Last | Muted):
            return Last(answer or [], Then.CLOSE)
        return answer

    def _node_hung_up(self, connection: Connection) -> None:
        """Close a client's connection, as the node did with it; with a request under way its answer comes first."""
        if connection not in self._asking:
            connection.end()

    async def _ask(self, door: _Door, connection: Connection, frame: Frame, header: RequestHeader) -> bytes | None:
        """Send a request to the node, and return the answer's frame; None where there is none to come (`acks=0`)."""
        upstream = self._upstreams.get(connection)
        try:
            if upstream is None:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    upstream = await _Upstream.open(door.upstream, lambda: self._node_hung_up(connection))
                self._upstreams[connection] = upstream
            upstream.writer.writelines((SIZE.pack(len(frame)), frame))
            await upstream.writer.drain()
            if header.api_key == PRODUCE and _wants_no_answer(frame, header):
                return None
            (size,) = SIZE.unpack(await upstream.reader.readexactly(SIZE.size))
            return await upstream.reader.readexactly(size)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            # A node that ends a connection may be meant to; one that was never reached is worth a warning.
            reached = upstream is not None
            raise Hangup(f"{door.upstream} behind the proxy: {error!r}", wanted=reached) from error

    def _translated(self, reply: bytes, header: RequestHeader, hit: tuple[Fault, ...]) -> Pieces:
        """Return an answer with the proxy's addresses in place of the nodes', and what faults do to its content."""
        as_it_is: Pieces = [SIZE.pack(len(reply)), reply]
        key, version = header.api_key, header.api_version
        touched = key in ADDRESSED or key == API_VERSIONS or any(fault.action in ON_RESPONSES for fault in hit)
        request = REQUESTS.get(key)
        if not touched or request is None or not request.min_version <= version <= request.max_version:
            return as_it_is
        try:
            response: Any = decode_response(request.response, version, reply, allow_trailing=True)
        except WireError:
            if key == API_VERSIONS:  # a refusal has the shape of version 0 whatever was asked
                return as_it_is
            raise Hangup("an answer from behind the proxy makes no sense") from None
        if key == API_VERSIONS:
            for api in response.api_keys:
                # What the proxy must read, clients must ask in versions that it knows.
                if api.api_key in ADDRESSED:
                    api.max_version = min(api.max_version, REQUESTS[api.api_key].max_version)
        for name in LISTS_OF_NODES:
            for node in getattr(response, name, None) or ():
                self._redirect(node, getattr(node, "node_id", getattr(node, "broker_id", -1)))
        if hasattr(response, "host"):
            self._redirect(response, response.node_id)
        for fault in hit:
            spoil(fault, response)
        return encode_response(response, key, version, header.correlation_id)

    def _redirect(self, place: Any, node_id: int) -> None:
        """Put the proxy's address in place of a node's."""
        if place.port > 0:
            address = Address(place.host, place.port)
            door = self._door(address)
            place.host, place.port = "127.0.0.1", door.port
            if door.id != node_id >= 0:
                door.id = node_id
                self._settle(*self._doors[address])


def _wants_no_answer(frame: Frame, header: RequestHeader) -> bool:
    """Tell whether a Produce request is one without acks; to one that cannot be read the node says what it thinks."""
    try:
        request: Any = decode_request(frame, header)
    except WireError:
        return False
    return bool(request.acks == 0)
