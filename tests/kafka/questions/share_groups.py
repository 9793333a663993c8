"""Questions about share groups (KIP-932): joining, assignment, leaving, epochs, deletion, groups of other kinds."""

from collections import Counter
from typing import Any

from asking import Asker, comparable
from felice.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from felice.wire.messages.create_partitions import CreatePartitionsRequest
from felice.wire.messages.delete_groups import DeleteGroupsRequest
from felice.wire.messages.delete_topics import DeleteTopicsRequest
from felice.wire.messages.describe_groups import DescribeGroupsRequest
from felice.wire.messages.heartbeat import HeartbeatRequest
from felice.wire.messages.join_group import JoinGroupRequest
from felice.wire.messages.leave_group import LeaveGroupRequest
from felice.wire.messages.list_groups import ListGroupsRequest
from felice.wire.messages.offset_commit import OffsetCommitRequest
from felice.wire.messages.offset_delete import OffsetDeleteRequest
from felice.wire.messages.offset_fetch import OffsetFetchRequest
from felice.wire.messages.share_group_describe import ShareGroupDescribeRequest
from felice.wire.messages.sync_group import SyncGroupRequest
from felice.wire.messages.txn_offset_commit import TxnOffsetCommitRequest
from felice.wire.schema import Request
from questions.asked import eventually, question
from questions.consumer_members import Band
from questions.members import WISHES, Room
from questions.share_members import Crew


@question
def share_heartbeats_that_are_wrong_in_themselves(asker: Asker) -> Any:
    """Each rule of the request alone, and some broken together, of which the first one counts."""
    crew = Crew(asker)
    first = {"member_id": "m", "member_epoch": 0, "subscribed_topic_names": ["t"]}
    wrong: list[dict[str, Any]] = [
        {"member_id": ""},
        {"member_id": "", "group_id": ""},
        {"member_id": 36 * "m", "group_id": ""},
        {"member_id": 37 * "m", "group_id": ""},
        {"group_id": ""},
        {"group_id": "", "rack_id": ""},
        {"rack_id": ""},
        {"rack_id": "", "subscribed_topic_names": None},
        {"subscribed_topic_names": None},
        {"subscribed_topic_names": []},
        {"member_epoch": -2},
        {"member_epoch": -3, "rack_id": ""},
        {"member_epoch": 5},
        {"member_epoch": -1},
    ]
    return [crew.send(**{**first, **fields}) for fields in wrong], crew.described()


@question
def a_lone_share_members_life(asker: Asker) -> Any:
    """From joining over full, partial and repeated heartbeats to leaving, and coming back."""
    topic = asker.topic(3)
    crew = Crew(asker)
    return [
        crew.join("member", topic, rack_id="here"),
        crew.settle("member", partitions=3),
        crew.beat("member"),
        crew.beat("member", subscribed_topic_names=[topic, topic]),
        crew.beat("member", rack_id="there"),
        crew.beat("stranger", member_epoch=1),
        crew.leave("stranger"),
        crew.described(operations=True),
        crew.join("member", topic),
        crew.described(),
        crew.leave("member"),
        crew.described(),
        crew.beat("member"),
        crew.leave("member"),
        crew.join("member", topic),
        crew.described(),
    ]


@question
def epochs_that_are_not_the_share_members(asker: Asker) -> Any:
    """An epoch ahead is fenced, and so is a stale one; the one before the present one is let in."""
    topic = asker.topic(2)
    crew = Crew(asker)
    crew.join("a", topic)
    crew.settle("a", partitions=2)
    crew.join("b", topic)
    crew.settle("a", "b", partitions=2)
    present = crew.epochs["a"]
    answers = [
        {**crew.beat("a", member_epoch=epoch), "assignment": None}
        for epoch in (present + 1, present - 1, present - 2, 99, present)
    ]
    return answers, crew.described()["epochs"]


@question
def share_members_have_the_same_partitions(asker: Asker) -> Any:
    """Members come and go: how many each has, and how many have each. Which ones depends on the topic's random ID."""

    def shares() -> Any:
        members = crew.described()["members"]
        had = [(topic, index) for one in members for topic, parts in one["assignment"].items() for index in parts]
        return sorted(sum(map(len, one["assignment"].values())) for one in members), sorted(Counter(had).values())

    topic = asker.topic(3)
    crew = Crew(asker)
    names = [f"m{number}" for number in range(8)]
    crew.join(names[0], topic)
    crew.settle(names[0], partitions=3)
    told = []
    for number in range(1, len(names)):
        crew.join(names[number], topic)
        told.append((crew.settle(*names[: number + 1], partitions=3)["epochs"], shares()))
    for number in range(len(names) - 1, 0, -1):
        crew.leave(names[number])
        told.append((crew.settle(*names[:number], partitions=3)["epochs"], shares()))
    return told


@question
def share_members_want_different_topics(asker: Asker) -> Any:
    """Subscriptions that differ, change, overlap, and name topics that do not exist."""
    one, two = asker.topic(3), asker.topic(2)
    crew = Crew(asker)
    answers = [crew.join("a", one, "nowhere"), crew.settle("a", partitions=3)]
    answers += [crew.join("b", one, two), crew.settle("a", "b", partitions=5)]
    answers += [crew.join("c", two), crew.settle("a", "b", "c", partitions=5)]
    answers += [crew.beat("a", subscribed_topic_names=[two]), crew.settle("a", "b", "c", partitions=5)]
    answers += [crew.beat("b", subscribed_topic_names=["nowhere"]), crew.settle("a", "b", "c", partitions=2)]
    answers += [crew.beat("c", subscribed_topic_names=[]), crew.settle("a", "b", "c", partitions=2)]
    answers += [crew.join("d", "nowhere"), crew.leave("a"), crew.settle("b", "c", "d", partitions=0)]
    return answers


@question
def a_share_groups_topic_appears_grows_and_goes(asker: Asker) -> Any:
    """A member reads a topic before it is there; it comes, gets more partitions, and is deleted."""
    crew = Crew(asker)
    name = asker.name()
    following = f"{name[: name.rindex('-')]}-{int(name.rpartition('-')[2]) + 1}"
    answers = [crew.join("a", following), crew.described()]
    topic = asker.topic(2)
    assert topic == following
    answers.append(crew.settle("a", partitions=2)["members"])
    more = CreatePartitionsRequest.CreatePartitionsTopic(name=topic, count=3, assignments=None)
    answers.append(asker.ask(CreatePartitionsRequest(topics=[more], timeout_ms=5000), 3).results[0].error_code)
    answers.append(crew.settle("a", partitions=3)["members"])
    state = DeleteTopicsRequest.DeleteTopicState(name=topic)
    answers.append(asker.ask(DeleteTopicsRequest(topics=[state], timeout_ms=5000), 6).responses[0].error_code)
    eventually(lambda: crew.beat("a")["assignment"] == {})
    answers.append(crew.described()["members"])
    return answers


@question
def share_groups_that_are_none(asker: Asker) -> Any:
    """ShareGroupDescribe of nothing, of no name, and of a name twice."""
    crew = Crew(asker)
    answers = [crew.described(operations=operations) for operations in (False, True)]
    found = asker.ask(ShareGroupDescribeRequest(group_ids=["", crew.id, crew.id]), 1).groups
    return answers, sorted((group.group_id, group.error_code, group.group_state) for group in found)


@question
def a_share_group_is_listed_and_deleted(asker: Asker) -> Any:
    """It is listed by its kind and its state; it is not deleted while there are members, and is gone then."""

    def listed(**filters: Any) -> Any:
        groups = asker.ask(ListGroupsRequest(**filters), 5).groups
        return [
            (group.protocol_type, group.group_state, group.group_type) for group in groups if group.group_id == crew.id
        ]

    def lists() -> Any:
        filters: list[dict[str, Any]] = [
            {},
            {"types_filter": ["share"]},
            {"types_filter": ["Share", "consumer"]},
            {"types_filter": ["classic"]},
            {"states_filter": ["Stable"]},
            {"states_filter": ["empty"]},
            {"states_filter": ["Stable"], "types_filter": ["share"]},
        ]
        return [listed(**one) for one in filters]

    def delete() -> Any:
        return [found.error_code for found in asker.ask(DeleteGroupsRequest(groups_names=[crew.id]), 2).results]

    topic = asker.topic(2)
    crew = Crew(asker)
    crew.join("a", topic)
    answers = [crew.settle("a", partitions=2), lists(), delete()]
    answers += [crew.leave("a"), lists(), delete(), lists(), delete(), crew.described()]
    answers += [crew.join("a", topic), crew.settle("a", partitions=2)]
    return answers


def of_another_kind(group: str, topic: str, topic_id: bytes) -> list[tuple[Request[Any], int]]:
    """What can be asked of a classic or a consumer group."""
    part = OffsetCommitRequest.Topic.Partition(partition_index=0, committed_offset=1)
    commits = [OffsetCommitRequest.Topic(name=topic, topic_id=topic_id, partitions=[part])]
    staged = TxnOffsetCommitRequest.Topic.Partition(partition_index=0, committed_offset=1)
    fetched = OffsetFetchRequest.Group.Topics(name=topic, topic_id=topic_id, partition_indexes=[0])
    protocols = [JoinGroupRequest.Protocol(name="range", metadata=WISHES)]
    joins = {"group_id": group, "session_timeout_ms": 30_000, "rebalance_timeout_ms": 30_000, "protocols": protocols}
    beat = {"group_id": group, "rebalance_timeout_ms": 30_000, "subscribed_topic_names": [topic]}
    asked: list[tuple[Request[Any], int]] = [
        *((JoinGroupRequest(**joins, member_id=member, protocol_type=kind), version)
            for member in ("", "m") for kind in ("consumer", "share") for version in (3, 9)),
        *((SyncGroupRequest(group_id=group, generation_id=1, member_id="m"), version) for version in (3, 5)),
        (HeartbeatRequest(group_id=group, generation_id=1, member_id="m"), 4),
        (LeaveGroupRequest(group_id=group, members=[LeaveGroupRequest.MemberIdentity(member_id="m")]), 5),
        *((OffsetCommitRequest(group_id=group, generation_id_or_member_epoch=epoch, member_id=member, topics=commits),
            version) for member, epoch in (("", -1), ("m", 1)) for version in (7, 9, 10)),
        *((TxnOffsetCommitRequest(transactional_id="none", group_id=group, producer_id=7, producer_epoch=0,
            generation_id=epoch, member_id=member,
            topics=[TxnOffsetCommitRequest.Topic(name=topic, partitions=[staged])]), 3)
            for member, epoch in (("", -1), ("m", 1))),
        *((OffsetFetchRequest(groups=[OffsetFetchRequest.Group(
            group_id=group, member_id=member, member_epoch=epoch, topics=topics)]), version)
            for member, epoch in ((None, -1), ("m", 1)) for topics in ([fetched], None) for version in (9, 10)),
        (OffsetDeleteRequest(group_id=group, topics=[OffsetDeleteRequest.Topic(
            name=topic, partitions=[OffsetDeleteRequest.Topic.Partition(partition_index=0)])]), 0),
        *((DescribeGroupsRequest(groups=[group]), version) for version in (5, 6)),
        (ConsumerGroupDescribeRequest(group_ids=[group]), 1),
        *((ConsumerGroupHeartbeatRequest(**beat, member_id="m", member_epoch=epoch, topic_partitions=[]), 1)
            for epoch in (0, 1, -1)),
    ]  # fmt: skip
    return asked


@question
def a_share_group_is_taken_for_another(asker: Asker) -> Any:
    """Requests for classic and consumer groups, while it has members and when it has none."""
    topic = asker.topic(1)
    crew = Crew(asker)
    asked = of_another_kind(crew.id, topic, asker.topic_ids[topic])
    crew.join("a", topic)
    crew.settle("a", partitions=1)
    told = []
    for _ in range(2):
        told.append([comparable(asker.ask(*one)) for one in asked])
        told.append(crew.described()["group_state"])
        crew.leave("a")
    return told


@question
def another_group_is_taken_for_a_share_group(asker: Asker) -> Any:
    """Heartbeats and descriptions of share groups' for a consumer group and classic ones, with and without members."""
    topic = asker.topic(1)

    def told(group: str) -> Any:
        crew = Crew(asker, group)
        return [
            crew.join("m", topic),
            crew.beat("m", member_epoch=1),
            crew.leave("m"),
            crew.described(),
        ]

    band = Band(asker)
    band.join("a", topic)
    answers = [told(band.id), band.leave("a"), told(band.id)]
    with Room(asker) as room:
        member = room.member()
        member.join()
        member.sync()
        answers += [told(room.id), member.leave(), told(room.id)]
    simple = Band(asker)
    answers += [simple.commit("", -1, (topic, 0)), told(simple.id)]
    return answers


@question
def a_share_groups_own_intervals(asker: Asker) -> Any:
    """A group's configuration says how often its members report."""
    topic = asker.topic(1)
    crew = Crew(asker, share_heartbeat_interval_ms=7000)
    answers = [crew.join("a", topic)]
    crew.configure(share_heartbeat_interval_ms=6000)
    eventually(lambda: crew.beat("a")["interval"] == 6000)
    return answers


@question
def share_groups_are_not_assigned_too_often(asker: Asker) -> Any:
    """A new target waits for the interval: until then members stay in the epoch of the one before."""
    topic = asker.topic(1)
    crew = Crew(asker, share_assignment_interval_ms=15_000)
    answers = [crew.join("a", topic), crew.join("b", topic), crew.described(), crew.beat("a"), crew.leave("b")]
    return answers, crew.described()
