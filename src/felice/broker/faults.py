"""Faults on demand: what goes wrong, for whom, and how often it did.

    with broker.faults.error(ErrorCode.NOT_LEADER_OR_FOLLOWER, api="Produce", times=2) as fault:
        ...
    assert fault.count == 2

A fault hits the requests that match all of its targets: `api` (Kafka's name), `topic`, `partition`, `node`,
`client_id`. It lets the first `nth - 1` of them pass, then hits `times` of them, without end where `times` is None;
the defaults hit the next one. A request that names several partitions is hit once.

Matching happens on the broker's loop; everything public may be called from any thread.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from felice.errors import ClosedError, ConfigError, ErrorCode
from felice.wire.messages.registry import API_NAMES

if TYPE_CHECKING:
    from felice.broker.call import Call

__all__ = ["Action", "Fault", "Faults", "Target", "removal", "struck"]


class Action(Enum):
    """What a fault does."""

    ERROR = "answers with an error code, and applies nothing"
    DELAY = "waits before the request is applied"
    DELAY_ANSWER = "applies the request, and waits before the answer"
    DROP = "closes the connection, and applies nothing"
    DROP_ANSWER = "applies the request, and closes the connection without an answer"
    CUT = "applies the request, sends a part of the answer, and closes the connection"
    HOLD = "keeps the request from being applied until the fault is removed"
    FREEZE = "keeps a node from reading and sending until the fault is removed"


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

    def __init__(
        self,
        faults: "Faults",
        action: Action,
        target: Target,
        *,
        code: ErrorCode = ErrorCode.NONE,
        seconds: float = 0.0,
        keep: float = 0.5,
        nth: int = 1,
        times: int | None = 1,
    ) -> None:
        self.action = action
        self.target = target
        self.code = code
        self.seconds = seconds
        self.keep = keep
        """The share of an answer's bytes that is sent before a cut."""
        self.seen = 0
        """How many requests matched."""
        self.count = 0
        """How many of them were hit."""
        self.removed = False
        self._nth = nth
        self._times = times
        self._faults = faults
        self._hit = threading.Condition()
        self._on_removal: list[Callable[[], None]] = []  # what is to be done then, on the broker's loop

    def __repr__(self) -> str:
        """Return what it does, to whom, and how often it did."""
        targets = ", ".join(f"{name}={value!r}" for name, value in self.target._asdict().items() if value is not None)
        return f"<fault {self.action.name.lower()} on {targets or 'everything'}: hit {self.count} of {self.seen}>"

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

    def _strike(self) -> bool:
        """Count a request that matches, and tell whether it is hit."""
        with self._hit:
            self.seen += 1
            if self.seen < self._nth or (self._times is not None and self.count >= self._times):
                return False
            self.count += 1
            self._hit.notify_all()
            return True


class Faults:
    """The faults of one broker, in the order in which they were added."""

    def __init__(self, run: Callable[[Callable[[], None]], None], freeze: Callable[[int | None, bool], None]) -> None:
        """Take how to run something on the broker's loop, and how to freeze or thaw a node there."""
        self._run = run
        self._freeze = freeze
        self.active: tuple[Fault, ...] = ()
        self.history: list[Fault] = []
        """All that were ever added, for the output of a test that fails."""

    # --- what can go wrong ---

    def error(
        self, code: ErrorCode, api: str, *, topic: str | None = None, partition: int | None = None,
        node: int | None = None, client_id: str | None = None, nth: int = 1, times: int | None = 1,
    ) -> Fault:  # fmt: skip
        """Answer with an error code: for the partitions that are targeted, or all of the request's."""
        target = Target(api, topic, partition, node, client_id)
        return self._add(Fault(self, Action.ERROR, target, code=ErrorCode(code), nth=nth, times=times))

    def delay(
        self, seconds: float, api: str | None = None, *, applied: bool = False, topic: str | None = None,
        partition: int | None = None, node: int | None = None, client_id: str | None = None, nth: int = 1,
        times: int | None = 1,
    ) -> Fault:  # fmt: skip
        """Wait for some seconds, before the request is applied, or (`applied`) between that and the answer.

        A client that gives up meanwhile keeps a request from being applied in the first case, not in the second.
        """
        target = Target(api, topic, partition, node, client_id)
        action = Action.DELAY_ANSWER if applied else Action.DELAY
        return self._add(Fault(self, action, target, seconds=seconds, nth=nth, times=times))

    def drop(
        self, api: str | None = None, *, applied: bool = False, topic: str | None = None,
        partition: int | None = None, node: int | None = None, client_id: str | None = None, nth: int = 1,
        times: int | None = 1,
    ) -> Fault:  # fmt: skip
        """Close the connection instead of answering, without or (`applied`) after applying the request."""
        target = Target(api, topic, partition, node, client_id)
        return self._add(Fault(self, Action.DROP_ANSWER if applied else Action.DROP, target, nth=nth, times=times))

    def cut(
        self, api: str | None = None, *, keep: float = 0.5, topic: str | None = None, partition: int | None = None,
        node: int | None = None, client_id: str | None = None, nth: int = 1, times: int | None = 1,
    ) -> Fault:  # fmt: skip
        """Send only the first part of the answer, the share `keep` of its bytes, and close the connection."""
        target = Target(api, topic, partition, node, client_id)
        return self._add(Fault(self, Action.CUT, target, keep=keep, nth=nth, times=times))

    def hold(
        self, api: str, *, topic: str | None = None, partition: int | None = None, node: int | None = None,
        client_id: str | None = None, nth: int = 1, times: int | None = 1,
    ) -> Fault:  # fmt: skip
        """Keep a request, and those behind it on its connection, from being handled until the fault is removed."""
        target = Target(api, topic, partition, node, client_id)
        return self._add(Fault(self, Action.HOLD, target, nth=nth, times=times))

    def freeze(self, node: int | None = None) -> Fault:
        """Let a node, or all, accept connections but read and send nothing until the fault is removed.

        What was being waited for goes on inside: a request that had been read is applied, its answer kept back.
        """
        fault = Fault(self, Action.FREEZE, Target(node=node), times=0)
        fault._on_removal.append(lambda: self._freeze(node, False))
        self._run(lambda: self._freeze(node, True))
        return self._add(fault)

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
        for fault in self.active:
            self.remove(fault)

    def _add(self, fault: Fault) -> Fault:
        """Let a fault take effect."""
        if fault.target.api is not None and fault.target.api not in API_NAMES.values():
            raise ConfigError(
                f"there is no API {fault.target.api!r}", hint=f"there are {', '.join(API_NAMES.values())}"
            )
        self.history.append(fault)
        self._run(lambda: setattr(self, "active", (*self.active, fault)))
        return fault

    def _release(self, fault: Fault) -> None:
        """Take a fault out, on the loop, and let go of what it holds."""
        self.active = tuple(other for other in self.active if other is not fault)
        for action in fault._on_removal:
            action()
        fault._on_removal.clear()


# --- for the dispatcher, on the loop ---


def struck(
    faults: Iterable[Fault], call: "Call", partitions: Callable[[], Iterable[tuple[str, int]]]
) -> tuple[Fault, ...]:
    """Return the faults that hit a request, and count it; `partitions` gives those that it names."""
    return tuple(fault for fault in faults if _matches(fault, call, partitions) and fault._strike())


def _matches(fault: Fault, call: "Call", partitions: Callable[[], Iterable[tuple[str, int]]]) -> bool:
    """Tell whether a request is among a fault's targets."""
    target = fault.target
    if (
        fault.action is Action.FREEZE
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
        await removed.wait()
