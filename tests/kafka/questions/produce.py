"""Questions about Produce: batches that are right or wrong in some way."""

import gzip
from typing import Any

from asking import NOW, Asker, batch, comparable, record
from questions.asked import question


def produced(asker: Asker, *batches: bytes | None, version: int = 9, **configs: object) -> Any:
    """Write record sets to a new topic, one after the other."""
    name = asker.topic(**configs)
    return [comparable(asker.produce(name, one, version=version)) for one in batches]


@question
def produce_in_all_versions(asker: Asker) -> Any:
    """A record is taken in every version, and offsets count up."""
    name = asker.topic()
    return [comparable(asker.produce(name, batch(b"a", b"b"), version=version)) for version in range(3, 14)]


@question
def produce_with_wrong_acks(asker: Asker) -> Any:
    """There are -1, 0 and 1 acks."""
    name = asker.topic()
    return [comparable(asker.produce(name, batch(b"a"), acks=acks)) for acks in (1, -1, 2, -2, 100)]


@question
def produce_without_acks(asker: Asker) -> Any:
    """Without acks there is no answer; a failure closes the connection."""
    name = asker.topic()
    return [
        asker.produce(name, batch(b"a"), acks=0),
        asker.produce("nobody-has-this", batch(b"a"), acks=0),
        asker.produce(name, batch(b"a", crc=1), acks=0),
        comparable(asker.produce(name, batch(b"a"))),
    ]


@question
def produce_to_strange_partitions(asker: Asker) -> Any:
    """Topics, partitions and IDs that there are not."""
    name = asker.topic(2)
    return [
        comparable(asker.produce(name, batch(b"a"), partition=2)),
        comparable(asker.produce(name, batch(b"a"), partition=-1)),
        comparable(asker.produce("nobody-has-this", batch(b"a"))),
        comparable(asker.produce("wrong name", batch(b"a"))),
        comparable(asker.produce("", batch(b"a"), version=13, topic_id=b"\1" * 16)),
        comparable(asker.produce("", batch(b"a"), version=13, topic_id=bytes(16))),
        comparable(asker.produce(name, batch(b"a"), partition=2, version=13)),
    ]


@question
def produce_with_a_wrong_checksum(asker: Asker) -> Any:
    """A damaged batch is not taken."""
    return produced(asker, batch(b"a", crc=12345))


@question
def produce_with_a_wrong_format(asker: Asker) -> Any:
    """Only format 2 can be written."""
    return produced(asker, batch(b"a", magic=1), batch(b"a", magic=0), batch(b"a", magic=3))


@question
def produce_nothing(asker: Asker) -> Any:
    """A record set must have a batch in it."""
    return produced(asker, b"")


@question
def produce_two_batches(asker: Asker) -> Any:
    """A record set must have one batch only."""
    return produced(asker, batch(b"a") + batch(b"b"))


@question
def produce_with_a_base_offset(asker: Asker) -> Any:
    """Offsets in what a client sends begin at 0."""
    return produced(asker, batch(b"a", base_offset=5))


@question
def produce_with_wrong_counts(asker: Asker) -> Any:
    """The count, the last offset and the records must agree."""
    return produced(
        asker,
        batch(b"a", count=2),
        batch(b"a", last_delta=1),
        batch(b"a", b"b", count=1, last_delta=0),
        batch(b"a", count=3, last_delta=2),
        batch(b"a", count=0, last_delta=-1),
        batch(b"a", count=-1, last_delta=-2),
    )


def refused(answers: list[Any]) -> list[bool]:
    """Tell of each answer whether it refuses the records, with whatever code."""
    return [answer["responses"][0]["partition_responses"][0]["error_code"] in (-1, 2, 87) for answer in answers]


@question
def produce_with_wrong_offset_deltas(asker: Asker) -> Any:
    """Records in a batch count up by one.

    Kafka looks at this where a batch is compressed, and otherwise keeps what it got; the embedded broker always looks.
    """
    records = record(b"a", delta=0) + record(b"b", delta=2)
    packed = gzip.compress(records, mtime=0)
    return refused(
        produced(
            asker,
            batch(b"a", b"b", records=records, last_delta=2),
            batch(b"a", b"b", records=packed, attributes=1),
            batch(b"a", b"b", records=packed, attributes=1, last_delta=2),
        )
    )


@question
def produce_garbage_with_a_right_checksum(asker: Asker) -> Any:
    """What should be records, and is not.

    Kafka has UNKNOWN_SERVER_ERROR for some of it, as an exception comes in its way; the embedded broker always has
    INVALID_RECORD.
    """
    return refused(
        produced(
            asker,
            batch(b"a", records=b"\xff" * 20),
            batch(b"a", records=b"\x01"),
            batch(b"a", records=record(b"a") + b"left over"),
            batch(b"a", records=record(b"a")[:-1]),
            batch(b"a", records=b"this is not gzip", attributes=1),
            batch(b"a", attributes=5),
            batch(b"a", attributes=7),
        )
    )


@question
def produce_control_records(asker: Asker) -> Any:
    """Clients write no control records."""
    return produced(asker, batch(b"a", attributes=0x20))


@question
def produce_zstd_too_early(asker: Asker) -> Any:
    """zstd needs version 7."""
    return produced(asker, batch(b"a", attributes=4), version=6)


@question
def produce_a_large_batch(asker: Asker) -> Any:
    """`max.message.bytes` is the limit of a batch."""
    fits = batch(b"x" * 900)
    return produced(asker, fits, batch(b"x" * 1000), batch(b"x" * 100_000), max_message_bytes=len(fits))


@question
def produce_a_huge_batch(asker: Asker) -> Any:
    """The limit without any configuration is a megabyte and a bit."""
    room = 1048588 - len(batch(b"")) - 4
    return produced(asker, batch(b"x" * room), batch(b"x" * (room + 100)))


@question
def produce_without_a_key_to_a_compacted_topic(asker: Asker) -> Any:
    """Compaction needs keys; the records without one are named."""
    return produced(
        asker,
        batch(b"a", keys=[b"k"]),
        batch(b"a", b"b", b"c", keys=[b"k", None, b"l"]),
        batch(*[b"a"] * 5),
        cleanup_policy="compact",
    )


@question
def produce_with_strange_timestamps(asker: Asker) -> Any:
    """Timestamps far off are refused, none at all is right."""
    hour = 3_600_000
    return produced(
        asker,
        batch(b"a", time=NOW + 2 * hour),
        batch(b"a", b"b", time_deltas=[0, 2 * hour]),
        batch(b"a", time=NOW - 2 * hour),
        batch(b"a", time=-1),
        batch(b"a", time=0),
        batch(b"a", attributes=8),
        message_timestamp_before_max_ms=hour,
        message_timestamp_after_max_ms=hour,
    )


@question
def produce_far_in_the_future_by_default(asker: Asker) -> Any:
    """An hour ahead is the limit without any configuration; back there is none."""
    return produced(asker, batch(b"a", time=NOW + 7_200_000), batch(b"a", time=1))


@question
def produce_to_a_topic_stamped_on_append(asker: Asker) -> Any:
    """The broker's own time is told, and the producer's does not matter."""
    return produced(asker, batch(b"a"), batch(b"a", time=NOW * 2), message_timestamp_type="LogAppendTime")


@question
def produce_too_large_for_a_segment(asker: Asker) -> Any:
    """A record set must fit into a segment."""
    return produced(asker, batch(b"x" * 1_100_000), segment_bytes=1048576, max_message_bytes=2_000_000)


@question
def produce_without_enough_replicas(asker: Asker) -> Any:
    """acks=all needs `min.insync.replicas`."""
    name = asker.topic(min_insync_replicas=2)
    return [comparable(asker.produce(name, batch(b"a"), acks=acks)) for acks in (-1, 1)]
