"""Questions about what compaction leaves of a log, and what readers find where it has left gaps.

A topic is written with a policy that compacts nothing, and then given another one: so all of it is compacted at once,
however slow the cleaner is. Records that lie a minute apart are in segments of their own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from asking import NOW, Asker, batch, comparable
from felice.wire.messages.delete_records import DeleteRecordsRequest
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from felice.wire.records import read_records
from questions.alterations import alter
from questions.asked import eventually, question
from questions.fetch import fetch
from questions.offsets import list_offsets
from questions.transactional_records import batches, seen
from questions.writer import Writer, codes, producers

BROKER, TOPIC = 4, 2
SET, DELETE = 0, 1
MINUTE = 60_000
HORIZON = 0x40


@contextmanager
def eager(asker: Asker) -> Iterator[None]:
    """Let the cleaner look every few milliseconds."""
    alter(asker, BROKER, "", ("log.cleaner.backoff.ms", SET, "20"))
    try:
        yield
    finally:
        alter(asker, BROKER, "", ("log.cleaner.backoff.ms", DELETE, None))


def uncleaned(asker: Asker, **configs: object) -> str:
    """Create a topic for what is to be compacted later."""
    return asker.topic(
        **{"min_cleanable_dirty_ratio": 0, "segment_ms": MINUTE // 2, "retention_ms": -1, "cleanup_policy": "delete"}
        | configs
    )


def write(asker: Asker, name: str, minute: int, *records: tuple[bytes | None, bytes | None], **options: Any) -> Any:
    """Write a batch of keys and values."""
    keys, values = [key for key, _ in records], [value for _, value in records]
    made = batch(*values, keys=keys, time=NOW + minute * MINUTE - 60 * MINUTE, **options)
    return codes(comparable(asker.produce(name, made).responses[0].partition_responses[0]))


def cleaned(asker: Asker, name: str, done: Callable[[], bool] | None = None, policy: str = "compact") -> Any:
    """Have a topic compacted, and return what is left."""
    before = batches(asker, name)
    alter(asker, TOPIC, name, ("cleanup.policy", SET, policy))
    eventually(done or (lambda: batches(asker, name) != before))
    alter(asker, TOPIC, name, ("cleanup.policy", SET, "delete"))
    return left(asker, name)


def left(asker: Asker, name: str, offset: int = 0) -> Any:
    """Return the batches of a topic: their headers without checksums, delete horizons and producers, and records."""
    found = []
    for header, data in batches(asker, name, offset=offset):
        names = ("base_offset", "leader_epoch", "attributes", "last_offset_delta", "max_timestamp", "producer_epoch")
        shown = {each: getattr(header, each) for each in (*names, "base_sequence", "count")}
        shown["base_timestamp"] = None if header.attributes & HORIZON else header.base_timestamp
        shown["length"] = header.batch_length if not header.attributes & 7 and not header.attributes & HORIZON else None
        marker = header.is_control
        shown["records"] = [
            (each.offset, None if marker else each.timestamp_ms, each.key, each.value, each.headers)
            for each in read_records(data)
        ]
        if marker:
            shown |= {"base_timestamp": None, "max_timestamp": None}
        found.append(shown)
    return found


@question
def compaction_keeps_the_last_record_of_every_key(asker: Asker) -> Any:
    """Batches are rewritten, or go; offsets stay; readers pass over gaps."""
    with eager(asker):
        name = uncleaned(asker)
        write(asker, name, 0, (b"a", b"1"), (b"b", b"2"), (b"c", b"3"))
        write(asker, name, 1, (b"a", b"4"), (b"a", b"5"))
        write(asker, name, 2, (b"b", b"6"), time_deltas=[7])
        write(asker, name, 3, (b"d", b"7"), (b"c", None), (b"e", b"9"), time_deltas=[5, 2, 9])
        write(asker, name, 4, (b"f", b"f"))
        write(asker, name, 5, (b"f", b"g"))
        found = cleaned(asker, name)
        start = NOW - 60 * MINUTE
        times = [0, *(start + minute * MINUTE + delta for minute in range(6) for delta in (0, 1, 5, 8)), -1, -2, -3]
        reads = [comparable(fetch(asker, name, (0, offset))) for offset in range(-1, 12)]
        for read in reads:
            for partition in read["responses"][0]["partitions"]:
                partition["records"] = bool(partition["records"])
        return [
            found,
            [left(asker, name, offset) for offset in range(11)],
            reads,
            list_offsets(asker, name, *times, version=7),
            epochs(asker, name),
        ]


def epochs(asker: Asker, name: str) -> Any:
    """Where leader epochs ended."""
    asked = [OffsetForLeaderEpochRequest.OffsetForLeaderPartition(partition=0, leader_epoch=epoch) for epoch in (0, 1)]
    return [
        comparable(
            asker.ask(
                OffsetForLeaderEpochRequest(
                    topics=[OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=name, partitions=[each])]
                ),
                4,
            )
        )
        for each in asked
    ]


@question
def compaction_of_what_has_no_keys(asker: Asker) -> Any:
    """Records without keys go, however they came there; a compacted topic takes none."""
    with eager(asker):
        name = uncleaned(asker)
        write(asker, name, 0, (None, b"1"), (b"b", b"2"), (None, b"3"))
        write(asker, name, 1, (None, b"4"))
        write(asker, name, 2, (None, b"5"))
        found = cleaned(asker, name)
        alter(asker, TOPIC, name, ("cleanup.policy", SET, "compact"))
        refused = []
        eventually(lambda: refused.append(write(asker, name, 3, (b"x", b"1"), (None, b"6"))) or refused[-1][0] != 0)
        return [found, refused[-1]]


@question
def compaction_of_packed_batches(asker: Asker) -> Any:
    """Codecs stay as they are."""
    with eager(asker):
        name = uncleaned(asker)
        write(asker, name, 0, *((b"%d" % (number % 3), b"x" * 50) for number in range(9)), attributes=1)
        write(asker, name, 1, (b"1", b"y"), attributes=1)
        write(asker, name, 2, (b"1", b"y"))
        return cleaned(asker, name)


@question
def compaction_of_batches_that_the_broker_stamped(asker: Asker) -> Any:
    """They keep the broker's time for all their records."""
    with eager(asker):
        name = uncleaned(asker, message_timestamp_type="LogAppendTime", segment_bytes=1 << 20)
        write(asker, name, 0, (b"a", b"1"), (b"b", None), (b"a", b"3"))
        write(asker, name, 1, (b"c", b"x" * (1 << 19)))
        write(asker, name, 1, (b"c", b"x" * (1 << 19)))
        found = cleaned(asker, name)
        for each in found:
            stamps = {time for _, time, *_ in each["records"]} | {each.pop("max_timestamp")}
            each["stamps"] = len(stamps), each.pop("base_timestamp") in stamps
            each["records"] = [(offset, key) for offset, _, key, *_ in each["records"]]
        return found


@question
def compaction_of_tombstones(asker: Asker) -> Any:
    """They stay until another compaction after the delete horizon that the first one set (KIP-534)."""
    with eager(asker):
        name = uncleaned(asker, delete_retention_ms=1)
        write(asker, name, 0, (b"a", b"1"), (b"b", b"2"), (b"c", b"3"))
        write(asker, name, 1, (b"a", None), (b"d", b"4"))
        write(asker, name, 2, (b"b", None))
        write(asker, name, 3, (b"x", b"x"))
        first = cleaned(asker, name)
        write(asker, name, 4, (b"x", b"y"))
        second = cleaned(asker, name)
        write(asker, name, 5, (b"x", b"z"))
        third = cleaned(asker, name)
        return [first, second, third]


@question
def compaction_of_producers(asker: Asker) -> Any:
    """A batch stays, empty, that has the last sequence of a producer; and its repetition is known again."""
    with eager(asker):
        name = uncleaned(asker)
        one, other = asker.producer_id(), asker.producer_id()
        write(asker, name, 0, (b"a", b"1"), (b"b", b"2"), producer=(one, 0, 0))
        write(asker, name, 0, (b"a", b"1"), (b"b", b"2"), producer=(other, 0, 0))
        write(asker, name, 1, (b"a", b"3"), (b"b", b"4"), producer=(one, 0, 2))
        write(asker, name, 2, (b"a", b"5"), (b"b", b"6"))
        write(asker, name, 3, (b"a", b"7"))
        found = cleaned(asker, name)
        again = [
            write(asker, name, 1, (b"a", b"3"), (b"b", b"4"), producer=(one, 0, 2)),
            write(asker, name, 4, (b"a", b"9"), producer=(other, 0, 2)),
            write(asker, name, 4, (b"a", b"9"), producer=(one, 0, 3)),
        ]
        return [found, again, producers(asker, name)]


@question
def compaction_of_transactions(asker: Asker) -> Any:
    """Aborted records go, then their marker gets a delete horizon, then it goes; readers are told of what is left."""
    with eager(asker):
        name = uncleaned(asker, delete_retention_ms=1)
        bad, good = Writer(asker), Writer(asker)
        for writer, commit in ((bad, False), (good, True)):
            for sequence in range(2):
                written = batch(
                    b"v", b"w",
                    keys=[b"k%d" % sequence, b"both"],
                    time=NOW - 60 * MINUTE,
                    producer=(writer.producer_id, writer.epoch, 2 * sequence),
                    attributes=0x10,
                )  # fmt: skip
                asker.produce(name, written, version=12, transactional_id=writer.id)
            writer.done(commit)
        rounds = []
        for minute in range(4):
            write(asker, name, 70 + 2 * minute, (b"x", b"x%d" % minute))
            write(asker, name, 71 + 2 * minute, (b"x", b"y%d" % minute))
            rounds.append([cleaned(asker, name), seen(asker, name, [bad, good])])
        return rounds


@question
def compaction_stops_before_what_is_undecided(asker: Asker) -> Any:
    """Nothing of an open transaction's segment, or behind it, is touched."""
    with eager(asker):
        name = uncleaned(asker)
        writer = Writer(asker)
        write(asker, name, 0, (b"a", b"1"))
        write(asker, name, 1, (b"a", b"2"))
        write(asker, name, 2, (b"a", b"3"))
        open_ = batch(
            b"4", keys=[b"a"], time=NOW - 58 * MINUTE, attributes=0x10, producer=(writer.producer_id, writer.epoch, 0)
        )
        asker.produce(name, open_, version=12, transactional_id=writer.id)
        write(asker, name, 3, (b"a", b"5"))
        write(asker, name, 4, (b"a", b"6"))
        first = cleaned(asker, name)
        writer.done(False)
        return [first, cleaned(asker, name)]


@question
def compaction_and_deletion(asker: Asker) -> Any:
    """With both policies segments go as wholes too, by time and by size; below the start there is nothing to read."""
    with eager(asker):
        name = uncleaned(asker, segment_bytes=1 << 20)
        for minute in range(4):
            write(asker, name, minute, (b"a", b"%d" % minute), (b"%d" % minute, b"x"))
        write(asker, name, 59, (b"a", b"7"))

        def started(offset: int) -> Callable[[], bool]:
            return lambda: list_offsets(asker, name, -2)[0]["topics"][0]["partitions"][0]["offset"] >= offset

        alter(asker, TOPIC, name, ("retention.ms", SET, str(30 * MINUTE)))
        cleaned(asker, name, started(8), "compact,delete")
        reads = [fetch(asker, name, (0, offset)).responses[0].partitions[0] for offset in (0, 7, 8, 9, 10)]
        kept = left(asker, name, 8)
        alter(asker, TOPIC, name, ("retention.ms", SET, "-1"), ("retention.bytes", SET, "0"))
        cleaned(asker, name, started(9), "compact,delete")
        ends = list_offsets(asker, name, -1, -2)
        appended = write(asker, name, 60, (b"a", b"8"))
        return [
            [(each.error_code, each.log_start_offset) for each in reads],
            kept, ends, epochs(asker, name), appended, left(asker, name, 9),
        ]  # fmt: skip


@question
def compaction_behind_deleted_records(asker: Asker) -> Any:
    """Records below the start that DeleteRecords has set do not come back."""
    with eager(asker):
        name = uncleaned(asker)
        for minute in range(4):
            write(asker, name, minute, (b"a", b"%d" % minute), (b"b", b"x"), (b"c%d" % minute, b"y"))
        write(asker, name, 5, (b"z", b"z"))
        asked = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=5)
        topics = [DeleteRecordsRequest.DeleteRecordsTopic(name=name, partitions=[asked])]
        answer = comparable(asker.ask(DeleteRecordsRequest(topics=topics, timeout_ms=5000), 2))
        before = left(asker, name, 5)
        alter(asker, TOPIC, name, ("cleanup.policy", SET, "compact"))
        eventually(lambda: left(asker, name, 5) != before)
        return [answer, left(asker, name, 5), list_offsets(asker, name, -1, -2, 0, version=7)]


@question
def compaction_leaves_timestamps_without_records(asker: Asker) -> Any:
    """An empty batch keeps its timestamp, and who asks for that, or one before it, finds nothing in later segments."""
    with eager(asker):
        name = uncleaned(asker)
        write(asker, name, 1, (b"z", b"0"))
        write(asker, name, 20, (b"a", b"1"), producer=(asker.producer_id(), 0, 0))
        write(asker, name, 3, (b"a", b"2"))
        write(asker, name, 25, (b"b", b"3"))
        write(asker, name, 26, (b"c", b"4"))
        times = [NOW + (minute - 60) * MINUTE for minute in (0, 1, 2, 3, 4, 20, 21, 25, 26, 27, 30)]
        return [cleaned(asker, name), list_offsets(asker, name, *times, -3, version=7)]
