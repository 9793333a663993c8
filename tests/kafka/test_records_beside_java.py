"""Kafka's own record classes, from the jar of its client, judge our record batches, both ways."""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from felice.wire import _records, _records_plain
from felice.wire.records import Codec, ControlType, control_batch, split, unpack, verify

JUDGE = Path(__file__).with_name("JudgeRecords.java")
TIME = 1_700_000_000_000

TWINS = pytest.mark.parametrize("twin", [_records, _records_plain], ids=["compiled", "plain"])


def judge(libs: Path, what: str, sets: list[bytes]) -> Iterator[tuple[str, list[str]]]:
    """Run the judge; give, for each record set, what stands behind the word `set`, and the lines told of it."""
    told = subprocess.run(
        ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*", str(JUDGE), what],
        input="".join(f"{one.hex()}\n" for one in sets),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert told.returncode == 0, told.stderr
    for one in told.stdout.split("set")[1:]:
        first, *lines = one.split("\n")
        yield first.strip(), lines[:-1]


def tell(data: bytes, twin: ModuleType) -> list[str]:
    """Say what we find in a record set, in the judge's words."""
    lines = []
    for header, batch in split(data):
        verify(header, batch)
        lines.append(
            f"batch {header.base_offset} {header.last_offset} {header.next_offset} {header.leader_epoch} {header.magic}"
            f" {header.codec.name.lower()} {header.timestamp_type.value} {header.max_timestamp} {header.producer_id}"
            f" {header.producer_epoch} {header.base_sequence} {str(header.is_transactional).lower()}"
            f" {str(header.is_control).lower()} {header.count} {header.size}"
        )
        if not header.count:
            continue
        for record in twin.decode(unpack(header, batch), header):
            headers = ",".join(f"{name.encode().hex()}={hexed(value)}" for name, value in record.headers)
            lines.append(
                f"record {record.offset} {record.timestamp_ms} {hexed(record.key)} {hexed(record.value)} {headers}"
            )
    return lines


def hexed(data: bytes | None) -> str:
    """Hexadecimal digits, or a dash for null."""
    return "-" if data is None else data.hex()


@pytest.fixture(scope="module")
def written(kafka_libs: Path) -> list[tuple[bytes, list[str]]]:
    """Record sets that Kafka's classes wrote, each with what they find in it themselves."""
    return [(bytes.fromhex(digits), lines) for digits, lines in judge(kafka_libs, "write", [])]


@TWINS
def test_we_read_what_kafka_writes(written: list[tuple[bytes, list[str]]], twin: ModuleType) -> None:
    """Every codec and level, null and empty fields, headers, log-append times, producers' numbers, and markers.

    Row 10: also what compaction leaves, with gaps between offsets, or no record at all.
    """
    assert len(written) == 8 * 7 + 2
    assert {line.split()[6] for _, lines in written for line in lines[:1]} == {codec.name.lower() for codec in Codec}
    assert [lines[0].split()[14] for _, lines in written].count("0") == 8
    for data, lines in written:
        assert tell(data, twin) == lines


def test_a_cut_last_batch_is_left_out(written: list[tuple[bytes, list[str]]]) -> None:
    """The sets one behind the other are one set; wherever it is cut, the whole batches before are read."""
    whole = [data for data, _ in written if len(data) < 2000]
    joined = b"".join(whole)
    ends = [sum(map(len, whole[:n])) for n in range(len(whole) + 1)]
    for cut in range(0, len(joined) + 1, 7):
        assert len(split(joined[:cut])) == sum(end <= cut for end in ends[1:])


def batches(twin: ModuleType) -> Iterator[Any]:
    """Batches of ours in every codec and level, and with all that a header can say."""
    chance = random.Random(1912)
    few = [
        (b"dear felice", b"franz", [("city", b"Praha"), ("p\u0159\u00edloha", None), ("", b"")], TIME),
        (None, b"k", [], TIME - 500),
        (b"v", None, None, TIME + 10**7),
        (b"", b"", None, TIME),
        (None, None, None, 0),
        (bytes(70_000), None, [(f"header {n}", bytes(n)) for n in range(70)], TIME),
    ]
    many = [(b"letter %d " % n * chance.randrange(9), b"%d" % n, None, TIME + n) for n in range(4000)]
    levels: list[tuple[Codec, int | None]] = [(codec, None) for codec in Codec]
    levels += [(codec, level) for codec in Codec if codec.levels for level in (codec.levels[0], codec.levels[-1])]
    for records in (few, many):
        builder = twin.BatchBuilder()
        for record in records:
            builder.append(*record)
        for codec, level in levels:
            yield builder.seal(codec=codec, level=level, base_offset=2**40, leader_epoch=12)
            numbers = {"producer_id": 2**50, "producer_epoch": 7, "base_sequence": 2**31 - 1}
            yield builder.seal(codec=codec, level=level, transactional=True, **numbers)
            yield builder.seal(codec=codec, level=level, timestamp_type=1)
    marker = {"producer_id": 5, "producer_epoch": 1, "coordinator_epoch": 2, "timestamp_ms": TIME}
    yield control_batch(ControlType.ABORT, **marker)
    yield control_batch(ControlType.COMMIT, **marker)


@TWINS
def test_kafka_reads_what_we_write(kafka_libs: Path, twin: ModuleType) -> None:
    """Its checksum holds, and it finds the same in every batch as we do."""
    sets = [bytes(batch) for batch in batches(twin)]
    told = [lines for _, lines in judge(kafka_libs, "read", sets)]
    assert len(told) == len(sets) == 2 * 11 * 3 + 2
    for data, lines in zip(sets, told, strict=True):
        assert lines == tell(data, twin)
    # 6672616e7a is franz in hexadecimal digits, and so on.
    headers = "63697479=5072616861,70c599c3ad6c6f6861=-,="
    assert told[0][1] == f"record {2**40} {TIME} 6672616e7a 646561722066656c696365 {headers}"
