"""An accumulator of either twin, and what the tests do with it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from felice.clock import SystemClock
from felice.config import ProducerConfig, TopicConfig
from felice.wire.records import read_records

MEGABYTE = 1 << 20
SMALLEST = 1024
"""A fresh batch's buffer."""
RECORD = 36
"""The most that a record's own fields take."""
HEADER = 61


def options(**changes: Any) -> TopicConfig:
    return ProducerConfig(bootstrap_servers="nowhere:1", **changes).for_topic("letters")


def make(
    twin: ModuleType,
    *,
    partitions: int = 4,
    limit: int = 64 * MEGABYTE,
    ring: Callable[[], object] = lambda: None,
    **changes: Any,
) -> tuple[Any, Any]:
    """Make an accumulator that knows one topic, `letters`; return both."""
    accumulator = twin.Accumulator(limit, ring, SystemClock())
    known = accumulator.set_topic("letters", options(**changes), partitions, range(partitions), 0)
    accumulator.admit(known)
    return accumulator, known


def put(accumulator: Any, value: Any = b"x", key: Any = None, partition: Any = None, **rest: Any) -> Any:
    return accumulator.offer("letters", value, key, rest.get("headers"), partition, rest.get("timestamp_ms"))


def where(delivery: Any) -> int:
    """Return the partition that a record has been put into."""
    batch, _ = delivery._place()
    number: int = batch.queue.partition
    return number


def written(accumulator: Any, batch: Any) -> list[tuple[bytes | None, bytes | None, int]]:
    """Return what a reader of the batch sees: values, keys, timestamps."""
    accumulator.finish([batch])
    return [(record.value, record.key, record.timestamp_ms) for record in read_records(batch.payload)]


def everything(accumulator: Any) -> list[bytes | None]:
    """Seal and read all that is in the accumulator."""
    accumulator.seal_all()
    found = []
    for known in accumulator.topics():
        for queue in known.queues:
            for batch in queue.sealed:
                found += [value for value, _, _ in written(accumulator, batch)]
    return found
