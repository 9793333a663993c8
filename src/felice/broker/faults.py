"""Faults on demand: what goes wrong, for whom, and how often it did.

    with broker.faults.error(ErrorCode.NOT_LEADER_OR_FOLLOWER, api="Produce", times=2) as fault:
        ...
    assert fault.count == 2

A fault hits the requests that match all of its targets: `api` (Kafka's name), `topic`, `partition`, `node`,
`client_id`. It lets the first `nth - 1` of them pass, then hits `times` of them, without end where `times` is None;
the defaults hit the next one. With a `chance` below 1 it hits each of those only so often, by the broker's seed. A
request that names several partitions is hit once. When it has hit as often as it was to it is spent: it goes on
counting what it sees, but is not among the `active` ones any more.

Matching happens on the broker's loop; everything public may be called from any thread. What the faults do to answers
stands in `sabotage`.
"""

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Iterable
from enum import Enum
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypedDict, Unpack

from felice.errors import ClosedError, ConfigError, ErrorCode
from felice.wire.messages.registry import API_NAMES
from felice.wire.records import Codec

__all__ = ["ON_RECORDS", "Action", "Fault", "Faults", "Site", "Target", "Where", "removal", "struck"]


class Action(Enum):
    """What a fault does."""

    ERROR = "answers with an error code, and applies nothing"
    DELAY = "waits before the request is applied"
    DELAY_ANSWER = "applies the request, and waits before the answer"
    DROP = "closes the connection, and applies nothing"
    DROP_ANSWER = "applies the request, and closes the connection without an answer"
    SILENCE = "applies nothing and never answers again on this connection, which stays open"
    SILENCE_ANSWER = "applies the request and never answers again on this connection, which stays open"
    CUT = "applies the request, sends a part of the answer, and closes the connection"
    GARBLE = "applies the request, and sends an answer with wrong bytes in it"
    OVERSIZE = "applies the request, and announces an answer larger than any can be"
    CROSS = "applies the request, and sends the answer with another request's correlation ID"
    BAD_CRC = "sends records whose checksum is wrong"
    BOMB = "sends a small batch in place of the records that unpacks to a very large one"
    THROTTLE = "answers with a throttle time, and takes no further request on this connection so long"
    STALE = "answers Metadata as the cluster was when the fault began"
    ANSWER = "is answered by the test"
    HOLD = "keeps the request from being applied until the fault is removed"
    REFUSE = "closes a node's connections and refuses new ones until the fault is removed"
    FREEZE = "keeps a node from reading and sending until the fault is removed"


LASTING = frozenset({Action.HOLD, Action.REFUSE, Action.FREEZE})
"""What goes on until the fault is removed, however often it hit."""

KEPT = 4096
"""How many faults are remembered."""

ON_RECORDS = frozenset({Action.BAD_CRC, Action.BOMB})
"""What can only be done where an answer brings records."""


class Where(TypedDict, total=False):
    """Which requests a fault hits; see the top of this module."""

    topic: str | None
    partition: int | None
    node: int | None
    client_id: str | None
    nth: int
    times: int | None
    chance: float


class Place(Protocol):
    """A node."""

    @property
    def id(self) -> int:
        """Its ID."""
        ...


class Asked(Protocol):
    """A request, as far as targets want to know it."""

    @property
    def api(self) -> str:
        """Kafka's name of the API."""
        ...

    @property
    def node(self) -> Place:
        """Where it came."""
        ...

    @property
    def client_id(self) -> str | None:
        """Who sent it."""
        ...


class Target(NamedTuple):
    """Which requests a fault is for; None for all."""

    api: str | None = None
    topic: str | None = None
    partition: int | None = None
    node: int | None = None
    client_id: str | None = None

    def covers(self, topic: str | None, partition: int | None = None) -> bool:
        """Tell whether a partition (or, without its index, a topic) is among the targets."""
        return (self.topic is None or self.topic == topic) and (
            self.partition is None or partition is None or self.partition == partition
        )


class Fault:
    """One fault. As a context manager it is removed at the end."""

    def __init__(self, faults: "Faults", action: Action, api: str | None, where: Where, **details: Any) -> None:
        _check(where)
        self.action = action
        self.target = Target(api, where.get("topic"), where.get("partition"), where.get("node"), where.get("client_id"))
        self.details = details
        """What the action needs to know, such as `code` or `seconds`."""
        self.seen = 0
        """How many requests matched."""
        self.count = 0
        """How many of them were hit."""
        self.removed = False
        self._nth = where.get("nth", 1)
        self._times = where.get("times", 1)
        self._chance = where.get("chance", 1.0)
        self._faults = faults
        self._hit = threading.Condition()
        self._on_removal: list[Callable[[], None]] = []  # what is to be done then, on the broker's loop

    @property
    def is_spent(self) -> bool:
        """Whether it has hit as often as it was to, and does nothing that lasts until it is removed."""
        return self._times is not None and self.count >= self._times and self.action not in LASTING

    def __repr__(self) -> str:
        """Return what it does, to whom, and how often it did."""
        targets = ", ".join(f"{name}={value!r}" for name, value in self.target._asdict().items() if value is not None)
        what = self.action.name.lower()
        if self.action is Action.ERROR:
            what += f" {self.details['code'].name}"
        return f"<fault {what} on {targets or 'everything'}: hit {self.count} of {self.seen}>"

    def __enter__(self) -> Self:
        """Return the fault."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it."""
        self.remove()

    def remove(self) -> None:
        """Let it hit nothing any more, and let go of what it holds."""
        self._faults.remove(self)

    def wait(self, timeout: float = 10.0, *, count: int = 1) -> None:
        """Wait until it has hit `count` requests; raise `TimeoutError` after `timeout` seconds."""
        with self._hit:
            if not self._hit.wait_for(lambda: self.count >= count, timeout):
                raise TimeoutError(f"{self!r} after {timeout} s, not {count}")

    def strike(self) -> bool:
        """Count a request that matches, and tell whether it is hit."""
        with self._hit:
            self.seen += 1
            if self.seen < self._nth or (self._times is not None and self.count >= self._times):
                return False
            if self._chance < 1 and self._faults.random.random() >= self._chance:
                return False
            self.count += 1
            self._hit.notify_all()
            return True


def _check(where: Where) -> None:
    """Refuse targets that cannot be: a request would be hit that was not meant, or none."""
    known = sorted(Where.__annotations__)
    strange = sorted(where.keys() - set(known))
    if strange:
        raise ConfigError(f"{strange[0]} is nothing to target a fault by", hint=f"there are {', '.join(known)}")
    nth, times, chance = where.get("nth", 1), where.get("times", 1), where.get("chance", 1.0)
    if nth < 1:
        raise ConfigError(f"nth={nth}: give 1 for the next request, 2 for the one behind it, and so on")
    if times is not None and times < 0:
        raise ConfigError(f"times={times}: give how many requests are hit, or None for all")
    if not 0 <= chance <= 1:
        raise ConfigError(f"chance={chance}: give 0 to 1")


class Site(NamedTuple):
    """Where faults happen: what they can do there. Nodes are given by their IDs, None for all."""

    run: Callable[[Callable[[], None]], None]
    """Does something on the loop, and waits for it."""
    obey: Callable[[int | None, bool], None]
    """Has a node be frozen or not, and refuse connections or not, as `Faults.stops` tells; it is told whether the node
    may be gone."""
    disconnect: Callable[[int | None, str | None, bool], int]
    """Closes the connections of a node and a client, with an error for the client or without; returns how many."""
    picture: Callable[[], object] | None
    """Gives what `stale_metadata` is to show later."""
    random: random.Random


class Faults:
    """The faults of one broker or proxy, in the order in which they were added."""

    def __init__(
        self,
        site: Site,
        actions: Iterable[Action] = Action,
        *,
        apis: Iterable[str] = API_NAMES.values(),
        topics: Callable[[str], bool] | None = None,
    ) -> None:
        """Take the place, what can go wrong there, with which APIs, and which of them name topics.

        Without that no topics can be targeted.
        """
        self._apis = sorted(apis)
        self._topics = topics
        self._site = site
        self._run = site.run
        self._possible = frozenset(actions)
        self.random = site.random
        self.present: tuple[Fault, ...] = ()
        """Those that were not removed, spent ones too, for they count what comes. On the loop."""
        self.history: list[Fault] = []
        """What was added, the latest few thousand, for the output of a test that fails."""

    @property
    def active(self) -> tuple[Fault, ...]:
        """Those that can hit something yet, or keep something back: neither removed nor spent."""
        return tuple(fault for fault in self.present if not fault.is_spent)

    # --- what can go wrong: answers that say no, come late, or not at all ---

    def error(self, code: ErrorCode, api: str, **where: Unpack[Where]) -> Fault:
        """Answer with an error code: for the partitions that are targeted, or all of the request's."""
        try:
            known = ErrorCode(code)
        except ValueError:
            hint = 'the code comes first, as in error(ErrorCode.NOT_LEADER_OR_FOLLOWER, "Produce")'
            raise ConfigError(f"{code!r} is no error code", hint=hint) from None
        return self._add(Action.ERROR, api, where, code=known)

    def disk_full(self, **where: Unpack[Where]) -> Fault:
        """Refuse records as a broker does that cannot write to its disk: Produce gets KAFKA_STORAGE_ERROR.

        Until it is removed, unless `times` says otherwise.
        """
        return self._add(Action.ERROR, "Produce", {"times": None, **where}, code=ErrorCode.KAFKA_STORAGE_ERROR)

    def delay(
        self, seconds: float, api: str | None = None, *, jitter: float = 0.0, applied: bool = False,
        **where: Unpack[Where],
    ) -> Fault:  # fmt: skip
        """Wait for some seconds, and up to `jitter` more, before the request is applied, or (`applied`) afterwards.

        A client that gives up meanwhile keeps a request from being applied in the first case, not in the second.
        """
        return self._add(Action.DELAY_ANSWER if applied else Action.DELAY, api, where, seconds=seconds, jitter=jitter)

    def throttle(self, seconds: float, api: str | None = None, **where: Unpack[Where]) -> Fault:
        """Tell the client that it is over its quota, and take no request on its connection for so long (KIP-219)."""
        return self._add(Action.THROTTLE, api, where, seconds=seconds)

    def drop(
        self, api: str | None = None, *, applied: bool = False, reset: bool = False, **where: Unpack[Where]
    ) -> Fault:
        """Close the connection instead of answering, without or (`applied`) after applying the request.

        With `reset` the client's socket gets an error (RST) and not just an end.
        """
        return self._add(Action.DROP_ANSWER if applied else Action.DROP, api, where, reset=reset)

    def half_open(self, api: str | None = None, *, applied: bool = False, **where: Unpack[Where]) -> Fault:
        """Say nothing any more on the connection, which stays open, as when a machine or a network vanishes."""
        return self._add(Action.SILENCE_ANSWER if applied else Action.SILENCE, api, where)

    def hold(self, api: str, **where: Unpack[Where]) -> Fault:
        """Keep a request, and those behind it on its connection, from being handled until the fault is removed."""
        return self._add(Action.HOLD, api, where)

    # --- what can go wrong: nodes and connections ---

    def freeze(self, node: int | None = None) -> Fault:
        """Let a node, or all, accept connections but read and send nothing until the fault is removed.

        What was being waited for goes on inside: a request that had been read is applied, its answer kept back.
        """
        return self._stop(Action.FREEZE, node)

    def refuse(self, node: int | None = None) -> Fault:
        """Close a node's connections, or all, and refuse new ones until the fault is removed.

        Only clients notice: unlike a node that is stopped it goes on leading its partitions.
        """
        return self._stop(Action.REFUSE, node)

    def disconnect(self, node: int | None = None, client_id: str | None = None, *, reset: bool = False) -> int:
        """Close the connections that there are, at once, and return how many; `reset` as for `drop`."""
        closed: list[int] = []
        self._run(lambda: closed.append(self._site.disconnect(node, client_id, reset)))
        return closed[0]

    # --- what can go wrong: answers that are wrong ---

    def stale_metadata(self, **where: Unpack[Where]) -> Fault:
        """Go on answering Metadata as things are now: leaders, nodes and topics.

        Until it is removed, unless `times` says otherwise.
        """
        made: list[object] = []
        fault = self._made(Action.STALE, "Metadata", {"times": None, **where}, picture=made)

        def begin() -> None:
            if self._site.picture is not None:
                made.append(self._site.picture())
            self.begin(fault)
            fault._on_removal.append(made.clear)

        self._run(begin)
        return fault

    def cut(self, api: str | None = None, *, keep: float = 0.5, **where: Unpack[Where]) -> Fault:
        """Send only the first part of the answer, the share `keep` of its bytes, and close the connection."""
        return self._add(Action.CUT, api, where, keep=keep)

    def garble(self, api: str | None = None, *, flips: int = 8, **where: Unpack[Where]) -> Fault:
        """Change `flips` bytes of an answer, anywhere behind its correlation ID."""
        return self._add(Action.GARBLE, api, where, flips=flips)

    def oversize(self, api: str | None = None, *, size: int = 0x7FFFFFFF, **where: Unpack[Where]) -> Fault:
        """Announce an answer of `size` bytes, and send what there is of it."""
        return self._add(Action.OVERSIZE, api, where, size=size)

    def cross(self, api: str | None = None, **where: Unpack[Where]) -> Fault:
        """Send the answer with the correlation ID of the request behind it."""
        return self._add(Action.CROSS, api, where)

    def bad_crc(self, **where: Unpack[Where]) -> Fault:
        """Change one bit of the records that a Fetch brings, so that their checksum is wrong.

        Fetches that bring none do not count.
        """
        return self._add(Action.BAD_CRC, "Fetch", where)

    def bomb(self, *, unpacked: int = 1 << 28, codec: str = "gzip", **where: Unpack[Where]) -> Fault:
        """Bring, in place of a Fetch's records, a small batch with one record, which unpacks to so many bytes.

        Fetches that bring no records do not count.
        """
        return self._add(Action.BOMB, "Fetch", where, unpacked=unpacked, codec=Codec.parse(codec))

    # --- keeping them ---

    def remove(self, fault: Fault) -> None:
        """Remove one fault; one that is gone already stays so."""
        if not fault.removed:
            fault.removed = True
            # With the broker its faults are gone too.
            with contextlib.suppress(ClosedError):
                self._run(lambda: self._release(fault))

    def clear(self) -> None:
        """Remove all faults."""
        for fault in self.present:
            self.remove(fault)

    def stops(self, action: Action, node: int) -> bool:
        """Tell whether a fault freezes a node now, or has it refuse connections. On the loop."""
        return any(fault.action is action and fault.target.node in (None, node) for fault in self.present)

    def begin(self, fault: Fault) -> None:
        """Let a fault take effect. On the loop."""
        self.present = (*self.present, fault)
        self.history.append(fault)
        del self.history[:-KEPT]

    def _stop(self, action: Action, node: int | None) -> Fault:
        """Do something to a node that the end of the fault undoes, unless another fault says the same."""
        fault = self._made(action, None, {"node": node, "times": 0})

        def begin() -> None:
            self.begin(fault)
            try:
                self._site.obey(node, False)
            except Exception:  # There is no such node.
                self.present = self.present[:-1]
                self.history.pop()
                raise
            fault._on_removal.append(lambda: self._site.obey(node, True))

        self._run(begin)
        return fault

    def _add(self, action: Action, api: str | None, where: Where, **details: Any) -> Fault:
        """Let a new fault take effect."""
        fault = self._made(action, api, where, **details)
        self._run(lambda: self.begin(fault))
        return fault

    def _made(self, action: Action, api: str | None, where: Where, **details: Any) -> Fault:
        """Return a fault, if it can be here."""
        if action not in self._possible:
            raise ConfigError(f"{action.name.lower()} cannot be done from outside", hint="use felice.broker")
        if api is not None and api not in self._apis:
            raise ConfigError(f"there is no API {api!r}", hint=f"there are {', '.join(self._apis)}")
        if where.get("topic") is not None or where.get("partition") is not None:
            if self._topics is None:
                raise ConfigError("topics and partitions cannot be targeted from outside", hint="target the node")
            if api is not None and not self._topics(api):
                raise ConfigError(f"{api} names no topics, so none would be hit", hint="target the node or the client")
        return Fault(self, action, api, where, **details)

    def _release(self, fault: Fault) -> None:
        """Take a fault out, on the loop, and let go of what it holds."""
        self.present = tuple(other for other in self.present if other is not fault)
        undone, fault._on_removal = fault._on_removal, []
        for undo in undone:
            undo()


# --- for the dispatcher, on the loop ---


def struck(
    faults: Iterable[Fault], call: Asked, partitions: Callable[[], Iterable[tuple[str, int]]]
) -> tuple[Fault, ...]:
    """Return the faults that hit a request, and count it; `partitions` gives those that it names.

    Whether those that are about records hit is seen when there is an answer.
    """
    return tuple(
        fault
        for fault in faults
        if _matches(fault, call, partitions) and (fault.action in ON_RECORDS or fault.strike())
    )


def _matches(fault: Fault, call: Asked, partitions: Callable[[], Iterable[tuple[str, int]]]) -> bool:
    """Tell whether a request is among a fault's targets."""
    target = fault.target
    if (
        fault.action in (Action.FREEZE, Action.REFUSE)
        or (target.api is not None and target.api != call.api)
        or (target.node is not None and target.node != call.node.id)
        or (target.client_id is not None and target.client_id != call.client_id)
    ):
        return False
    if target.topic is None and target.partition is None:
        return True
    return any(target.covers(topic, partition) for topic, partition in partitions())


async def removal(fault: Fault) -> None:
    """Wait until a fault is removed."""
    if not fault.removed:
        removed = asyncio.Event()
        fault._on_removal.append(removed.set)
        try:
            await removed.wait()
        finally:
            if removed.set in fault._on_removal:
                fault._on_removal.remove(removed.set)
