"""The embedded broker's public face; every method may be called from any thread."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from felice.broker.call import Call
from felice.broker.clock import BrokerClock, StoppedClock
from felice.broker.cluster import DEFAULT, Cluster
from felice.broker.dispatch import Dispatcher
from felice.broker.faults import Action, Faults, Site, Where
from felice.broker.handlers import HANDLERS, names_topics
from felice.broker.happenings import Happenings
from felice.broker.inspection import Inspection
from felice.broker.listener import Listener
from felice.broker.loop_thread import LoopThread
from felice.broker.node import Node
from felice.broker.own_answers import Function, OwnAnswer
from felice.broker.refusal import Refused
from felice.broker.request_log import RequestLog
from felice.broker.sabotage import Picture
from felice.broker.seen_request import Named
from felice.broker.sessions import FetchSessions
from felice.broker.setting import Settings
from felice.broker.setting_tables import BROKER_SETTINGS
from felice.broker.steering import Steering
from felice.clock import Clock, SystemClock
from felice.errors import BrokerError, ClosedError, ConfigError
from felice.wire.frames import RequestHeader
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.registry import API_NAMES
from felice.wire.schema import Request

__all__ = ["Broker"]

T = TypeVar("T")

EVERYWHERE = ("0.0.0.0", "::", "")
SCRATCH = 256 * 1024
"""Most bytes of small requests that are read at once."""


class Broker(Inspection, Steering):
    """A Kafka cluster inside this process, for tests and first steps.

        with Broker(topics={"letters": 4}) as broker:
            Producer(broker.bootstrap_servers)

    Clients reach it over real sockets with the real protocol. Its state lives in memory and ends with it. It runs in
    a thread of its own, on loopback only unless another `host` is given, and any number of them can run at once.

    - `topics`: names with their numbers of partitions, created at the start.
    - `nodes`: how many there are; their IDs are 1 to `nodes`, each has a port, and partitions are spread over them.
    - `racks`: the nodes' racks in turn. A partition's replicas then lie on different ones, and with the configuration
      `replica.selector.class` set to Kafka's `RackAwareReplicaSelector` consumers read from their own (KIP-392).
    - `host`, `port`: where to listen; port 0 takes free ports, another one is the first of `nodes` in a row.
    - `advertised_host`: what clients are told to connect to, where that is not `host` (for one, with host 0.0.0.0).
    - `auto_create`: whether asking for a topic's metadata may create it (Kafka's `auto.create.topics.enable`).
    - `configs`: broker configurations by Kafka's names, values as text, numbers or booleans.
    - `clock`: where its time comes from, for timestamps and timeouts; see also the attribute `clock`, which can be
      told to `advance`. `seed`: makes IDs repeatable.

    Topics that name no replication factor have a replica on each node, up to three, so that every partition survives
    `stop`.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        *,
        nodes: int = 1,
        racks: Sequence[str | None] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        advertised_host: str | None = None,
        auto_create: bool = True,
        configs: Mapping[str, object] | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(nodes, int) or not 1 <= nodes <= 1000:
            raise ConfigError(f"nodes={nodes!r}: give 1 to 1000")
        if racks is not None and len(racks) != nodes:
            raise ConfigError(f"racks={racks!r}: give one for each of {nodes} nodes")
        if not isinstance(port, int) or not 0 <= port <= 65536 - nodes:
            raise ConfigError(f"port={port!r}: give 0 for free ports, or one that leaves room for {nodes}")
        if host in EVERYWHERE and advertised_host is None:
            raise ConfigError(f"host={host!r} is no address to connect to", hint="give advertised_host too")
        self._topics = _topics(topics or {})
        self._ports = [port + number if port else 0 for number in range(nodes)]
        self._host = advertised_host or host
        self._settings = {
            "auto.create.topics.enable": _text(auto_create),
            "default.replication.factor": str(min(nodes, 3)),
            "group.consumer.assignment.interval.ms": "0",
            # Kafka's three seconds are too long for a test; with none, members that start together join one by one.
            # Where time stands still nobody would ever join.
            "group.initial.rebalance.delay.ms": "0" if isinstance(clock, StoppedClock) else "15",
            **{name: _text(value) for name, value in (configs or {}).items()},
        }
        self._happenings = Happenings(self._do)
        self.clock = BrokerClock(clock or SystemClock(), self._run, self._happenings.tell)
        """The broker's time; `advance` lets it pass at once."""
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        """What IDs and other random choices were made from; give it to have the same ones again."""
        self._chance = random.Random(self.seed)
        try:
            self._slots = Settings(BROKER_SETTINGS, self._settings).number("max.incremental.fetch.session.cache.slots")
        except Refused as error:
            hint = _like(self._settings.keys() - BROKER_SETTINGS)
            raise ConfigError(f"configs: {error.message}", hint=hint) from None
        made = [self._make_node(number + 1, rack) for number, rack in enumerate(racks or [None] * nodes)]
        self._first_nodes = made
        self._cluster = self._make_cluster()
        self._bound_host = host
        self._last_id = nodes
        self._scratch = memoryview(bytearray(SCRATCH))
        self._thread: LoopThread | None = None
        self._ended = False
        self._listeners: dict[int, Listener] = {}
        self._dispatchers: dict[int, Dispatcher] = {}
        self.requests = RequestLog(self.clock.monotonic, self._named, self._run_or_do, self._happenings.tell)
        """The latest requests with their answers, and `wait_for` one."""
        site = Site(self._run, self._obey_faults, self._disconnect, self._picture, random.Random(f"faults {self.seed}"))
        self.faults = Faults(site, apis=(API_NAMES[key] for key in HANDLERS), topics=names_topics)
        """What goes wrong on demand."""

    # --- life ---

    def start(self, node: int | None = None) -> Self:
        """Start the broker; or, with a node's ID, start that node again after `stop`, on the same port."""
        if node is not None:
            self._run(lambda: self._start_node(self._node(node)))
        elif self._ended:
            raise self._not_running()
        elif self._thread is None:
            self._thread = LoopThread("felice-broker")
            try:
                self._run(self._open)
            except BaseException:
                self.close()
                raise
        return self

    def reset(self) -> None:
        """Make everything as it was right after the start, in about a millisecond.

        The topics are those of the constructor, empty and with new IDs; nodes are up that were there, and no others.
        Groups, offsets, transactions, configurations, faults, own answers and the log of requests are gone, and the
        clock is not ahead any more. Addresses stay, and producer IDs are not given again.

        Connections are closed, as what clients know of the broker is of no worth any more, and answers under way would
        be about what is gone: a client that lives on notices, and connects again.
        """
        own = self._own_answers
        self._run(self._reset)
        for answer in own:
            answer.raise_errors()

    def close(self) -> None:
        """Stop everything and forget all records. Closing twice does nothing."""
        self._end()
        for answer in self._own_answers:
            answer.raise_errors()

    def _end(self) -> None:
        """Stop everything."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ended = True
            thread.close(self._close)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; where the test has failed already, errors of its own answers do not take the failure's place."""
        if error is None:
            self.close()
        else:
            self._end()

    # --- where it is ---

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all nodes, `host:port` with commas between."""
        if self._thread is None:
            raise self._not_running()
        shown = f"[{self._host}]" if ":" in self._host else self._host
        return ",".join(f"{shown}:{node.port}" for node in self._cluster.nodes.values())

    @property
    def nodes(self) -> dict[int, str]:
        """The nodes that are up: ID and address."""
        return self._run(lambda: {node.id: f"{node.host}:{node.port}" for node in self._cluster.alive})

    # --- topics ---

    def create_topic(
        self,
        name: str,
        partitions: int = DEFAULT,
        *,
        replication_factor: int = DEFAULT,
        configs: Mapping[str, object] | None = None,
    ) -> None:
        """Create a topic; -1 means the broker's default. Raise `BrokerError` where Kafka would refuse."""
        texts = {key: _text(value) for key, value in (configs or {}).items()}
        self._run(
            lambda: self._cluster.create_topic(
                self._cluster.plan_topic(name, partitions, replication_factor, configs=texts)
            )
        )

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its records; a topic created anew under its name is another one, with another ID."""
        self._run(lambda: self._cluster.delete_topic(self._topic(name)))

    def compact(self, topic: str) -> None:
        """Compact a topic's logs as far as they go, now, and not when the cleaner would come by.

        Of all keys the last record stays, up to the first open transaction; tombstones stay for `delete.retention.ms`
        after the first compaction. Raise `BrokerError` where the topic's `cleanup.policy` is another one.
        """
        self._run(lambda: self._cluster.housekeeping.compact(self._topic(topic)))

    # --- requests ---

    def answer(self, api: str, function: Function, **where: Unpack[Where]) -> OwnAnswer:
        """Answer requests in the broker's place: the next one, or those that the targets say, as for faults.

            broker.answer("Heartbeat", lambda request, asked: HeartbeatResponse(error_code=27))

        The function gets the request and an `AskedRequest`, and returns the response, or its body as bytes, or None to
        leave it to the broker; it runs in a thread of its own. See `OwnAnswer`.
        """
        made = OwnAnswer(self.faults, api, function, where)
        self._run(lambda: self.faults.begin(made))
        return made

    @property
    def _own_answers(self) -> list[OwnAnswer]:
        """All of the test's own answers."""
        return [fault for fault in self.faults.history if isinstance(fault, OwnAnswer)]

    # --- on the loop ---

    def _run(self, function: Callable[[], T]) -> T:
        """Do something on the broker's loop; what it refuses becomes a `BrokerError`, and who waits looks again."""

        def call() -> T:
            try:
                return function()
            finally:
                self._happenings.tell()

        return self._do(call)

    def _do(self, function: Callable[[], T]) -> T:
        """Do something on the broker's loop that is no news to anybody."""
        thread = self._thread
        if thread is None:
            raise self._not_running()
        try:
            return thread.run(function)
        except Refused as error:
            raise BrokerError(error.code, "the embedded broker refused", broker_message=error.message) from None

    def _not_running(self) -> ClosedError:
        """Say why nothing can be asked of it."""
        if self._ended:
            return ClosedError("the broker was closed, and its records are gone", hint="make a new one")
        return ClosedError("the broker is not running", hint="use it in a with statement, or call start()")

    def _run_or_do(self, function: Callable[[], T]) -> T:
        """Do something on the loop while there is one, and afterwards at once."""
        return function() if self._thread is None else self._run(function)

    def _named(self, node: int, header: RequestHeader, request: Request[Any]) -> Named:
        """Return what a request to a node is about."""
        return self._dispatchers[node].named(header, request)

    def _open(self) -> None:
        """Listen on all ports and create the topics."""
        thread, cluster = self._thread, self._cluster
        assert thread is not None
        self.clock.start(thread.loop)
        self._happenings.start(thread.loop)
        for node, port in zip(cluster.nodes.values(), self._ports, strict=True):
            self._listen(node, port)
        for node in cluster.nodes.values():
            self._start_node(node)
        self._create_topics()

    def _create_topics(self) -> None:
        """Create the topics that are there from the start."""
        for name, partitions in self._topics.items():
            self._cluster.create_topic(self._cluster.plan_topic(name, partitions))

    def _reset(self) -> None:
        """Put a fresh cluster in place of the present one, on the same ports."""
        self.faults.clear()
        self.faults.history.clear()
        for listener in self._listeners.values():
            listener.disconnect(None, False)
        self.clock.reset()
        self.requests.clear()
        old, self._cluster = self._cluster, self._make_cluster()
        self._cluster.succeed(old)
        self._last_id = len(self._first_nodes)
        for node_id in self._listeners.keys() - self._cluster.nodes.keys():
            self._listeners.pop(node_id).close()
        for node in self._first_nodes:
            node.sessions = self._make_sessions()
            listening, node.up, node.killed = node.up, False, False
            if node.id not in self._listeners:
                self._listen(node, node.port)
            self._dispatchers[node.id].cluster = self._cluster
            if listening:
                self._cluster.node_started(node)
            else:
                self._start_node(node)
        self._create_topics()
        old.forget_records()

    def _close(self) -> None:
        """Give all sockets back."""
        self._happenings.close()
        self.clock.clear()
        for node in self._cluster.nodes.values():
            node.up = False
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    def _make_node(self, node_id: int, rack: str | None) -> Node:
        """Return a new node."""
        return Node(node_id, self._host, self._make_sessions(), rack)

    def _make_sessions(self) -> FetchSessions:
        """Return what a node knows of fetch sessions at its start."""
        return FetchSessions(self._slots, self.clock, self._chance)

    def _make_cluster(self) -> Cluster:
        """Return a cluster of the nodes that are there from the start."""
        return Cluster(self._first_nodes, clock=self.clock, chance=self._chance, settings=self._settings)

    def _listen(self, node: Node, port: int) -> None:
        """Take a port for a node, or with 0 a free one."""
        assert self._thread is not None
        loop, max_frame = self._thread.loop, self._cluster.settings.number("socket.request.max.bytes")
        dispatcher = self._dispatchers[node.id] = Dispatcher(self._cluster, node, self.faults, self.requests, loop)
        self._listeners[node.id] = Listener(
            loop,
            node,
            (self._bound_host, port),
            dispatcher.serve,
            max_frame=max_frame,
            scratch=self._scratch,
            forget=lambda connection: self._happenings.tell(),
        )

    def _add_node(self, rack: str | None) -> Node:
        """Make a node that takes part; IDs are not given twice."""
        self._last_id += 1
        node = self._make_node(self._last_id, rack)
        self._listen(node, 0)
        self._cluster.nodes[node.id] = node
        self._start_node(node)
        return node

    def _remove_node(self, node: Node) -> None:
        """Forget a node."""
        self._cluster.node_removed(node)
        self._listeners.pop(node.id).close()

    def _start_node(self, node: Node) -> None:
        """Let a node take part."""
        if not node.up:
            self._cluster.node_started(node)
            self._obey_faults(node.id)

    def _stop_node(self, node: Node, *, killed: bool = False) -> None:
        """Take a node out."""
        if node.up:
            if killed:  # Then nobody is there who would take back what members of share groups have.
                self._cluster.forget_sessions(node)
            self._listeners[node.id].shut(reset=killed)
            self._cluster.node_stopped(node, killed=killed)

    def _picture(self) -> Picture:
        """Take a picture of what Metadata shows now."""
        from felice.broker.handlers.metadata import HANDLER

        request = MetadataRequest(topics=None)
        header = RequestHeader(request.api_key, request.max_version, 0, None, 0)
        assert self._thread is not None
        node = next(iter(self._cluster.nodes.values()))
        call = Call(self._cluster, node, header, request, self._thread.loop)
        call.guard = None
        return Picture(HANDLER.handle(call, request))

    def _obey_faults(self, node: int | None, may_be_gone: bool = False) -> None:
        """Have one node, or all, be frozen and refuse connections, or not, as faults say."""
        for listener in self._listeners_of(node, may_be_gone=may_be_gone):
            listener.freeze(self.faults.stops(Action.FREEZE, listener.node.id))
            if listener.node.id in self._cluster.alive_ids:
                listener.let_in(not self.faults.stops(Action.REFUSE, listener.node.id))

    def _disconnect(self, node: int | None, client_id: str | None, reset: bool) -> int:
        """Close connections."""
        return sum(listener.disconnect(client_id, reset) for listener in self._listeners_of(node))

    def _listeners_of(self, node: int | None, *, may_be_gone: bool = False) -> list[Listener]:
        """Return one node's listener, or all; of a node that was removed since, if that may be, none."""
        if node is None:
            return list(self._listeners.values())
        if may_be_gone and node not in self._cluster.nodes:
            return []
        return [self._listeners[self._node(node).id]]


def _topics(given: Mapping[str, int]) -> dict[str, int]:
    """Check the topics to begin with; whether Kafka would have them is seen when they are created."""
    if not isinstance(given, Mapping) or not all(isinstance(number, int) for number in given.values()):
        raise ConfigError(f"topics={given!r}: give names with their numbers of partitions", hint='{"letters": 4}')
    return dict(given)


def _like(unknown: Iterable[str]) -> str:
    """Return which configurations may have been meant."""
    import difflib

    found = [name for wrong in unknown for name in difflib.get_close_matches(wrong, BROKER_SETTINGS, n=3)]
    return f"did you mean {' or '.join(found)}?" if found else ""


def _text(value: object) -> str:
    """Return a configuration value as Kafka writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
