"""OffsetCommit: what a group has read so far."""

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.coordination import Kind
from felice.broker.groups.group import Claim
from felice.broker.groups.offsets import Committed
from felice.broker.java import long
from felice.broker.refusal import Refused
from felice.broker.topics import Topic
from felice.errors import ErrorCode
from felice.wire.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse

__all__ = ["HANDLER"]

IDS_FROM = 10
BROKERS_RETENTION = -1

Asked: TypeAlias = OffsetCommitRequest.Topic.Partition
Answer: TypeAlias = OffsetCommitResponse.Topic.Partition


class _Commit(NamedTuple):
    """One partition's offset, and which of the request's topics has it."""

    number: int
    topic: Topic
    asked: Asked


def _handle(call: Call, request: OffsetCommitRequest) -> "OffsetCommitResponse | asyncio.Future[Any]":
    """Commit what is of partitions that exist."""
    refused: dict[int, list[Answer]] = {}
    commits: list[_Commit] = []
    for number, topic in enumerate(request.topics):
        for asked in topic.partitions:
            try:
                commits.append(_Commit(number, _topic(call, request.group_id, topic, asked.partition_index), asked))
            except Refused as no:
                answer = Answer(partition_index=asked.partition_index, error_code=no.code)
                refused.setdefault(number, []).append(answer)

    def answered(codes: Iterable[ErrorCode]) -> OffsetCommitResponse:
        accepted: dict[int, list[Answer]] = {}
        for commit, code in zip(commits, codes, strict=True):
            answer = Answer(partition_index=commit.asked.partition_index, error_code=code)
            accepted.setdefault(commit.number, []).append(answer)
        return OffsetCommitResponse(topics=_merged(request, refused, accepted))

    codes = _commit(call, request, commits)
    if ErrorCode.NONE not in codes:
        return answered(codes)
    return call.when_written(Kind.GROUP, request.group_id, answered(codes), lambda code: answered([code] * len(codes)))


def _merged(
    request: OffsetCommitRequest, refused: dict[int, list[Answer]], accepted: dict[int, list[Answer]]
) -> list[OffsetCommitResponse.Topic]:
    """Return the answers for all partitions: as in Kafka, the refused ones come first, and have their topics once."""
    topics: list[OffsetCommitResponse.Topic] = []
    known: dict[tuple[str, bytes], OffsetCommitResponse.Topic] = {}
    for answers in (refused, accepted):
        for number, partitions in answers.items():
            asked = request.topics[number]
            key = asked.name, asked.topic_id
            if refused and key in known:
                known[key].partitions.extend(partitions)
            else:
                known[key] = OffsetCommitResponse.Topic(name=key[0], topic_id=key[1], partitions=partitions)
                topics.append(known[key])
    return topics


def _topic(call: Call, group_id: str, asked: OffsetCommitRequest.Topic, partition: int) -> Topic:
    """Return the topic that is meant, or refuse where it has no such partition, or is not for this client."""
    cluster, by_id = call.cluster, call.version >= IDS_FROM
    if call.faults:
        known = cluster.topics_by_id.get(asked.topic_id) if by_id else None
        call.check_faults(asked.name if known is None else known.name, partition)
    if call.guard is not None:
        call.authorize(Operation.READ, Resource.GROUP, group_id)
    name = cluster.topic_by_id(asked.topic_id).name if by_id else asked.name
    if call.guard is not None:
        call.authorize(Operation.READ, Resource.TOPIC, name)
    topic = cluster.topic(name)
    if topic.partition(partition) is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return topic


def _commit(call: Call, request: OffsetCommitRequest, commits: list[_Commit]) -> list[ErrorCode]:
    """Commit what the group lets in; return how that went for each."""
    if not commits:
        return []
    groups, now = call.cluster.groups, call.cluster.clock.time_ms()
    claim = Claim(request.member_id, request.group_instance_id, request.generation_id_or_member_epoch)
    expires = None if request.retention_time_ms == BROKERS_RETENTION else long(now + request.retention_time_ms)
    longest = call.cluster.settings.number("offset.metadata.max.bytes")
    accepted: dict[tuple[str, int], Committed] = {}
    codes = []
    try:
        call.check_coordinator(Kind.GROUP, request.group_id)
        group, check = groups.for_commit(request.group_id, claim, transactional=False, version=call.version)
        for _, topic, asked in commits:
            if check is not None:
                check(topic.name, asked.partition_index)
            metadata = asked.committed_metadata or ""
            if len(metadata) > longest:
                codes.append(ErrorCode.OFFSET_METADATA_TOO_LARGE)
                continue
            codes.append(ErrorCode.NONE)
            accepted[topic.name, asked.partition_index] = Committed(
                asked.committed_offset, asked.committed_leader_epoch, metadata, now, expires, topic.id
            )
        groups.commit(group, accepted)
    except Refused as refused:
        return [refused.code] * len(commits)
    return codes


def _partitions(call: Call, request: OffsetCommitRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are committed."""
    for asked in request.topics:
        topic = call.cluster.topics_by_id.get(asked.topic_id)
        name = asked.name if topic is None else topic.name
        for partition in asked.partitions:
            yield name, partition.partition_index


HANDLER = Handler(_handle, _partitions)
