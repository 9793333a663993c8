"""TxnOffsetCommit: what a group has read, to count when a transaction commits (KIP-98, KIP-447)."""

import asyncio
from collections.abc import Iterable
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.coordination import OFFSETS_TOPIC, Kind
from felice.broker.groups.group import Claim
from felice.broker.groups.offsets import Committed
from felice.broker.refusal import Refused
from felice.broker.transactions.enlisting import Client, enlist
from felice.broker.transactions.transaction import Identity
from felice.errors import ErrorCode
from felice.wire.messages.txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse

__all__ = ["HANDLER"]

ABORTABLE_FROM = 4
BUMPED_FROM = 5


def _handle(call: Call, request: TxnOffsetCommitRequest) -> "TxnOffsetCommitResponse | asyncio.Future[Any]":
    """Stage what is of partitions that exist; as in Kafka, the others are answered for first."""
    codes: dict[tuple[str, int], ErrorCode] = {}
    offsets: dict[tuple[str, int], Committed] = {}
    now = call.cluster.clock.time_ms()
    for topic in request.topics:
        for asked in topic.partitions:
            key = topic.name, asked.partition_index
            code = _refusal(call, request, *key)
            found = call.cluster.topics.get(topic.name)
            if code:
                codes[key] = code
            elif found is None or found.partition(asked.partition_index) is None:
                codes[key] = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                offsets[key] = Committed(
                    asked.committed_offset, asked.committed_leader_epoch, asked.committed_metadata or "", now
                )
    if offsets:
        codes.update(_stage(call, request, offsets))
    response = _answer(codes)
    if ErrorCode.NONE not in codes.values():
        return response
    return call.when_written(
        Kind.GROUP, request.group_id, response, lambda code: _answer(codes | dict.fromkeys(offsets, code))
    )


def _answer(codes: dict[tuple[str, int], ErrorCode]) -> TxnOffsetCommitResponse:
    """Return the codes by topic."""
    response = TxnOffsetCommitResponse()
    topics: dict[str, TxnOffsetCommitResponse.Topic] = {}
    for (name, index), code in codes.items():
        answer = topics.get(name)
        if answer is None:
            answer = topics[name] = TxnOffsetCommitResponse.Topic(name=name)
            response.topics.append(answer)
        answer.partitions.append(TxnOffsetCommitResponse.Partition(partition_index=index, error_code=code))
    return response


def _refusal(call: Call, request: TxnOffsetCommitRequest, topic: str, index: int) -> ErrorCode:
    """Return why a partition's offset is not for this client to commit, or what a fault says, or NONE."""
    if call.guard is None and not call.faults:
        return ErrorCode.NONE
    try:
        call.check_faults(topic, index)
        call.authorize(Operation.WRITE, Resource.TRANSACTIONAL_ID, request.transactional_id)
        call.authorize(Operation.READ, Resource.GROUP, request.group_id)
        call.authorize(Operation.READ, Resource.TOPIC, topic)
    except Refused as refused:
        return refused.code
    return ErrorCode.NONE


def _stage(
    call: Call, request: TxnOffsetCommitRequest, offsets: dict[tuple[str, int], Committed]
) -> dict[tuple[str, int], ErrorCode]:
    """Stage offsets in the producer's transaction; return how that went for each."""
    identity = Identity(request.producer_id, request.producer_epoch)
    longest = call.cluster.settings.number("offset.metadata.max.bytes")
    groups = call.cluster.groups
    try:
        if not request.group_id:
            raise Refused(ErrorCode.INVALID_GROUP_ID)
        call.check_coordinator(Kind.GROUP, request.group_id)
        _enlist(call, request, identity)
        claim = Claim(request.member_id, request.group_instance_id, request.generation_id)
        group, check = groups.for_commit(request.group_id, claim, transactional=True, version=call.version)
        if check is not None:
            for topic, index in offsets:
                check(topic, index)
        accepted = {key: offset for key, offset in offsets.items() if len(offset.metadata) <= longest}
        groups.stage(group, identity, accepted)
    except Refused as refused:
        return dict.fromkeys(offsets, refused.code)
    return {key: ErrorCode.NONE if key in accepted else ErrorCode.OFFSET_METADATA_TOO_LARGE for key in offsets}


def _enlist(call: Call, request: TxnOffsetCommitRequest, identity: Identity) -> None:
    """Let the partition that keeps the group's offsets join the transaction; refuse in a group coordinator's codes."""
    home = call.cluster.coordination.partition(Kind.GROUP, request.group_id)
    if home.producers.in_transaction(*identity):
        return
    try:
        enlist(call.cluster, request.transactional_id, identity, OFFSETS_TOPIC, home.index, _client(call.version))
    except Refused as refused:
        if refused.code is ErrorCode.NOT_ENOUGH_REPLICAS:
            raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE, refused.message) from None
        raise


def _client(version: int) -> Client:
    """Return what a client understands that sends this version."""
    if version >= BUMPED_FROM:
        return Client.BUMPED
    return Client.ABORTABLE if version >= ABORTABLE_FROM else Client.OLD


def _partitions(call: Call, request: TxnOffsetCommitRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are committed."""
    return ((topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)


HANDLER = Handler(_handle, _partitions)
