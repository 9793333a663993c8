"""Questions about offsets of groups that count when a transaction commits."""

from typing import Any

from asking import Asker, comparable
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.join_group import JoinGroupRequest
from felice.wire.messages.offset_commit import OffsetCommitRequest
from felice.wire.messages.offset_fetch import OffsetFetchRequest
from felice.wire.messages.sync_group import SyncGroupRequest
from questions.asked import eventually, question
from questions.writer import Writer


def group_for(asker: Asker, writer: Writer) -> str:
    """Return a new group's name, when its coordinator is up."""
    name = f"group-{writer.id}"
    request = FindCoordinatorRequest(coordinator_keys=[name], key_type=0)
    eventually(lambda: not asker.ask(request, 4).coordinators[0].error_code)
    ready = OffsetFetchRequest(groups=[OffsetFetchRequest.Group(group_id=name, topics=[])])
    eventually(lambda: not asker.ask(ready, 9).groups[0].error_code)
    return name


def committed(asker: Asker, group: str, topic: str, *partitions: int, stable: bool = True) -> Any:
    """Return the committed offsets, with codes."""
    topics = [OffsetFetchRequest.Group.Topics(name=topic, partition_indexes=list(partitions or (0,)))]
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequest.Group(group_id=group, topics=topics)], require_stable=stable
    )
    return [
        (partition.partition_index, partition.committed_offset, partition.error_code)
        for found in asker.ask(request, 9).groups[0].topics
        for partition in found.partitions
    ]


def commit_beside(asker: Asker, group: str, topic: str, offset: int) -> Any:
    """Commit an offset outside any transaction."""
    partition = OffsetCommitRequest.Topic.Partition(partition_index=0, committed_offset=offset, committed_metadata="")
    request = OffsetCommitRequest(
        group_id=group, topics=[OffsetCommitRequest.Topic(name=topic, partitions=[partition])]
    )
    return comparable(asker.ask(request, 8))


def joined(asker: Asker, group: str, instance: str | None = None) -> tuple[str, int]:
    """Join a group alone; return the member's ID and the generation."""
    protocol = JoinGroupRequest.Protocol(name="range", metadata=b"\0\0\0\0\0\0\0\0\0\0")
    member = ""
    while True:
        answer = asker.ask(
            JoinGroupRequest(
                group_id=group,
                session_timeout_ms=30_000,
                rebalance_timeout_ms=30_000,
                member_id=member,
                group_instance_id=instance,
                protocol_type="consumer",
                protocols=[protocol],
            ),
            7,
        )
        member = answer.member_id
        if not answer.error_code:
            break
    request = SyncGroupRequest(
        group_id=group,
        generation_id=answer.generation_id,
        member_id=member,
        group_instance_id=instance,
        protocol_type="consumer",
        protocol_name="range",
    )
    assert asker.ask(request, 5).error_code == 0
    return member, answer.generation_id


@question
def transactional_offsets(asker: Asker) -> Any:
    """Offsets are staged until the end, and then count or not; in both ways to add them."""
    name, writer = asker.topic(2), Writer(asker)
    group, answers = group_for(asker, writer), []
    for version in range(6):
        for commit in (True, False):
            if version < 5:
                answers.append(writer.add_offsets(group, min(version, 4)))
            offset = 10 * version + commit
            answers += [
                writer.commit_offsets(group, (name, 0, offset), (name, 1, offset + 100), version=version),
                committed(asker, group, name, 0, 1),
                committed(asker, group, name, 0, 1, stable=False),
                writer.state()[0:1],
                writer.done(commit, 5 if version == 5 else 4),
                committed(asker, group, name, 0, 1),
            ]
    return answers


@question
def transactional_offsets_that_did_not_join(asker: Asker) -> Any:
    """Up to version 4 the group must have been added; from 5 on it joins."""
    name, writer = asker.topic(), Writer(asker)
    group = group_for(asker, writer)
    answers = [writer.commit_offsets(group, (name, 0, 5), version=version) for version in range(5)]
    answers += [writer.state(), writer.commit_offsets(group, (name, 0, 5)), writer.state(), writer.done()]
    return [*answers, [writer.commit_offsets(group, (name, 0, 5), version=version) for version in range(5)]]


@question
def transactional_offsets_of_others(asker: Asker) -> Any:
    """Offsets with a producer ID, an epoch, a transactional ID or a group that are not right."""
    name, writer = asker.topic(), Writer(asker)
    group = group_for(asker, writer)
    strangers: list[dict[str, Any]] = [
        {"epoch": 5}, {"epoch": -1}, {"producer_id": 99_999}, {"of": "nobody"}, {"of": ""},
        {"generation": 3, "member": "somebody"}, {"generation": 3}, {"member": "somebody"},
        {"instance": "somebody"}, {"generation": 0, "member": "somebody", "instance": "somebody"},
    ]  # fmt: skip
    answers = []
    for opened in (False, True):
        for who in strangers:
            versions = (3, 4, 5) if {"generation", "member", "instance"} & set(who) else (0, 3, 4, 5)
            answers += [writer.commit_offsets(group, (name, 0, 5), version=version, **who) for version in versions]
            answers.append(writer.done(False) if not opened else None)
        writer.add_offsets(group)
    for version in (0, 3, 4, 5):
        answers += [
            writer.commit_offsets("", (name, 0, 5), version=version),
            writer.commit_offsets(group, (name, 0, 5), (name, 9, 5), ("nobody-has-this", 0, 1), version=version),
            writer.commit_offsets(group, (name, 0, 5), version=version, metadata="x" * 4097),
            writer.commit_offsets(group, version=version),
        ]
    return answers


@question
def transactional_offsets_of_members(asker: Asker) -> Any:
    """Members of the group, those of another generation, and static ones that were replaced (KIP-447)."""
    name, writer, answers = asker.topic(), Writer(asker), []
    group = group_for(asker, writer)
    member, generation = joined(asker, group, "static")
    for version in (3, 4, 5):
        if version < 5:
            writer.add_offsets(group)
        for who in (
            {"generation": generation, "member": member, "instance": "static"},
            {"generation": generation, "member": member},
            {"generation": generation + 1, "member": member, "instance": "static"},
            {"generation": generation - 1, "member": member, "instance": "static"},
            {"generation": generation, "member": "somebody", "instance": "static"},
            {"generation": generation, "member": member, "instance": "nobody"},
            {"generation": generation, "member": "somebody"},
            {"generation": -1, "member": member},
            {"generation": -1, "member": "somebody"},
            {},
        ):
            answers.append(writer.commit_offsets(group, (name, 0, version), version=version, **who))
        answers.append(writer.done(True, 5 if version == 5 else 4))
        answers.append(committed(asker, group, name))
    return answers


@question
def transactional_offsets_beside_others(asker: Asker) -> Any:
    """An offset that is committed while a transaction stages another: the later record wins."""
    name, writer = asker.topic(), Writer(asker)
    group = group_for(asker, writer)
    return [
        commit_beside(asker, group, name, 1),
        writer.commit_offsets(group, (name, 0, 2)),
        commit_beside(asker, group, name, 3),
        committed(asker, group, name, stable=False),
        committed(asker, group, name),
        writer.done(),
        committed(asker, group, name),
        commit_beside(asker, group, name, 4),
        writer.commit_offsets(group, (name, 0, 5)),
        writer.commit_offsets(group, (name, 0, 6)),
        writer.done(),
        committed(asker, group, name),
        writer.commit_offsets(group, (name, 0, 7)),
        writer.init(),
        writer.settled().init(),
        committed(asker, group, name),
    ]
