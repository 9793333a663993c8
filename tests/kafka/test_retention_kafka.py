"""What real Kafka and the embedded broker delete of the same logs, by time and by size.

Kafka looks every few milliseconds here, the embedded broker when its clock is advanced.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cluster import KafkaCluster
from questions import ALIKE
from questions.alterations import alter
from questions.asked import eventually
from questions.fetch import fetch
from questions.offsets import list_offsets

from asking import Asker, batch, comparable, new_run
from felice.broker import Broker
from felice.wire.messages.delete_records import DeleteRecordsRequest
from felice.wire.records import split

TOPIC, SET = 2, 0
MINUTE = 60_000
EARLIEST = -2
UNSTAMPED = 1 << 10
"""Stands for a batch without timestamps."""

LARGE = len(batch(b"x" * 1000, b"x" * 1000))
"""The size of a batch with two large records."""


class Case(NamedTuple):
    """A log, and what is set when it is written."""

    minutes: Sequence[int]
    """Its batches, of two records: how old each is."""
    bytes_each: int
    configs: dict[str, str]
    start: int
    """Where the log is to start then."""
    deleted: int = 0
    """Up to where DeleteRecords has deleted it before."""


CASES = {
    "by time": Case([60, 50, 40, 30], 10, {"retention.ms": str(45 * MINUTE)}, 4),
    "all by time": Case([60, 50], 10, {"retention.ms": str(45 * MINUTE)}, 4),
    "only from the front": Case([30, 60, 50, 20], 10, {"retention.ms": str(45 * MINUTE)}, 0),
    "nothing too old": Case([30, 20], 10, {"retention.ms": str(45 * MINUTE)}, 0),
    "at once": Case([1, 0], 10, {"retention.ms": "0"}, 4),
    "kept for ever": Case([60, 50], 10, {"retention.ms": "-1", "retention.bytes": "-1"}, 0),
    "without timestamps": Case([UNSTAMPED, UNSTAMPED], 10, {"retention.ms": str(45 * MINUTE)}, 0),
    "some without timestamps": Case([60, UNSTAMPED, 50], 10, {"retention.ms": str(45 * MINUTE)}, 6),
    "by size": Case([60, 50, 40, 30], 1000, {"retention.bytes": "4000"}, 4),
    "by size exactly": Case([60, 50, 40, 30], 1000, {"retention.bytes": str(2 * LARGE)}, 4),
    "by size, the active segment too": Case([60, 50], 1000, {"retention.bytes": "0"}, 4),
    "by size, less than there is": Case([60, 50], 1000, {"retention.bytes": "100000"}, 0),
    "by size and by time": Case(
        [60, 50, 40, 30], 1000, {"retention.bytes": "7000", "retention.ms": str(45 * MINUTE)}, 4
    ),
    "behind deleted records": Case([60, 50, 40, 30], 10, {"retention.ms": str(45 * MINUTE)}, 5, deleted=5),
}


@pytest.fixture(scope="module")
def eager(kafka_libs: Path) -> Iterator[KafkaCluster]:
    """A node of real Kafka that looks for old segments all the time."""
    often = {"log.retention.check.interval.ms": 50, "log.initial.task.delay.ms": 50}
    with KafkaCluster(1, often) as cluster:
        yield cluster


@pytest.fixture
def ours() -> Iterator[Broker]:
    """The embedded broker, set up as the real one is, that looks whenever it is told that a second has passed."""
    with Broker(auto_create=False, configs=ALIKE | {"log.retention.check.interval.ms": 1000}) as broker:
        yield broker


def play(asker: Asker, case: Case, now: int, wait: Callable[[], object]) -> Any:
    """Write a log as old as it is to be `now`, have it shortened, and return what there is then."""
    name = asker.topic(retention_ms=-1, segment_ms=MINUTE)
    for age in case.minutes:
        value = b"x" * case.bytes_each
        asker.produce(name, batch(value, value, time=-1 if age == UNSTAMPED else now - age * MINUTE))
    if case.deleted:
        asked = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=case.deleted)
        topics = [DeleteRecordsRequest.DeleteRecordsTopic(name=name, partitions=[asked])]
        asker.ask(DeleteRecordsRequest(topics=topics, timeout_ms=5000), 2)
    alter(asker, TOPIC, name, *((key, SET, text) for key, text in case.configs.items()))
    wait()
    eventually(lambda: offset(asker, name, EARLIEST) >= case.start)
    if case.deleted:  # Then it starts there at once; that segments before it are gone shows in what is found by time.
        eventually(lambda: offset(asker, name, 0) >= case.start)
    wait()
    answers = [fetch(asker, name, (0, place)).responses[0].partitions[0] for place in range(10)]
    return [
        list_offsets(asker, name, -2, -1, -3, 0, version=7),
        [
            (each.error_code, each.log_start_offset, [header.base_offset for header, _ in split(each.records or b"")])
            for each in answers
        ],
        comparable(asker.produce(name, batch(b"more")).responses[0].partition_responses),
    ]


def offset(asker: Asker, name: str, timestamp: int) -> int:
    """Return the offset of the first record of that time, or -1."""
    found: int = list_offsets(asker, name, timestamp, version=7)[0]["topics"][0]["partitions"][0]["offset"]
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_same_is_deleted(name: str, eager: KafkaCluster, ours: Broker) -> None:
    """The same segments go, and what readers are told is the same."""
    run, now = new_run(), time.time_ns() // 1_000_000
    with Asker(eager.bootstrap_servers, run) as theirs:
        expected = play(theirs, CASES[name], now, lambda: None)
    with Asker(ours.bootstrap_servers, run) as asker:
        answer = play(asker, CASES[name], now, lambda: ours.clock.advance(1))
    assert answer == expected
    assert answer[0][0]["topics"][0]["partitions"][0]["offset"] == CASES[name].start
