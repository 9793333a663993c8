"""OffsetCommit: what a group has read so far."""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from felice.broker.call import Call, Handler
from felice.broker.coordination import Kind
from felice.broker.groups.group import Claim
from felice.broker.groups.offsets import Committed
from felice.broker.refusal import Refused
from felice.broker.topics import Topic
from felice.errors import ErrorCode
from felice.wire.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse

__all__ = ["HANDLER"]

IDS_FROM = 10
BROKERS_RETENTION = -1

Asked: TypeAlias = OffsetCommitRequest.Topic.Partition


class _Commit(NamedTuple):
    """One partition's offset, as the request has it."""

    topic: Topic
    asked: Asked


class _Answer:
    """Codes by topic and partition, in the order in which they are found."""

    def __init__(self) -> None:
        self._topics: dict[tuple[str, bytes], OffsetCommitResponse.Topic] = {}

    def add(self, name: str, topic_id: bytes, partition: int, code: ErrorCode) -> None:
        """Answer for one partition."""
        topic = self._topics.get((name, topic_id))
        if topic is None:
            topic = self._topics[name, topic_id] = OffsetCommitResponse.Topic(name=name, topic_id=topic_id)
        topic.partitions.append(OffsetCommitResponse.Topic.Partition(partition_index=partition, error_code=code))

    def response(self) -> OffsetCommitResponse:
        """Return all of it."""
        return OffsetCommitResponse(topics=list(self._topics.values()))


def _handle(call: Call, request: OffsetCommitRequest) -> OffsetCommitResponse:
    """Commit what is of partitions that exist; as in Kafka, the others are answered for first."""
    answer = _Answer()
    commits: list[_Commit] = []
    for asked_topic in request.topics:
        for asked in asked_topic.partitions:
            try:
                commits.append(_Commit(_topic(call, asked_topic, asked.partition_index), asked))
            except Refused as refused:
                answer.add(asked_topic.name, asked_topic.topic_id, asked.partition_index, refused.code)
    if commits:
        codes = _commit(call, request, commits)
        for (topic, asked), code in zip(commits, codes, strict=True):
            by_id = call.version >= IDS_FROM
            answer.add("" if by_id else topic.name, topic.id if by_id else bytes(16), asked.partition_index, code)
    return answer.response()


def _topic(call: Call, asked: OffsetCommitRequest.Topic, partition: int) -> Topic:
    """Return the topic that is meant, or refuse where it has no such partition."""
    cluster = call.cluster
    topic = cluster.topic_by_id(asked.topic_id) if call.version >= IDS_FROM else cluster.topic(asked.name)
    if topic.partition(partition) is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    call.check_faults(topic.name, partition)
    return topic


def _commit(call: Call, request: OffsetCommitRequest, commits: list[_Commit]) -> list[ErrorCode]:
    """Commit what the group lets in; return how that went for each."""
    groups, now = call.cluster.groups, call.cluster.clock.time_ms()
    claim = Claim(request.member_id, request.group_instance_id, request.generation_id_or_member_epoch)
    expires = None if request.retention_time_ms == BROKERS_RETENTION else now + request.retention_time_ms
    longest = call.cluster.settings.number("offset.metadata.max.bytes")
    accepted: dict[tuple[str, int], Committed] = {}
    codes = []
    try:
        call.check_coordinator(Kind.GROUP, request.group_id)
        group, check = groups.for_commit(request.group_id, claim, transactional=False, version=call.version)
        for topic, asked in commits:
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
    except Refused as refused:
        return [refused.code] * len(commits)
    groups.commit(group, accepted)
    return codes


def _partitions(call: Call, request: OffsetCommitRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are committed."""
    for asked in request.topics:
        topic = call.cluster.topics_by_id.get(asked.topic_id)
        name = asked.name if topic is None else topic.name
        for partition in asked.partitions:
            yield name, partition.partition_index


HANDLER = Handler(_handle, _partitions)
