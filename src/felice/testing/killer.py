"""Kills nodes of a cluster, at random and again by the same seed, while a test goes on.

    with NodeKiller(broker, seed=7, period=(0.1, 0.5), downtime=(0.1, 1.0)) as killer:
        ...
    print(killer)

What happens, to which node, in which order and after which times is decided by the seed alone, not by how quick the
machine is.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from felice.broker import Broker, Fault
from felice.errors import ConfigError

__all__ = ["EmbeddedNode", "KillableNode", "Killing", "NodeKiller"]

PATIENCE = 60.0
"""Seconds in which whatever is under way must end when the test does."""

Span = tuple[float, float]
"""The least and the most seconds."""


class KillableNode(Protocol):
    """What can be killed, and so on: a node of the embedded broker, or a process that is Kafka."""

    @property
    def id(self) -> int:
        """Its ID."""
        ...

    def stop(self) -> None:
        """End it in order."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    def start(self) -> None:
        """Start it again, on the same address and with what it had, after `stop` or `kill`."""
        ...

    def pause(self) -> None:
        """Freeze it: its connections stay open, and nothing answers."""
        ...

    def resume(self) -> None:
        """Let it go on after `pause`."""
        ...


class Killing(NamedTuple):
    """Something that was done to a node."""

    at: float
    """Seconds after the killer began, by its plan."""
    node: int
    what: str
    """`stop`, `kill`, `pause`; `start` or `resume` when it is over."""
    error: Exception | None = None
    """What was raised, where it did not work."""

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.at:8.3f} s: {self.what} node {self.node}{'' if self.error is None else f': {self.error!r}'}"


def _is_span(given: Span) -> bool:
    """Tell whether these are the least and the most seconds."""
    try:
        low, high = given
        return 0 <= low <= high
    except (TypeError, ValueError):
        return False


class _Step(NamedTuple):
    """Something that is to be done to a node."""

    at: float
    node: int
    what: str


UNDONE_BY = {"stop": "start", "kill": "start", "pause": "resume"}


class EmbeddedNode:
    """A node of the embedded broker."""

    def __init__(self, broker: Broker, node_id: int) -> None:
        self.id = node_id
        self._broker = broker
        self._freeze: Fault | None = None

    def stop(self) -> None:
        """Stop it."""
        self._broker.stop(self.id)

    def kill(self) -> None:
        """Kill it."""
        self._broker.kill(self.id)

    def start(self) -> None:
        """Start it again."""
        self._broker.start(self.id)

    def pause(self) -> None:
        """Freeze it."""
        self._freeze = self._broker.faults.freeze(self.id)

    def resume(self) -> None:
        """Thaw it."""
        if self._freeze is not None:
            self._freeze.remove()


class NodeKiller:
    """A thread that kills nodes for as long as the `with` statement lasts, and then starts them all again.

    - `nodes`: the embedded broker, or nodes of whatever kind (see `KillableNode`).
    - `seed`: which nodes, when, how; without one another one is taken, and told by `seed`.
    - `period`: after how many seconds the next one comes; `downtime`: how long each is away.
    - `at_most`: how many may be away at the same time; by default all but one, or the only one.
    - `ways`: what may happen: `stop` (in order), `kill` (at once) or `pause` (frozen), one as likely as the other.

    What does not work is noted, raised at the end, and ends the killing. `events` has what was done, for the output of
    a test that fails: an error that leaves the `with` statement gets it as a note.
    """

    def __init__(
        self,
        nodes: Broker | Iterable[KillableNode],
        *,
        seed: int | None = None,
        period: Span = (0.2, 1.0),
        downtime: Span = (0.2, 1.0),
        at_most: int | None = None,
        ways: Iterable[str] = tuple(UNDONE_BY),
    ) -> None:
        found = [EmbeddedNode(nodes, node) for node in nodes.nodes] if isinstance(nodes, Broker) else list(nodes)
        self._nodes: dict[int, KillableNode] = {node.id: node for node in found}
        self._ways = sorted(ways)
        if not self._nodes:
            raise ConfigError("there is no node to kill")
        if not self._ways or not UNDONE_BY.keys() >= set(self._ways):
            raise ConfigError(f"ways={self._ways}: give some of {', '.join(UNDONE_BY)}")
        for name, span in (("period", period), ("downtime", downtime)):
            if not _is_span(span) or (name == "period" and span[1] == 0):
                raise ConfigError(f"{name}={span!r}: give the least and the most seconds")
        self._at_most = max(1, len(self._nodes) - 1) if at_most is None else at_most
        if not 1 <= self._at_most <= len(self._nodes):
            raise ConfigError(f"at_most={at_most}: give 1 to {len(self._nodes)}")
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        """What all was chosen by; give it to have the same again."""
        self._period, self._downtime = period, downtime
        self._events: list[Killing] = []
        self._changed = threading.Condition()
        self._over = False
        self._thread: threading.Thread | None = None

    @property
    def events(self) -> list[Killing]:
        """What was done so far."""
        with self._changed:
            return list(self._events)

    def __str__(self) -> str:
        """Return the seed, and what was done, a line each."""
        return "\n".join([f"node killer, seed={self.seed}:", *(f"  {event}" for event in self.events)])

    def wait_for(self, kills: int, timeout: float = 60.0) -> None:
        """Wait until so many nodes were taken away; raise `TimeoutError` after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._over or self._taken >= kills, timeout) or self._taken < kills:
                raise TimeoutError(f"{self._taken} of {kills} nodes were killed within {timeout} s")

    def start(self) -> Self:
        """Begin."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="felice-node-killer", daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """End, with all nodes up again; raise what did not work."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._changed:
            self._over = True
            self._changed.notify_all()
        thread.join(PATIENCE)
        if thread.is_alive():
            raise TimeoutError(f"the killer has not ended within {PATIENCE} s; the last it did:\n{self}")
        errors = [event.error for event in self.events if event.error is not None]
        if errors:
            errors[0].add_note(str(self))
            raise errors[0]

    def __enter__(self) -> Self:
        """Begin."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; an error of the test's is told what was done."""
        try:
            self.close()
        except Exception:
            if error is None:
                raise
        if error is not None:
            error.add_note(str(self))

    # --- the plan ---

    def plan(self) -> Iterator[tuple[float, int, str]]:
        """Give without end what the seed decides: at how many seconds, to which node, what."""
        chance = random.Random(self.seed)
        return _plan(chance, sorted(self._nodes), self._ways, self._period, self._downtime, self._at_most)

    # --- the thread ---

    @property
    def _taken(self) -> int:
        """How many nodes were taken away."""
        return sum(event.what in UNDONE_BY for event in self._events)

    def _work(self) -> None:
        """Be the thread."""
        began = time.monotonic()
        away: dict[int, str] = {}
        for at, node, what in self.plan():
            with self._changed:
                if self._changed.wait_for(lambda: self._over, max(0.0, began + at - time.monotonic())):
                    break
            if not self._do(at, node, what):
                break
            if what in UNDONE_BY:
                away[node] = UNDONE_BY[what]
            else:
                del away[node]
        for node, what in away.items():
            self._do(time.monotonic() - began, node, what)
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _do(self, at: float, node: int, what: str) -> bool:
        """Do something to a node, and note how that went."""
        act: Callable[[], None] = getattr(self._nodes[node], what)
        error: Exception | None = None
        try:
            act()
        except Exception as raised:
            error = raised
        with self._changed:
            self._events.append(Killing(at, node, what, error))
            self._changed.notify_all()
        return error is None


def _plan(
    chance: random.Random, nodes: list[int], ways: list[str], period: Span, downtime: Span, at_most: int
) -> Iterator[_Step]:
    """Give steps in the order of their times. Pure: what takes long in truth makes later steps late, not others."""
    back: list[_Step] = []
    now = 0.0
    while True:
        now += chance.uniform(*period)
        while back and (back[0].at <= now or len(back) >= at_most):
            step = back.pop(0)
            now = max(now, step.at)
            yield step
        away = {step.node for step in back}
        node = chance.choice([node for node in nodes if node not in away])
        what = chance.choice(ways)
        yield _Step(now, node, what)
        back.append(_Step(now + chance.uniform(*downtime), node, UNDONE_BY[what]))
        back.sort()
