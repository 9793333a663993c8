"""Produce: appends record batches to partitions."""

import asyncio
from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.admission import admit, transactional_producer
from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.confirmation import Confirmation, Unconfirmed
from felice.broker.partition import Partition
from felice.broker.refusal import Hangup, Refused
from felice.broker.setting import Settings
from felice.broker.topics import Topic
from felice.broker.transactions.enlisting import Client, enlist
from felice.broker.transactions.transaction import Identity
from felice.errors import ErrorCode
from felice.wire.messages.produce import ProduceRequest, ProduceResponse
from felice.wire.records import read_header

__all__ = ["HANDLER"]

NO_ACKS = 0
ALL_IN_SYNC = -1
NOWHERE = -1
IDS_FROM = 13
HINTS_FROM = 10
ABORTABLE_FROM = 11
BUMPED_FROM = 12

Asked: TypeAlias = ProduceRequest.PartitionProduceData
Result: TypeAlias = ProduceResponse.PartitionProduceResponse
LeaderIdAndEpoch: TypeAlias = ProduceResponse.LeaderIdAndEpoch


def _handle(call: Call, request: ProduceRequest) -> "ProduceResponse | asyncio.Future[ProduceResponse] | None":
    """Append what can be appended; without acks, a failure closes the connection, as there is no answer to tell it."""
    response = ProduceResponse()
    failed: list[Refused] = []
    waiting: list[Unconfirmed[Result]] = []
    refused = _wholly_refused(call, request)
    for data in request.topic_data:
        results = [
            _append(call, request, data, asked, response, failed, waiting, refused) for asked in data.partition_data
        ]
        response.responses.append(
            ProduceResponse.TopicProduceResponse(name=data.name, topic_id=data.topic_id, partition_responses=results)
        )
    if waiting:
        seconds = request.timeout_ms / 1000
        return Confirmation(
            call.loop, call.node.id, waiting, seconds, lambda: _confirmed(call, waiting, response)
        ).future
    if request.acks != NO_ACKS:
        return response
    if failed:
        raise Hangup(f"a Produce request without acks failed: {failed[0]}")
    return None


def _append(
    call: Call,
    request: ProduceRequest,
    data: ProduceRequest.TopicProduceData,
    asked: Asked,
    response: ProduceResponse,
    failed: list[Refused],
    waiting: list[Unconfirmed[Result]],
    refused: Refused | None,
) -> Result:
    """Append to one partition."""
    topic: Topic | None = None
    try:
        if call.faults:
            call.check_faults(_name(call, data), asked.index)
        if refused is not None:
            raise refused
        if request.acks not in (NO_ACKS, 1, ALL_IN_SYNC):
            raise Refused(ErrorCode.INVALID_REQUIRED_ACKS)
        cluster = call.cluster
        topic = cluster.topic_by_id(data.topic_id) if call.version >= IDS_FROM else cluster.topics.get(data.name)
        name = data.name if topic is None else topic.name
        partition = call.led_partition(name, asked.index, Operation.WRITE)
        topic = cluster.topic(name)
        if topic.is_internal:
            raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION)
        settings = cluster.settings_of(topic, call.node.id)
        if request.acks == ALL_IN_SYNC and _short_of_replicas(partition, settings):
            raise Refused(ErrorCode.NOT_ENOUGH_REPLICAS, position_known=True)
        now = cluster.clock.time_ms()
        offset, append_time = admit(
            asked.records,
            partition,
            settings,
            version=call.version,
            now=now,
            producers_since=now - cluster.settings.number("producer.id.expiration.ms"),
            enlist=lambda *writer: enlist(
                cluster, request.transactional_id or "", Identity(*writer), name, asked.index, _client(call.version)
            ),
        )
        result = Result(
            index=asked.index,
            base_offset=offset,
            log_append_time_ms=append_time,
            log_start_offset=partition.log.start_offset,
        )
        if request.acks == ALL_IN_SYNC and partition.high_watermark < partition.log.end_offset:
            end = offset + read_header(asked.records or b"").count
            if partition.high_watermark < end:
                waiting.append(Unconfirmed(partition, end, result))
        return result
    except Refused as reason:
        failed.append(reason)
        found = topic.partition(asked.index) if topic is not None else None
        return _refused(call, asked.index, found, reason, response)


def _wholly_refused(call: Call, request: ProduceRequest) -> Refused | None:
    """Return why none of a request's batches is taken: a transaction needs an ID, and has one producer only."""
    writers = {
        transactional_producer(asked.records) for data in request.topic_data for asked in data.partition_data
    } - {None}
    if writers and (
        request.transactional_id is None
        or not call.may(Operation.WRITE, Resource.TRANSACTIONAL_ID, request.transactional_id)
    ):
        return Refused(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactional records without an ID to use")
    if len(writers) > 1:
        return Refused(
            ErrorCode.INVALID_PRODUCER_ID_MAPPING, "transactional records of more than one producer", shown=True
        )
    return None


def _client(version: int) -> Client:
    """Return what a client understands that sends this version."""
    if version >= BUMPED_FROM:
        return Client.BUMPED
    return Client.ABORTABLE if version >= ABORTABLE_FROM else Client.OLD


def _short_of_replicas(partition: Partition, settings: Settings) -> bool:
    """Tell whether fewer replicas than wanted are in sync; no more are wanted than there are (KIP-966)."""
    return len(partition.in_sync) < min(settings.number("min.insync.replicas"), len(partition.replicas))


def _refused(
    call: Call, index: int, partition: Partition | None, refused: Refused, response: ProduceResponse
) -> Result:
    """Say why nothing was appended; where another node leads, say which (KIP-951)."""
    result = Result(index=index, error_code=refused.code, base_offset=NOWHERE, error_message=refused.shown)
    if partition is not None and refused.position_known:
        result.log_start_offset = partition.log.start_offset
    result.record_errors = [
        ProduceResponse.BatchIndexAndErrorMessage(batch_index=number, batch_index_error_message=reason)
        for number, reason in refused.records
    ]
    if refused.code == ErrorCode.NOT_LEADER_OR_FOLLOWER and partition is not None:
        _hint(call, partition, result, response)
    return result


def _confirmed(call: Call, waited: Iterable[Unconfirmed[Result]], response: ProduceResponse) -> ProduceResponse:
    """Return the answer to a request that waited, when it is known how that ended."""
    for partition, _, result in waited:
        if result.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER:
            _hint(call, partition, result, response)
    return response


def _hint(call: Call, partition: Partition, result: Result, response: ProduceResponse) -> None:
    """Say which node leads (KIP-951)."""
    if call.version >= HINTS_FROM:
        result.current_leader = LeaderIdAndEpoch(leader_id=partition.leader, leader_epoch=partition.leader_epoch)
        node = call.cluster.nodes.get(partition.leader)
        if node is not None and all(known.node_id != node.id for known in response.node_endpoints):
            response.node_endpoints.append(
                ProduceResponse.NodeEndpoint(node_id=node.id, host=node.host, port=node.port, rack=node.rack)
            )


def _partitions(call: Call, request: ProduceRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are written to."""
    return ((_name(call, data), asked.index) for data in request.topic_data for asked in data.partition_data)


def _name(call: Call, data: ProduceRequest.TopicProduceData) -> str:
    """Return the name of a topic that is written to, whichever way the request's version says it."""
    topic = call.cluster.topics_by_id.get(data.topic_id)
    return data.name if topic is None else topic.name


HANDLER = Handler(_handle, _partitions)
