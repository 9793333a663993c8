"""WriteTxnMarkers: markers from outside, as an admin sends them to end a transaction that hangs (KIP-664)."""

import asyncio
from collections.abc import Iterable
from typing import Any, TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.confirmation import Confirmation, Unconfirmed
from felice.broker.refusal import Refused
from felice.broker.transactions.markers import mark
from felice.broker.transactions.transaction import Identity
from felice.errors import ErrorCode
from felice.wire.messages.write_txn_markers import WriteTxnMarkersRequest, WriteTxnMarkersResponse

__all__ = ["HANDLER"]

Marker: TypeAlias = WriteTxnMarkersRequest.WritableTxnMarker
PartitionResult: TypeAlias = WriteTxnMarkersResponse.WritableTxnMarkerPartitionResult


def _handle(call: Call, request: WriteTxnMarkersRequest) -> "WriteTxnMarkersResponse | asyncio.Future[Any]":
    """Write markers to the partitions that this node leads, with acks=all."""
    waiting: list[Unconfirmed[PartitionResult]] = []
    response = WriteTxnMarkersResponse(
        markers=[
            WriteTxnMarkersResponse.WritableTxnMarkerResult(
                producer_id=marker.producer_id,
                topics=[
                    WriteTxnMarkersResponse.WritableTxnMarkerTopicResult(
                        name=topic.name,
                        partitions=[
                            _mark(call, marker, topic.name, index, waiting) for index in topic.partition_indexes
                        ],
                    )
                    for topic in marker.topics
                ],
            )
            for marker in request.markers
        ]
    )
    if not waiting:
        return response
    seconds = call.cluster.settings.number("request.timeout.ms") / 1000
    return Confirmation(call.loop, call.node.id, waiting, seconds, lambda: response).future


def _mark(
    call: Call, marker: Marker, topic: str, index: int, waiting: list[Unconfirmed[PartitionResult]]
) -> PartitionResult:
    """Write one marker; what not all replicas in sync have goes to those that wait."""
    result = PartitionResult(partition_index=index, error_code=ErrorCode.NONE)
    try:
        call.check_faults(topic, index)
        if not call.may(Operation.ALTER, Resource.CLUSTER):
            call.authorize(Operation.CLUSTER_ACTION, Resource.CLUSTER)
        if marker.producer_id < 0 or marker.producer_epoch < 0:
            raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR, "no batch has such a producer")
        if call.node.id not in call.cluster.partition(topic, index).replicas:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "this node has no replica")
        partition = call.led_partition(topic, index)
        if partition.is_short:
            raise Refused(ErrorCode.NOT_ENOUGH_REPLICAS, "a marker is written with acks=all")
        end = mark(
            call.cluster,
            topic,
            partition,
            Identity(marker.producer_id, marker.producer_epoch),
            committed=marker.transaction_result,
            coordinator_epoch=marker.coordinator_epoch,
            version=marker.transaction_version,
        )
        if partition.high_watermark < end:
            waiting.append(Unconfirmed(partition, end, result))
    except Refused as refused:
        result.error_code = refused.code
    return result


def _partitions(call: Call, request: WriteTxnMarkersRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return (
        (topic.name, index)
        for marker in request.markers
        for topic in marker.topics
        for index in topic.partition_indexes
    )


HANDLER = Handler(_handle, _partitions)
