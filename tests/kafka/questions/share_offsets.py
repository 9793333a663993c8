"""Questions about where share groups stand: described, altered, deleted (KIP-932), and their lag (KIP-1226)."""

from typing import Any

from asking import Asker, batch, comparable
from felice.wire.messages.alter_share_group_offsets import AlterShareGroupOffsetsRequest
from felice.wire.messages.delete_groups import DeleteGroupsRequest
from felice.wire.messages.delete_records import DeleteRecordsRequest
from felice.wire.messages.delete_share_group_offsets import DeleteShareGroupOffsetsRequest
from felice.wire.messages.describe_share_group_offsets import DescribeShareGroupOffsetsRequest
from felice.wire.messages.list_groups import ListGroupsRequest
from questions.asked import eventually, question
from questions.consumer_members import Band
from questions.share_members import Crew
from questions.share_store import Store, told

ACKNOWLEDGED = 2
NOWHERE = "there-is-no-such-topic"


class Ledger:
    """Where a share group stands."""

    def __init__(self, asker: Asker, group: str) -> None:
        self.asker = asker
        self.group = group

    def described(self, topics: dict[str, list[int]] | None = None, version: int = 1) -> Any:
        """Describe partitions, or all; topics are put in order where the order is that of random IDs."""
        names = None
        if topics is not None:
            names = [
                DescribeShareGroupOffsetsRequest.Topic(topic_name=name, partitions=indexes)
                for name, indexes in topics.items()
            ]
        asked = DescribeShareGroupOffsetsRequest.Group(group_id=self.group, topics=names)
        answer = self.asker.ask(DescribeShareGroupOffsetsRequest(groups=[asked]), version)
        for group in answer.groups:
            group.topics.sort(key=lambda topic: (topic.topic_id != bytes(16), topic.topic_name))
        return told(answer)

    def alter(self, starts: dict[str, dict[int, int]]) -> Any:
        """Alter."""
        topics = [
            AlterShareGroupOffsetsRequest.Topic(
                topic_name=name,
                partitions=[
                    AlterShareGroupOffsetsRequest.Partition(partition_index=index, start_offset=offset)
                    for index, offset in offsets.items()
                ],
            )
            for name, offsets in starts.items()
        ]
        return told(self.asker.ask(AlterShareGroupOffsetsRequest(group_id=self.group, topics=topics), 0))

    def delete(self, *topics: str) -> Any:
        """Delete; what was deleted is put in order, for that is the order of random IDs."""
        names = [DeleteShareGroupOffsetsRequest.Topic(topic_name=name) for name in topics]
        answer = self.asker.ask(DeleteShareGroupOffsetsRequest(group_id=self.group, topics=names), 0)
        deleted = [each for each in answer.responses if not each.error_code]
        deleted.sort(key=lambda each: each.topic_name, reverse=True)
        answer.responses = [each if each.error_code else deleted.pop() for each in answer.responses]
        return told(answer)

    def listed(self) -> Any:
        """Return how the group is listed."""
        groups = self.asker.ask(ListGroupsRequest(types_filter=["share"]), 5).groups
        return [comparable(group) for group in groups if group.group_id == self.group]


def a_ledger(asker: Asker, topic: str, partitions: int = 1) -> Ledger:
    """Return that of a new group whose coordinators are up."""
    crew = Crew(asker)
    Store(asker, asker.topic_ids[topic], crew.id).ready(*range(partitions))
    return Ledger(asker, crew.id)


@question
def share_offsets_of_a_group_that_nobody_knows(asker: Asker) -> Any:
    """Described, deleted; and an empty group's ID."""
    topic = asker.topic(2)
    answers = []
    for ledger in (a_ledger(asker, topic, 2), Ledger(asker, "")):
        answers += [
            ledger.described(version=0),
            ledger.described(),
            ledger.described({}),
            ledger.described({topic: []}),
            ledger.described({topic: [0], NOWHERE: [0, 1]}, version=0),
            ledger.described({topic: [1, 0, 1], NOWHERE: [1, 0], topic + "-too": []}),
            ledger.described({topic: [0, -1]}),
            ledger.delete(topic),
            ledger.delete(),
            ledger.alter({}) if ledger.group else ledger.alter({topic: {0: 0}}),
            ledger.listed(),
        ]
    return answers


@question
def share_offsets_of_a_group_of_another_kind(asker: Asker) -> Any:
    """A consumer group stands nowhere as a share group."""
    topic = asker.topic()
    band = Band(asker)
    band.join("m", topic)
    ledger = Ledger(asker, band.id)
    return [
        ledger.described(),
        ledger.described({topic: [0]}),
        ledger.alter({topic: {0: 0}}),
        ledger.delete(topic),
        band.leave("m"),
        ledger.alter({topic: {0: 0}}),
        ledger.delete(topic),
    ]


@question
def share_offsets_that_are_altered(asker: Asker) -> Any:
    """Of a group that begins with that, again, partly of what does not exist, and deleted in the end."""
    topic, other = asker.topic(3), asker.topic(1)
    asker.produce(topic, batch(b"a", b"b", b"c", b"d"), partition=0)
    asker.produce(topic, batch(b"a"), partition=1)
    ledger = a_ledger(asker, topic, 3)
    Store(asker, asker.topic_ids[other], ledger.group).ready()
    state = Store(asker, asker.topic_ids[topic], ledger.group)
    everything = {topic: [0, 1, 2], other: [0]}
    answers = [
        ledger.alter({NOWHERE: {0: 0}}),
        ledger.listed(),
        ledger.alter({topic: {5: 0}}),
        ledger.listed(),
    ]
    answers += [
        ledger.alter({topic: {0: 2, 1: 0}}),
        ledger.listed(),
        ledger.described(),
        ledger.described(everything),
        ledger.described(everything, version=0),
        state.looked_at(0),
        ledger.alter({NOWHERE: {0: 0, 1: 1}, topic: {0: 1, 7: 0, 2: 9}, other: {0: -1}}),
        ledger.described(),
        state.looked_at(0),
        ledger.alter({topic: {0: -2}}),
        ledger.described(),
        ledger.alter({topic: {}}),
        ledger.delete(NOWHERE, topic, topic),
        ledger.described(),
        ledger.described(everything),
        ledger.delete(topic),
        ledger.delete(other),
        ledger.delete(other),
        ledger.listed(),
        comparable(asker.ask(DeleteGroupsRequest(groups_names=[ledger.group]), 2)),
        ledger.delete(other),
    ]
    unlucky = a_ledger(asker, topic, 3)
    answers += [
        unlucky.alter({topic: {0: 3, -1: 0}, other: {0: 7}}),
        unlucky.described(),
        unlucky.described({topic: [0]}),
    ]
    return answers


@question
def share_offsets_of_a_group_with_members(asker: Asker) -> Any:
    """They can be described; altered and deleted only when all have left."""
    topic = asker.topic(2)
    crew = Crew(asker)
    Store(asker, asker.topic_ids[topic], crew.id).ready(0, 1)
    ledger = Ledger(asker, crew.id)
    state = Store(asker, asker.topic_ids[topic], crew.id)
    crew.join("m", topic)
    crew.settle("m", partitions=2)
    answers = [
        ledger.described(),
        ledger.described({topic: [1]}),
        ledger.alter({topic: {0: 0}}),
        ledger.delete(topic),
        ledger.delete(),
        crew.leave("m"),
        ledger.alter({topic: {0: 0}}),
        ledger.described(),
        state.looked_at(0),
        ledger.delete(topic),
        ledger.described(),
        state.looked_at(0),
    ]
    crew.join("m", topic)
    crew.settle("m", partitions=2)
    return answers, ledger.described(), state.looked_at(1)


@question
def share_groups_lag(asker: Asker) -> Any:
    """What is there, less what is done with: behind the start, and before it where that is not known."""
    topic = asker.topic()
    asker.produce(topic, batch(*[b"x"] * 10))
    ledger = a_ledger(asker, topic)
    ledger.alter({topic: {0: 3}})
    state = Store(asker, asker.topic_ids[topic], ledger.group)
    answers = [ledger.described(), state.read(leader_epoch=0)]
    for start, complete in ((3, 2), (5, 0), (5, -1), (12, 0), (0, 12), (10, 0)):
        written = state.write((6, 7, ACKNOWLEDGED, 1), start_offset=start, complete=complete)
        answers += [written, ledger.described(), ledger.described({topic: [0]}, version=0)]
    partition = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=8)
    asked = DeleteRecordsRequest.DeleteRecordsTopic(name=topic, partitions=[partition])
    asker.ask(DeleteRecordsRequest(topics=[asked], timeout_ms=5000), 2)
    answers.append(ledger.described())
    asker.produce(topic, batch(b"y"))
    eventually(lambda: ledger.described() != answers[-1])
    return answers, ledger.described()
