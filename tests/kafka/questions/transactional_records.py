"""Questions about what transactions leave in logs, and what readers see of them."""

import re
import struct
from typing import Any

from asking import Asker, batch, comparable
from felice.wire.messages.delete_records import DeleteRecordsRequest
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.list_offsets import ListOffsetsRequest
from felice.wire.messages.transaction_log import TransactionLogKey, TransactionLogValue
from felice.wire.records import BatchHeader, read_control, read_records, split
from questions.asked import question
from questions.fetch import fetch
from questions.writer import Writer, producers

LATER = 0x1A000000000
"""No time in a record is later than this, and hardly one of the clock is before."""


def batches(asker: Asker, topic: str, partition: int = 0, offset: int = 0) -> list[tuple[BatchHeader, bytes]]:
    """Return all batches of a partition, whatever of them is decided."""
    found: list[tuple[BatchHeader, bytes]] = []
    while True:
        answer = fetch(asker, topic, (partition, offset)).responses[0].partitions[0]
        more = [(header, bytes(view)) for header, view in split(answer.records or b"")]
        if not more:
            return found
        found += more
        offset = more[-1][0].next_offset


def bare(data: bytes) -> str:
    """Return a batch's bytes without checksum, times of the clock and producer ID."""
    cleaned = bytearray(data)
    for start, size in ((17, 4), (27, 16), (43, 8)):
        cleaned[start : start + size] = bytes(size)
    return cleaned.hex()


def seen(asker: Asker, topic: str, writers: list[Writer], *, start: int = 0, version: int = 12, **options: Any) -> Any:
    """Return what a reader of committed records gets: where the log is stable, what is aborted, which batches."""
    answer = fetch(asker, topic, (0, start), version=version, isolation_level=1, **options).responses[0].partitions[0]
    ids = [writer.producer_id for writer in writers]
    aborted = [(ids.index(found.producer_id), found.first_offset) for found in answer.aborted_transactions or ()]
    return [
        answer.error_code,
        answer.high_watermark,
        answer.last_stable_offset,
        aborted if answer.aborted_transactions is not None else None,
        [header.base_offset for header, _ in split(answer.records or b"")],
    ]


def listed(asker: Asker, topic: str, timestamp: int, isolation: int, version: int = 7) -> Any:
    """Return an offset by time, or an end."""
    asked = ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=timestamp)
    request = ListOffsetsRequest(
        replica_id=-1,
        isolation_level=isolation,
        topics=[ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=[asked])],
    )
    found = comparable(asker.ask(request, version))["topics"][0]["partitions"][0]
    found["timestamp"] = min(found["timestamp"], LATER)
    return found


@question
def markers_byte_by_byte(asker: Asker) -> Any:
    """The batches that end transactions, checksums, times and producer IDs aside."""
    name, writer = asker.topic(), Writer(asker)
    for commit in (True, False):
        writer.add((name, 0))
        writer.write(name, 0 if commit else 1, version=11)
        writer.done(commit, 4)
        writer.write(name, 1 + commit, b"a", b"b")
        writer.done(commit)
    writer.write(name, 0)
    writer.init()
    writer.settled()
    writer.mark(name, True, epoch=writer.epoch + 5, coordinator_epoch=7)
    control = [(header, data) for header, data in batches(asker, name) if header.is_control]
    kinds = [read_control(record) for _, data in control for record in read_records(data)]
    return [[bare(data) for _, data in control], kinds]


@question
def records_of_transactions_byte_by_byte(asker: Asker) -> Any:
    """What the coordinator writes down, byte by byte, times and producer IDs aside."""
    name, writer = asker.topic(), Writer(asker)
    writer.init(timeout=20_000)
    writer.add((name, 0))
    writer.done(True, 4)
    for commit in (True, False):
        writer.write(name, 0)
        writer.done(commit)
    writer.end(False)
    writer.settled()
    writer.write(name, 0)
    writer.init()
    writer.settled().init()
    writer.init(had=(writer.producer_id, writer.epoch))
    writer.add_offsets("group")
    writer.done(False, 4)
    found = []
    for header, data in batches(asker, "__transaction_state"):
        for record in read_records(data):
            if record.key is None or TransactionLogKey.unpack(record.key).transactional_id != writer.id:
                continue
            value = TransactionLogValue.unpack(record.value or b"")
            for field in ("transaction_last_update_timestamp_ms", "transaction_start_timestamp_ms"):
                setattr(value, field, min(getattr(value, field), 0))
            for field in ("producer_id", "previous_producer_id", "next_producer_id"):
                setattr(value, field, min(getattr(value, field), 0))
            version = struct.unpack_from(">h", record.value or b"")[0]
            again = value.pack(version).hex()
            found.append(
                [version, again, header.attributes, header.producer_id, header.count, len(record.value or b"")]
            )
    return found


@question
def transactions_seen_by_readers(asker: Asker) -> Any:
    """What a reader of committed records sees while transactions are open, and when they are decided."""
    name, answers = asker.topic(), []
    writers = [Writer(asker) for _ in range(4)]

    def look() -> None:
        answers.append([seen(asker, name, writers), listed(asker, name, -1, 1), listed(asker, name, -1, 0)])

    asker.produce(name, batch(b"before"))
    look()
    for writer in writers[:3]:
        writer.write(name, 0)
        look()
    asker.produce(name, batch(b"between", b"more"))
    writers[0].write(name, 1)
    look()
    for number, commit in ((1, True), (0, False), (2, False)):
        writers[number].done(commit)
        look()
    writers[3].write(name, 0)
    writers[0].write(name, 0)
    look()
    writers[3].done(False)
    look()
    writers[0].done(True)
    look()
    answers += [seen(asker, name, writers, start=start) for start in range(14)]
    answers += [seen(asker, name, writers, version=version) for version in range(4, 19)]
    return [*answers, producers(asker, name)]


@question
def transactions_seen_after_deletion(asker: Asker) -> Any:
    """A transaction that is open stays so when its first records are deleted."""
    name, writers = asker.topic(), [Writer(asker), Writer(asker)]
    for sequence in range(3):
        writers[0].write(name, sequence)
    writers[1].write(name, 0)
    answers = [seen(asker, name, writers)]
    partition = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=2)
    topic = DeleteRecordsRequest.DeleteRecordsTopic(name=name, partitions=[partition])
    asker.ask(DeleteRecordsRequest(topics=[topic], timeout_ms=5000), 2)
    answers += [seen(asker, name, writers, start=2), listed(asker, name, -1, 1), producers(asker, name)]
    writers[0].done(False)
    answers += [seen(asker, name, writers, start=2), listed(asker, name, -1, 1), seen(asker, name, writers, start=0)]
    writers[1].done(True)
    return [*answers, seen(asker, name, writers, start=2), listed(asker, name, -1, 1)]


@question
def offsets_by_time_of_committed_records(asker: Asker) -> Any:
    """ListOffsets finds nothing behind the last stable offset for readers of committed records."""
    name, writer = asker.topic(), Writer(asker)
    asker.produce(name, batch(b"a", time=1_000_000))
    records = batch(b"v", time=2_000_000, producer=(writer.producer_id, writer.epoch, 0), attributes=0x10)
    asker.produce(name, records, version=12, transactional_id=writer.id)
    asker.produce(name, batch(b"c", time=3_000_000))

    def look() -> Any:
        return [
            listed(asker, name, timestamp, isolation, version)
            for timestamp in (-1, -2, -3, 0, 1_000_000, 1_500_000, 2_500_000, 4_000_000)
            for isolation in (0, 1)
            for version in (7, 10)
        ]

    return [look(), writer.done(), look()]


@question
def readers_that_wait_for_an_end(asker: Asker) -> Any:
    """A reader of committed records that waits for much is answered when a marker makes enough of it readable."""
    name, writer, other = asker.topic(), Writer(asker), asker.beside()
    value = b"x" * 5000
    writer.write(name, 0, value, value)
    wanted = FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    request = FetchRequest(
        max_wait_ms=15_000,
        min_bytes=9000,
        max_bytes=1 << 20,
        isolation_level=1,
        topics=[FetchRequest.FetchTopic(topic=name, partitions=[wanted])],
    )
    other.begin(request, 12)
    writer.done()
    answer = other.finish(FetchRequest, 12).responses[0].partitions[0]
    other.hang_up()
    return [header.base_offset for header, _ in split(answer.records)]


@question
def offsets_of_groups_byte_by_byte(asker: Asker) -> Any:
    """What a group's offsets are in the log inside a transaction, checksums, times, names and producer IDs aside."""
    name, writer = asker.topic(), Writer(asker)
    group = f"group-{writer.id}"
    writer.commit_offsets(group, (name, 0, 5), version=5)
    writer.done()
    writer.commit_offsets(group, (name, 0, 6), version=5)
    writer.done(False)
    found = []
    for header, data in batches(asker, "__consumer_offsets"):
        if header.producer_id != writer.producer_id:
            continue
        records = read_records(data)
        keys = [re.sub(rb"tx-\w+|q-\w+", b"", record.key or b"") for record in records]
        values = [(record.value or b"")[:15] for record in records] if not header.is_control else []
        found.append([header.attributes, header.producer_epoch, header.base_sequence, header.count, keys, values])
    return found
