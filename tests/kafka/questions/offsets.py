"""Questions about ListOffsets, OffsetForLeaderEpoch and DeleteRecords."""

from typing import Any

from asking import NOW, Asker, batch, comparable
from felice.wire.messages.delete_records import DeleteRecordsRequest
from felice.wire.messages.list_offsets import ListOffsetsRequest
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from questions.asked import question
from questions.fetch import fetch, filled


def list_offsets(
    asker: Asker, name: str, *times: int, version: int = 5, epoch: int = -1, partition: int = 0, isolation: int = 0
) -> Any:
    """Look up offsets by time or by what stands for one, each with a request of its own."""
    return [
        comparable(
            asker.ask(
                ListOffsetsRequest(
                    replica_id=-1,
                    isolation_level=isolation if version >= 2 else 0,
                    topics=[
                        ListOffsetsRequest.ListOffsetsTopic(
                            name=name,
                            partitions=[
                                ListOffsetsRequest.ListOffsetsPartition(
                                    partition_index=partition, timestamp=time, current_leader_epoch=epoch
                                )
                            ],
                        )
                    ],
                ),
                version,
            )
        )
        for time in times
    ]


@question
def list_offsets_in_all_versions(asker: Asker) -> Any:
    """The ends of a log, and what is no time, in every version."""
    name = filled(asker)
    return [list_offsets(asker, name, -1, -2, -3, -4, -5, -6, -7, -100, version=version) for version in range(1, 12)]


@question
def list_offsets_of_an_empty_log(asker: Asker) -> Any:
    """Nothing was ever written."""
    return list_offsets(asker, asker.topic(), -1, -2, -3, -4, -5, -6, 0, NOW, version=11)


@question
def list_offsets_by_time(asker: Asker) -> Any:
    """The first record that is not older."""
    name = asker.topic()
    for start, deltas in ((1000, [0, 10, 5]), (900, [0, 0]), (2000, [0]), (1500, [5, 0, 5])):
        asker.produce(name, batch(*[b"v"] * len(deltas), time=start, time_deltas=deltas))
    times = (0, 899, 900, 901, 1000, 1001, 1006, 1010, 1011, 1501, 1505, 2000, 2001, -3)
    return [list_offsets(asker, name, *times, version=7), list_offsets(asker, name, *times, version=7, isolation=1)]


@question
def list_offsets_by_time_in_compressed_batches(asker: Asker) -> Any:
    """The same inside gzip."""
    name = asker.topic()
    for start in (1000, 2000):
        asker.produce(name, batch(b"a", b"b", b"c", time=start, time_deltas=[0, 10, 5], attributes=1))
    return list_offsets(asker, name, 999, 1001, 1006, 1011, 2005, 2010, 2011, -3, version=7)


@question
def list_offsets_of_strange_partitions(asker: Asker) -> Any:
    """Topics and partitions that there are not, and epochs that are not."""
    name = asker.topic(2)
    return [
        list_offsets(asker, name, -1, partition=2),
        list_offsets(asker, "nobody-has-this", -1),
        list_offsets(asker, "wrong name", -1),
        list_offsets(asker, name, -1, epoch=0),
        list_offsets(asker, name, -1, epoch=5),
    ]


@question
def list_offsets_of_a_partition_named_twice(asker: Asker) -> Any:
    """A partition twice in a request is an error."""
    name = asker.topic()
    twice = [ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=-1)] * 2
    topics = [ListOffsetsRequest.ListOffsetsTopic(name=name, partitions=twice)]
    return comparable(asker.ask(ListOffsetsRequest(replica_id=-1, topics=topics), 5))


@question
def epochs_and_their_ends(asker: Asker) -> Any:
    """Where leader epochs ended, in every version."""
    name = filled(asker)

    def look(topic: str, partition: int, epoch: int, current: int, version: int) -> Any:
        asked = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
            partition=partition, leader_epoch=epoch, current_leader_epoch=current
        )
        topics = [OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=topic, partitions=[asked])]
        return comparable(asker.ask(OffsetForLeaderEpochRequest(topics=topics), version))

    return [
        look(topic, partition, epoch, current, version)
        for version in (2, 3, 4)
        for topic, partition, epoch, current in [
            (name, 0, 0, -1), (name, 0, 0, 0), (name, 0, 1, 0), (name, 0, -1, 0), (name, 0, 0, 3),
            (name, 1, 0, -1), ("nobody-has-this", 0, 0, -1),
        ]
    ]  # fmt: skip


@question
def delete_records(asker: Asker) -> Any:
    """The start of a log moves, and everything else follows it."""
    name = filled(asker)

    def delete(topic: str, offset: int, partition: int = 0, version: int = 2) -> Any:
        asked = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=partition, offset=offset)
        topics = [DeleteRecordsRequest.DeleteRecordsTopic(name=topic, partitions=[asked])]
        return comparable(asker.ask(DeleteRecordsRequest(topics=topics, timeout_ms=1000), version))

    return [
        delete(name, 1),
        list_offsets(asker, name, -2, -4, 0, version=8),  # for -3 Kafka names records that were deleted
        comparable(fetch(asker, name, (0, 0))),
        comparable(fetch(asker, name, (0, 1))),
        delete(name, 0),
        delete(name, 4, version=0),
        list_offsets(asker, name, -2, 0, NOW, version=8),
        delete(name, 7),
        delete(name, -2),
        delete(name, 0, partition=1),
        delete("nobody-has-this", 0),
        delete(name, -1),
        list_offsets(asker, name, -2, -1, 0, version=8),
        comparable(fetch(asker, name, (0, 6))),
        comparable(asker.produce(name, batch(b"a"))),
        comparable(fetch(asker, name, (0, 6))),
    ]


@question
def delete_records_of_a_compacted_topic(asker: Asker) -> Any:
    """Compacted topics delete nothing by offset."""
    name = asker.topic(cleanup_policy="compact")
    asked = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=0)
    topics = [DeleteRecordsRequest.DeleteRecordsTopic(name=name, partitions=[asked])]
    return comparable(asker.ask(DeleteRecordsRequest(topics=topics, timeout_ms=1000), 2))
