"""What happened: one small value per event, and the bus that hands them to listeners.

An event is emitted where it happens, often on the engine's thread, and reaches every listener later on the callback
thread: a slow listener delays other listeners, never the network. `log_event` is the listener that is always there.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import ClassVar

from felice.errors import ConfigError

_log = logging.getLogger("felice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a client."""

    level: ClassVar[int] = logging.INFO
    """The level at which the default listener logs it."""

    client_id: str

    def __str__(self) -> str:
        """Return one line for a log: the event's name and its fields."""
        said = " ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.name != "client_id")
        return f"[{self.client_id}] {type(self).__name__} {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOpened(Event):
    """A connection to a broker is ready for requests."""

    level = logging.DEBUG
    node: str
    role: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionClosed(Event):
    """A connection ended; `expected` where either side was idle or the client closes."""

    level = logging.DEBUG
    node: str
    role: str
    reason: str
    expected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFailed(Event):
    """A connection could not be made, or broke under requests.

    Of equal failures in a row the 1st, 2nd, 4th, 8th and so on are told; `failures` counts them all.
    """

    level = logging.WARNING
    node: str
    role: str
    reason: str
    retry_in: float
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled(Event):
    """A broker asked for a pause (KIP-219); requests to it wait that long, in seconds."""

    level = logging.WARNING
    node: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataRefreshed(Event):
    """The client's picture of the cluster was renewed."""

    level = logging.DEBUG
    reason: str
    brokers: int
    topics: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebootstrapped(Event):
    """No known broker answered, so the client starts again from the addresses it was given."""

    level = logging.WARNING
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRecreated(Event):
    """A topic of the same name has another ID: it was deleted and created anew."""

    level = logging.WARNING
    topic: str
    old_id: str
    new_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterChanged(Event):
    """A broker told another cluster ID than before: the cluster was set up anew, or an address leads elsewhere now."""

    level = logging.WARNING
    old_id: str
    new_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsAdded(Event):
    """A topic has more partitions than before."""

    topic: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicMissing(Event):
    """A client has been waiting for this many seconds for a topic, or a partition (else -1), that is not there.

    Told once; the wait goes on, to its deadline.
    """

    level = logging.WARNING
    topic: str
    partition: int
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveriesFailed(Event):
    """A batch of records failed and nobody had asked for its outcome."""

    level = logging.ERROR
    topic: str
    partition: int
    records: int
    error: str
    may_have_happened: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSplit(Event):
    """A batch was too large for the broker and was cut into smaller ones."""

    topic: str
    partition: int
    records: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerEpochBumped(Event):
    """The producer starts its sequence numbers anew, after a failure that left them in doubt (KIP-360)."""

    level = logging.WARNING
    producer_id: int
    producer_epoch: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionReset(Event):
    """A consumer's position was outside the log and was moved by its policy.

    Where the log was cut off below the position, `divergent_offset` is where, and `divergent_epoch` the leader epoch
    that goes up to there; otherwise, and where the leader cannot tell, both are -1.
    """

    level = logging.WARNING
    topic: str
    partition: int
    before: int
    after: int
    policy: str
    reason: str
    divergent_offset: int = -1
    divergent_epoch: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFailed(Event):
    """Reading a partition stopped with an error that the reader will be given."""

    level = logging.ERROR
    topic: str
    partition: int
    offset: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLate(Event):
    """The engine's thread did not get to run for this long: something held the interpreter."""

    level = logging.WARNING
    seconds: float


Listener = Callable[[Event], None]


def log_event(event: Event) -> None:
    """Log the event on the logger `felice`, at its own level."""
    if _log.isEnabledFor(event.level):
        _log.log(event.level, "%s", event)


class EventBus:
    """Hands events to listeners, by way of `deliver` (the callback thread's `post`)."""

    __slots__ = ("_deliver", "_listeners")

    def __init__(self, deliver: Callable[[Listener, Event], object], listeners: Iterable[Listener] = ()) -> None:
        """Take how a call reaches the callback thread, and whom to call; raises ConfigError."""
        if not isinstance(listeners, Iterable):
            raise ConfigError(
                f"listeners={listeners!r}", hint="give a series of callables, each of which takes an event"
            )
        self._deliver = deliver
        self._listeners: tuple[Listener, ...] = (log_event, *listeners)
        for listener in self._listeners:
            if not callable(listener):
                raise ConfigError(f"a listener {listener!r}", hint="give callables that take an event")

    def emit(self, event: Event) -> None:
        """Hand the event on; cheap, and never raises a listener's error."""
        quiet = not _log.isEnabledFor(event.level)
        for listener in self._listeners:
            if quiet and listener is log_event:
                continue
            self._deliver(listener, event)
