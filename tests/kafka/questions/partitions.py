"""Questions about partitions: more of them, their leaders, their replicas, and their description page by page."""

from typing import Any

from asking import Asker, batch, comparable
from felice.wire.messages.alter_partition_reassignments import AlterPartitionReassignmentsRequest
from felice.wire.messages.create_partitions import CreatePartitionsRequest
from felice.wire.messages.delete_records import DeleteRecordsRequest
from felice.wire.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from felice.wire.messages.elect_leaders import ElectLeadersRequest
from felice.wire.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from questions.alterations import barrier
from questions.asked import eventually, question
from questions.topics import creatable, create


def grow(asker: Asker, *topics: tuple[str, int, list[list[int]] | None], check: bool = False, version: int = 3) -> Any:
    """Ask for more partitions; the order of the answers does not matter."""
    asked = [
        CreatePartitionsRequest.CreatePartitionsTopic(
            name=name,
            count=count,
            assignments=None
            if nodes is None
            else [CreatePartitionsRequest.CreatePartitionsAssignment(broker_ids=some) for some in nodes],
        )
        for name, count, nodes in topics
    ]
    answer = asker.ask(CreatePartitionsRequest(topics=asked, timeout_ms=5000, validate_only=check), version)
    return sorted((comparable(result) for result in answer.results), key=str)


def paged(asker: Asker, *names: str, limit: int = 2000, cursor: tuple[str, int] | None = None) -> Any:
    """Describe topics, beginning at a cursor."""
    begin = None
    if cursor is not None:
        begin = DescribeTopicPartitionsRequest.Cursor(topic_name=cursor[0], partition_index=cursor[1])
    topics = [DescribeTopicPartitionsRequest.TopicRequest(name=name) for name in names]
    request = DescribeTopicPartitionsRequest(topics=topics, response_partition_limit=limit, cursor=begin)
    return comparable(asker.ask(request, 0))


def counted(asker: Asker, name: str) -> int:
    """Return how many partitions of a topic have a leader."""
    topic = paged(asker, name)["topics"][0]
    return sum(partition["leader_id"] >= 0 for partition in topic["partitions"])


@question
def more_partitions(asker: Asker) -> Any:
    """In all versions, only checked, with and without assignments."""
    answers = []
    for version in range(4):
        name = asker.topic()
        answers.append(grow(asker, (name, 3, None), check=True, version=version))
        answers.append(grow(asker, (name, 2, None), version=version))
        answers.append(grow(asker, (name, 4, [[1], [1]]), version=version))
        eventually(lambda name=name: counted(asker, name) == 4)  # type: ignore[misc]
        barrier(asker)
        answers.append(comparable(asker.produce(name, batch(b"a"), partition=3)))
    return answers


@question
def more_partitions_that_cannot_be(asker: Asker) -> Any:
    """Counts, assignments and topics that cannot be."""
    name, other = asker.topic(2), asker.topic()
    return [
        *(
            grow(asker, asked, check=True)
            for asked in [
                (name, 2, None), (name, 1, None), (name, 0, None), (name, -1, None), ("nobody-has-this", 3, None),
                ("", 3, None), ("wrong name", 3, None), (name, 4, [[1]]), (name, 3, [[1], [1]]), (name, 3, [[9]]),
                (name, 3, [[1, 1]]), (name, 3, [[]]), (name, 3, []), (name, 3, [[1, 9]]), (name, 2, [[1]]),
                (name, 10_003, None),
            ]
        ),
        grow(asker, (name, 3, None), (name, 4, None)),
        grow(asker, (name, 1, None), (other, 2, None), check=True),
        grow(asker),
    ]  # fmt: skip


@question
def topics_page_by_page(asker: Asker) -> Any:
    """Pages of topics and partitions, in the order of names."""
    one, two, three = sorted(asker.topic(count) for count in (3, 1, 2))
    names = (three, one, two)
    return [
        paged(asker, *names), paged(asker, *names, limit=2), paged(asker, *names, limit=2, cursor=(one, 2)),
        paged(asker, *names, limit=1, cursor=(two, 0)), paged(asker, *names, cursor=(three, 1)),
        paged(asker, *names, cursor=(three, 7)), paged(asker, *names, cursor=(three + "-behind", 0)),
        paged(asker, *names, cursor=(one, -1)), paged(asker, *names, limit=0), paged(asker, *names, limit=-1),
        paged(asker, one, "nobody-has-this"), paged(asker, one, "wrong name"), paged(asker, one, one),
        paged(asker, one, limit=3), paged(asker, one, two, limit=3),
        paged(asker, one, two, cursor=("a", 0)), paged(asker, one, "nobody-has-this", two, limit=3),
        paged(asker, one, two, cursor=(one + "-deleted", 1)),
    ]  # fmt: skip


def elect(asker: Asker, kind: int, *topics: tuple[str, list[int]], version: int = 2) -> Any:
    """Ask for elections; the order of the answers does not matter."""
    asked = [ElectLeadersRequest.TopicPartitions(topic=name, partitions=some) for name, some in topics]
    answer = comparable(asker.ask(ElectLeadersRequest(election_type=kind, topic_partitions=asked), version))
    for result in answer["replica_election_results"]:
        result["partition_result"].sort(key=str)
    answer["replica_election_results"].sort(key=str)
    return answer


@question
def elections_that_are_not_needed(asker: Asker) -> Any:
    """The leader is right already, or there is no such partition."""
    name = asker.topic(2)
    return [
        *(elect(asker, 0, (name, [0, 1]), version=version) for version in range(3)),
        elect(asker, 1, (name, [0, 1])), elect(asker, 0, (name, [0, 7])), elect(asker, 0, ("nobody-has-this", [0])),
        elect(asker, 1, ("nobody-has-this", [0]), (name, [0])), elect(asker, 0), elect(asker, 5, (name, [0])),
        elect(asker, 0, ("", [0])), elect(asker, 0, (name, [0, 0])), elect(asker, 0, (name, [])),
    ]  # fmt: skip


def reassign(
    asker: Asker, *topics: tuple[str, list[tuple[int, list[int] | None]]], version: int = 1, change: bool = True
) -> Any:
    """Move partitions to other replicas, or (None) call that off."""
    asked = [
        AlterPartitionReassignmentsRequest.ReassignableTopic(
            name=name,
            partitions=[
                AlterPartitionReassignmentsRequest.ReassignablePartition(partition_index=index, replicas=nodes)
                for index, nodes in some
            ],
        )
        for name, some in topics
    ]
    request = AlterPartitionReassignmentsRequest(topics=asked, allow_replication_factor_change=change)
    return comparable(asker.ask(request, version))


@question
def reassignments(asker: Asker) -> Any:
    """To where the partition is already, and to where it cannot be."""
    name = asker.topic(2)

    def listed(*topics: tuple[str, list[int]]) -> Any:
        asked = [
            ListPartitionReassignmentsRequest.ListPartitionReassignmentsTopics(name=topic, partition_indexes=some)
            for topic, some in topics
        ]
        return comparable(asker.ask(ListPartitionReassignmentsRequest(topics=asked), 0))

    return [
        *(reassign(asker, (name, [(0, [1]), (1, [1])]), version=version) for version in (0, 1)),
        *(
            reassign(asker, (name, [change]))
            for change in [(0, None), (0, []), (0, [9]), (0, [1, 1]), (0, [1, 9]), (0, [-1]), (7, [1]), (7, None)]
        ),
        reassign(asker, (name, [(0, [1])]), change=False),
        reassign(asker, ("nobody-has-this", [(0, [1])])),
        reassign(asker, ("nobody-has-this", [(0, None)]), (name, [(0, [1]), (1, [9])])),
        reassign(asker, (name, [(0, [1]), (0, [1])])),
        reassign(asker),
        listed((name, [0, 1])), listed(("nobody-has-this", [0])), listed((name, [7])), listed(),
        comparable(asker.ask(ListPartitionReassignmentsRequest(topics=None), 0)),
    ]  # fmt: skip


@question
def delete_records_in_all_versions(asker: Asker) -> Any:
    """Up to an offset, up to the high watermark, and to where nothing is."""
    name = asker.topic(2)
    compacted = asker.topic(cleanup_policy="compact")
    for _ in range(5):
        asker.produce(name, batch(b"a", b"b"))

    def delete(version: int, *wanted: tuple[str, int, int]) -> Any:
        asked = [
            DeleteRecordsRequest.DeleteRecordsTopic(
                name=topic,
                partitions=[DeleteRecordsRequest.DeleteRecordsPartition(partition_index=index, offset=offset)],
            )
            for topic, index, offset in wanted
        ]
        answer = comparable(asker.ask(DeleteRecordsRequest(topics=asked, timeout_ms=5000), version))
        answer["topics"].sort(key=str)
        return answer

    return [
        delete(0, (name, 0, 1)), delete(1, (name, 0, 2)), delete(2, (name, 0, 4)), delete(2, (name, 0, 3)),
        delete(2, (name, 0, 11)), delete(2, (name, 0, -2)), delete(2, (name, 1, 1)), delete(2, (name, 1, 0)),
        delete(2, (name, 7, 0)), delete(2, ("nobody-has-this", 0, 0)), delete(2, (compacted, 0, 0)),
        delete(2, (name, 0, 5), (compacted, 0, 0)), delete(2, (name, 0, -1)), delete(2),
        delete(2, ("__consumer_offsets", 99, 0)),
    ]  # fmt: skip


@question
def topics_created_with_assignments_and_configs(asker: Asker) -> Any:
    """All that a topic may have at once, and then more partitions of it."""
    name = asker.name()
    made = create(
        asker, creatable(name, -1, -1, assignments=[(0, [1]), (1, [1])], configs={"retention.ms": "5"}), version=7
    )
    eventually(lambda: counted(asker, name) == 2)
    return [made, grow(asker, (name, 3, [[1]]))]
