"""Where reading begins: what `start=` and `seek` take, checked and put into one form. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from felice.errors import ConfigError
from felice.types import TopicPartition

__all__ = [
    "EARLIEST",
    "END",
    "LATEST",
    "START",
    "Deserializer",
    "OffsetAndTimestamp",
    "Start",
    "StartSpec",
    "Starts",
    "TimeSpec",
    "Timestamp",
    "parse_partition",
    "parse_start",
    "parse_times",
]

_HINT = 'give "earliest", "latest", an offset, a Timestamp in milliseconds or a datetime with a time zone'


class Timestamp(NamedTuple):
    """A time, in milliseconds since 1970: the first record that is not older."""

    ms: int


StartSpec: TypeAlias = Literal["earliest", "latest"] | int | Timestamp | datetime
"""A place in a partition: one of its ends, an offset, or a time."""


@dataclass(frozen=True, slots=True)
class Start:
    """A place in a partition. `offset` is it, or -1 where the broker is to be asked with `timestamp`."""

    offset: int = -1
    timestamp: int = -2
    """Milliseconds since 1970, or what ListOffsets has for the ends: -1 the latest, -2 the earliest offset."""

    def __str__(self) -> str:
        """Return it as a user would write it."""
        if self.offset >= 0:
            return str(self.offset)
        return {-1: "latest", -2: "earliest"}.get(self.timestamp) or f"Timestamp({self.timestamp})"


EARLIEST = Start(timestamp=-2)
LATEST = Start(timestamp=-1)


def parse_start(given: object, what: str = "start") -> Start:
    """Put a place into its one form; `ConfigError` names `what` and the right ones."""
    match given:
        case Start():
            return given
        case "earliest":
            return EARLIEST
        case "latest":
            return LATEST
        case Timestamp(ms=int(ms)) if ms >= 0:
            return Start(timestamp=ms)
        case datetime() if given.tzinfo is not None:
            if given < datetime(1970, 1, 1, tzinfo=UTC):
                raise ConfigError(f"{what}={given!r} is before 1970", hint=_HINT)
            return Start(timestamp=round(given.timestamp() * 1000))
        case datetime():
            raise ConfigError(f"{what}={given!r} has no time zone", hint=_HINT)
        case bool():
            pass
        case int() if 0 <= given < 2**63:
            return Start(offset=given)
    raise ConfigError(f"{what}={given!r}", hint=_HINT)


def parse_partition(given: object, what: str = "partitions") -> TopicPartition:
    """Return the partition that a TopicPartition or a (topic, partition) pair names."""
    match given:
        case (str(topic), int(partition)) if topic and 0 <= partition < 2**31 and not isinstance(partition, bool):
            return TopicPartition(topic, partition)
    raise ConfigError(f"{what}: {given!r} is no partition", hint="give a TopicPartition, or (topic, partition)")


class Starts:
    """Where each partition of a consumer begins."""

    def __init__(self, given: object) -> None:
        """Take one place for all, or a mapping from topics and partitions to places (the others: earliest)."""
        self._everywhere = EARLIEST
        self._topics: dict[str, Start] = {}
        self._partitions: dict[TopicPartition, Start] = {}
        if not isinstance(given, Mapping):
            self._everywhere = parse_start(given)
            return
        items: Iterable[tuple[Any, Any]] = given.items()
        for where, spec in items:
            if isinstance(where, str):
                self._topics[where] = parse_start(spec, f"start[{where!r}]")
            else:
                self._partitions[parse_partition(where, "start")] = parse_start(spec, f"start[{where!r}]")

    def of(self, tp: TopicPartition, *, new: bool = False) -> Start:
        """Return where a partition begins; one that is `new` since the consumer began is read from its beginning."""
        named = self._partitions.get(tp)
        if named is not None:
            return named
        start = self._topics.get(tp.topic, self._everywhere)
        return EARLIEST if new and start.offset < 0 else start

    def check(self, topics: Iterable[str], partitions: Iterable[TopicPartition]) -> None:
        """Raise `ConfigError` for a place given for something that is not read."""
        read = set(topics)
        listed = set(partitions)
        for topic in self._topics:
            if topic not in read and all(tp.topic != topic for tp in listed):
                raise ConfigError(f"start names topic {topic!r}, which is not read", hint="add it to the topics")
        for tp in self._partitions:
            if tp.topic not in read and tp not in listed:
                raise ConfigError(f"start names partition {tp}, which is not read", hint="add it to the partitions")


START = -2
"""The question for a partition's first offset, in place of a time."""
END = -1
"""The question for the offset after a partition's last."""


class OffsetAndTimestamp(NamedTuple):
    """An offset, and the timestamp of its record in milliseconds since 1970."""

    offset: int
    timestamp_ms: int


Deserializer = Callable[[bytes], Any]
"""Makes a key or a value of its bytes; not called for null."""

TimeSpec = Timestamp | datetime
"""A time to look an offset up by."""


def parse_times(given: Mapping[Any, TimeSpec]) -> dict[TopicPartition, int]:
    """Return the milliseconds for each partition; ConfigError for what is no time."""
    times = {}
    for where, when in given.items():
        start = parse_start(when, "a time")
        if start.timestamp < 0:
            raise ConfigError(f"{when!r} is no time", hint="give a Timestamp in milliseconds or a datetime")
        times[parse_partition(where)] = start.timestamp
    return times
