"""Questions about committed offsets: OffsetCommit, OffsetFetch, OffsetDelete, and their records in the log."""

from collections.abc import Sequence
from typing import Any

from asking import Asker, comparable
from felice.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from felice.wire.messages.delete_topics import DeleteTopicsRequest
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.list_offsets import ListOffsetsRequest
from felice.wire.messages.offset_commit import OffsetCommitRequest
from felice.wire.messages.offset_delete import OffsetDeleteRequest
from felice.wire.messages.offset_fetch import OffsetFetchRequest
from felice.wire.messages.offsets_topic import KEYS
from felice.wire.records import Record, read_records
from felice.wire.schema import Struct, unpack_key
from questions.asked import eventually, question
from questions.groups import stable
from questions.members import Member, Room, coordinated, leave

LOG = "__consumer_offsets"
HOUR = 3_600_000
NO_ID = bytes(15) + b"\1"


def commit(
    asker: Asker,
    group: str,
    *partitions: tuple[str, int],
    version: int = 8,
    offset: int = 5,
    epoch: int = -1,
    metadata: str | None = "notes",
    retention: int = -1,
    generation: int = -1,
    member: str = "",
    instance: str | None = None,
) -> Any:
    """Commit an offset for some partitions, each under its topic."""
    topics = [
        OffsetCommitRequest.Topic(
            name=topic if version < 10 else "",
            topic_id=asker.topic_ids.get(topic, NO_ID) if version >= 10 else bytes(16),
            partitions=[
                OffsetCommitRequest.Partition(
                    partition_index=partition,
                    committed_offset=offset,
                    committed_leader_epoch=epoch,
                    committed_metadata=metadata,
                )
            ],
        )
        for topic, partition in partitions
    ]
    request = OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member,
        group_instance_id=instance,
        retention_time_ms=retention if version < 5 else -1,
        topics=topics,
    )
    return comparable(asker.ask(request, version))


def as_member(somebody: Member, topic: str, **options: Any) -> Any:
    """Commit as a member does; return the codes."""
    given = {"generation": somebody.generation, "member": somebody.id, "instance": somebody.instance, **options}
    answer = commit(somebody.room.asker, somebody.room.id, (topic, 0), **given)
    return [partition["error_code"] for found in answer["topics"] for partition in found["partitions"]]


def fetch(
    asker: Asker,
    group: str,
    wanted: dict[str, Sequence[int]] | None,
    *,
    version: int = 8,
    stable: bool = False,
    member: str | None = None,
    epoch: int = -1,
) -> Any:
    """Fetch one group's offsets; topics come in no order where all are asked for."""
    if version < 8:
        request = OffsetFetchRequest(
            group_id=group,
            require_stable=stable,
            topics=None
            if wanted is None
            else [OffsetFetchRequest.Topic(name=name, partition_indexes=list(wanted[name])) for name in wanted],
        )
    else:
        request = OffsetFetchRequest(groups=[of_group(asker, group, wanted, version)], require_stable=stable)
        request.groups[0].member_id, request.groups[0].member_epoch = member, epoch
    return in_order(asker.ask(request, version))


def of_group(
    asker: Asker, group: str, wanted: dict[str, Sequence[int]] | None, version: int
) -> OffsetFetchRequest.Group:
    """Return what is asked of one group."""
    topics = None
    if wanted is not None:
        topics = [
            OffsetFetchRequest.Topics(
                name=name if version < 10 else "",
                topic_id=asker.topic_ids.get(name, NO_ID) if version >= 10 else bytes(16),
                partition_indexes=list(wanted[name]),
            )
            for name in wanted
        ]
    return OffsetFetchRequest.Group(group_id=group, topics=topics)


def in_order(answer: Any) -> Any:
    """Return an answer with its topics and partitions sorted."""
    for group in [answer, *answer.groups]:
        for topic in group.topics:
            topic.partitions.sort(key=lambda partition: partition.partition_index)
        group.topics.sort(key=lambda topic: (topic.name, repr(topic.partitions)))
    return comparable(answer)


def delete(asker: Asker, group: str, *partitions: tuple[str, int]) -> Any:
    """Delete offsets."""
    topics = [
        OffsetDeleteRequest.Topic(name=topic, partitions=[OffsetDeleteRequest.Partition(partition_index=partition)])
        for topic, partition in partitions
    ]
    answer = asker.ask(OffsetDeleteRequest(group_id=group, topics=topics), 0)
    answer.topics.sort(key=lambda topic: topic.name)
    return comparable(answer)


@question
def commit_in_all_versions(asker: Asker) -> Any:
    """Commits of all versions, by a consumer without a group's members, seen by all versions of OffsetFetch."""
    group, topic = coordinated(asker, asker.name()), asker.topic(2)
    answers = []
    for version in range(2, 11):
        epoch = 0 if version >= 6 else -1
        answers.append(commit(asker, group, (topic, 0), version=version, offset=version, epoch=epoch))
        answers.append(fetch(asker, group, {topic: [0, 1]}))
    for version in range(1, 11):
        answers.append(fetch(asker, group, {topic: [0, 1, 7]}, version=version))
    return answers


@question
def commit_what_cannot_be(asker: Asker) -> Any:
    """Topics and partitions that there are not, beside ones that there are."""
    group, topic = coordinated(asker, asker.name()), asker.topic(2)
    missing = asker.name()
    answers = []
    for version in (2, 8, 9, 10):
        answers.append(commit(asker, group, (missing, 0), (topic, 0), (topic, 9), (missing, 1), version=version))
        answers.append(commit(asker, group, (missing, 0), version=version))
        answers.append(commit(asker, group, (topic, 1), (missing, 0), (topic, -1), version=version))
        answers.append(commit(asker, group, version=version))
    return [*answers, commit(asker, group, (topic, 0), (topic, 0)), fetch(asker, group, None)]


@question
def commit_strange_values(asker: Asker) -> Any:
    """Offsets below zero, epochs from the future, no metadata, and too much of it."""
    group, topic = coordinated(asker, asker.name()), asker.topic()
    answers: list[Any] = []
    for options in (
        {"offset": -1},
        {"offset": -7},
        {"offset": 1 << 40, "epoch": 12},
        {"metadata": None},
        {"metadata": ""},
        {"metadata": "x" * 4096},
        {"metadata": "x" * 4097},
        {"metadata": "ä" * 4096},
    ):
        answers += [commit(asker, group, (topic, 0), **options), fetch(asker, group, {topic: [0]})]
    return answers


@question
def commit_too_much_beside_enough(asker: Asker) -> Any:
    """Metadata that is too long spoils its own partition only."""
    group, topic = coordinated(asker, asker.name()), asker.topic(2)
    long, short = (
        OffsetCommitRequest.Partition(partition_index=index, committed_offset=3, committed_metadata=text)
        for index, text in enumerate(("x" * 5000, "x"))
    )
    request = OffsetCommitRequest(
        group_id=group, topics=[OffsetCommitRequest.Topic(name=topic, partitions=[long, short])]
    )
    return [comparable(asker.ask(request, 8)), fetch(asker, group, {topic: [0, 1]})]


@question
def commit_as_somebody(asker: Asker) -> Any:
    """Claims to be a member of a group that does not exist, and of one without members."""
    topic, group, missing = asker.topic(), coordinated(asker, asker.name()), asker.name()
    commit(asker, group, (topic, 0))
    answers = []
    for name in (missing, group):
        for version in (7, 8, 9, 10):
            for claim in (
                {"generation": 3},
                {"generation": 3, "member": "x"},
                {"generation": 0, "instance": "a"},
            ):
                answers.append(commit(asker, name, (topic, 0), version=version, **claim))
    claims = ({"member": "x"}, {"instance": "a"}, {"generation": -5, "member": "x"})
    return [*answers, *(commit(asker, group, (topic, 0), **claim) for claim in claims)]


@question
def commit_as_a_member(asker: Asker) -> Any:
    """Commits in each state of a group, right and wrong."""
    topic = asker.topic()
    with Room(asker) as room:
        first, second = room.member(), room.member(instance="a")
        first.enter()
        answers = [as_member(first, topic), as_member(first, topic, generation=0)]
        first.sync(first)
        answers.append(as_member(first, topic))
        second.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers += [as_member(first, topic), as_member(first, topic, generation=-1, member="")]
        answers += [first.join(), second.joined()]
        answers += [as_member(first, topic), as_member(second, topic)]
        answers += [first.sync(first, second), second.sync()]
        for version in range(2, 11):
            static = {} if version >= 7 else {"instance": None}
            answers += [
                as_member(first, topic, version=version),
                as_member(second, topic, version=version, **static),
                as_member(first, topic, version=version, generation=1),
                as_member(first, topic, version=version, generation=-1),
                as_member(first, topic, version=version, generation=-1, member=""),
                as_member(first, topic, version=version, member="somebody"),
            ]
        answers += [
            as_member(second, topic, member="somebody"),
            as_member(second, topic, instance="b"),
            as_member(first, topic, instance="a"),
            as_member(first, topic, instance="b", generation=-1, member=""),
        ]
        leave(room, (first.id, None), (second.id, None))
        answers += [as_member(first, topic), as_member(first, topic, generation=-1)]
        return [*answers, commit(asker, room.id, (topic, 0)), fetch(asker, room.id, None)]


@question
def commit_to_the_group_without_a_name(asker: Asker) -> Any:
    """The empty group ID is good for offsets: old consumers had no other."""
    topic = asker.topic()
    return [
        commit(asker, coordinated(asker, ""), (topic, 0)),
        fetch(asker, "", {topic: [0]}),
        delete(asker, "", (topic, 0)),
    ]


@question
def fetch_what_there_is_not(asker: Asker) -> Any:
    """Unknown groups, topics and partitions have the offset -1, and no error."""
    group, topic = coordinated(asker, asker.name()), asker.topic()
    answers = []
    for version in range(1, 11):
        answers.append(fetch(asker, group, {topic: [0, 99], asker.name(): [0]}, version=version))
        if version >= 2:
            answers.append(fetch(asker, group, None, version=version))
        answers.append(fetch(asker, group, {}, version=version))
        answers.append(fetch(asker, group, {topic: []}, version=version))
    return answers


@question
def fetch_all(asker: Asker) -> Any:
    """No list of topics asks for all; who says that it is a member may as well be none, in a classic group."""
    group, topics = coordinated(asker, asker.name()), [asker.topic(2), asker.topic()]
    for partition in ((topics[0], 0), (topics[0], 1), (topics[1], 0)):
        commit(asker, group, partition, metadata=str(partition[1]))
    answers = [fetch(asker, group, None, version=version) for version in range(2, 11)]
    answers += [fetch(asker, group, None, version=version, stable=True) for version in (7, 8, 9, 10)]
    return [*answers, *(fetch(asker, group, None, version=9, member="x", epoch=epoch) for epoch in (-1, 0, 5))]


@question
def fetch_of_many_groups(asker: Asker) -> Any:
    """Many groups in one request, some twice, some unknown."""
    one, two = coordinated(asker, asker.name()), coordinated(asker, asker.name())
    topic = asker.topic()
    commit(asker, one, (topic, 0))
    answers = []
    for version in (8, 9, 10):
        groups = [
            of_group(asker, one, {topic: [0]}, version),
            of_group(asker, two, {topic: [0]}, version),
            of_group(asker, one, None, version),
            of_group(asker, two, None, version),
            of_group(asker, one, {topic: [0, 0], "nothing": [1]}, version),
        ]
        answer = asker.ask(OffsetFetchRequest(groups=groups), version)
        answers.append(in_order(answer))
        answers.append(in_order(asker.ask(OffsetFetchRequest(groups=[]), version)))
    return answers


@question
def delete_offsets(asker: Asker) -> Any:
    """Offsets that a group does not need any more."""
    group, topic, other = coordinated(asker, asker.name()), asker.topic(2), asker.topic()
    missing = asker.name()
    answers = [delete(asker, group, (topic, 0))]
    for partition in ((topic, 0), (topic, 1), (other, 0)):
        commit(asker, group, partition)
    answers += [delete(asker, group), delete(asker, group, (missing, 0)), delete(asker, group, (topic, 7))]
    answers += [delete(asker, group, (topic, 0), (missing, 0)), fetch(asker, group, None)]
    answers += [delete(asker, group, (topic, 0)), delete(asker, group, (topic, 1), (other, 0))]
    return [*answers, fetch(asker, group, None), delete(asker, group, (topic, 1))]


@question
def delete_offsets_in_use(asker: Asker) -> Any:
    """Topics that members read keep their offsets, in all states; groups that are not of consumers keep all."""
    read, unread = asker.topic(), asker.topic()
    metadata = ConsumerProtocolSubscription(topics=[read]).pack(1)
    with Room(asker) as room, Room(asker) as connect:
        member, second = room.member(metadata=metadata), room.member(metadata=metadata)
        for name in (room.id, connect.id):
            for topic in (read, unread):
                commit(asker, name, (topic, 0))
        answers = [member.enter(), delete(asker, room.id, (read, 0), (unread, 0))]
        answers += [member.sync(member), delete(asker, room.id, (read, 0), (unread, 0))]
        second.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers += [delete(asker, room.id, (read, 0), (unread, 0)), member.join(), second.joined()]
        leave(room, (member.id, None), (second.id, None))
        answers += [delete(asker, room.id, (read, 0)), fetch(asker, room.id, None)]
        other = connect.member(type="connect", protocols=("eager",))
        answers += [stable(connect, other), delete(asker, connect.id, (unread, 0))]
        leave(connect, (other.id, None))
        return [*answers, delete(asker, connect.id, (unread, 0)), fetch(asker, connect.id, None)]


@question
def offsets_of_a_deleted_topic(asker: Asker) -> Any:
    """They go with it, and do not come back with another one of its name."""
    group, topic, other = coordinated(asker, asker.name()), asker.topic(), asker.topic()
    commit(asker, group, (topic, 0), (other, 0))
    asker.ask(DeleteTopicsRequest(topic_names=[topic], timeout_ms=5000), 5)
    eventually(
        lambda: fetch(asker, group, {topic: [0]})["groups"][0]["topics"][0]["partitions"][0]["committed_offset"] < 0
    )
    return [
        fetch(asker, group, None),
        fetch(asker, group, None, version=10),
        fetch(asker, group, {topic: [0]}, version=10),
    ]


# --- the log ---


def log_end(asker: Asker) -> int:
    """Return where the next record of the coordinator will be; there is one partition."""
    asked = ListOffsetsRequest.ListOffsetsTopic(
        name=LOG, partitions=[ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=-1)]
    )
    answer = asker.ask(ListOffsetsRequest(replica_id=-1, topics=[asked]), 5)
    return int(answer.topics[0].partitions[0].offset)


@question
def commits_with_strange_retentions(asker: Asker) -> Any:
    """Such that are over already, and such that end beyond what can be counted."""
    topic, group = asker.topic(), coordinated(asker, asker.name())
    return [
        [commit(asker, group, (topic, 0), version=3, retention=retention), fetch(asker, group, {topic: [0]})]
        for retention in (0, -2, 2**63 - 1, -(2**63))
    ]


def logged(asker: Asker, room: Room, start: int) -> Any:
    """Return the records of a group since then: the version of each value, and what it says but for times."""
    asked = FetchRequest.FetchTopic(
        topic=LOG,
        partitions=[FetchRequest.FetchPartition(partition=0, fetch_offset=start, partition_max_bytes=1 << 20)],
    )
    answer = asker.ask(FetchRequest(max_wait_ms=0, min_bytes=0, max_bytes=1 << 24, topics=[asked]), 11)
    seen = []
    for record in all_records(answer.responses[0].partitions[0].records):
        assert record.key is not None
        key = unpack_key(KEYS, record.key)
        if getattr(key, "group", None) != room.id:
            continue
        value = None if record.value is None else type(key).value.unpack(record.value)
        if value is not None:
            _hide_times(value)
        version = None if record.value is None else bytes(record.value[:2])
        seen.append([type(key).__name__, room.plain(key), version, room.plain(value), len(record.headers)])
    return seen


def all_records(batches: memoryview) -> list[Record]:
    """Return the records of all batches."""
    records, at = [], 0
    while at < len(batches):
        end = at + 12 + int.from_bytes(batches[at + 8 : at + 12], "big")
        records += read_records(batches[at:end])
        at = end
    return records


def _hide_times(value: Struct) -> None:
    """Replace times by what they are relative to each other, as far as that can be told."""
    for name in ("current_state_timestamp", "commit_timestamp"):
        if getattr(value, name, -1) > 0:
            if getattr(value, "expire_timestamp", -1) > 0:
                value.expire_timestamp -= value.commit_timestamp
            setattr(value, name, 1)


@question
def commits_in_the_log(asker: Asker) -> Any:
    """Commits of all versions, deletions and the end of a group, as the log has them."""
    topic = asker.topic(2)
    with Room(asker) as room:
        start = log_end(asker)
        for version in range(2, 11):
            retention = HOUR if version % 2 else -1
            epoch = 0 if version >= 6 else -1
            commit(asker, room.id, (topic, 0), (topic, 1), version=version, epoch=epoch, retention=retention)
        commit(asker, room.id, (topic, 0), metadata=None)
        commit(asker, room.id, (topic, 0), metadata="x" * 5000)
        delete(asker, room.id, (topic, 0))
        delete(asker, room.id, (topic, 0))
        return logged(asker, room, start)


@question
def a_deleted_topic_in_the_log(asker: Asker) -> Any:
    """Its offsets have tombstones."""
    topic, other = asker.topic(2), asker.topic()
    with Room(asker) as room:
        start = log_end(asker)
        commit(asker, room.id, (topic, 0), (topic, 1), (other, 0))
        asker.ask(DeleteTopicsRequest(topic_names=[topic], timeout_ms=5000), 5)
        eventually(lambda: len(logged(asker, room, start)) >= 5)
        return sorted(logged(asker, room, start), key=repr)


@question
def generations_in_the_log(asker: Asker) -> Any:
    """A group's life: made, joined, assigned, joined again by a static member, left, and forgotten."""
    with Room(asker) as room:
        start = log_end(asker)
        first, second = room.member(), room.member(instance="a", session=7000, rebalance=8000)
        stable(room, first, second)
        again = room.member(instance="a", session=7000, rebalance=9000, version=9)
        again.join()
        again.sync()
        leave(room, (first.id, None))
        again.join()
        again.sync(again)
        leave(room, (again.id, None))
        return logged(asker, room, start)


@question
def refused_joins_in_the_log(asker: Asker) -> Any:
    """A group is made for whoever has no ID, also where that one is refused then."""
    seen = []
    for options in ({"protocols": ()}, {"version": 9}, {"session": 1}):
        with Room(asker) as room:
            start = log_end(asker)
            room.member(**options).join()
            if "session" not in options:
                eventually(lambda room=room, start=start: logged(asker, room, start))
            seen.append(logged(asker, room, start))
    with Room(asker) as room:
        start = log_end(asker)
        stranger = room.member()
        stranger.id = "somebody"
        stranger.join()
        return [*seen, logged(asker, room, start)]
