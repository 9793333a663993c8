"""AlterPartitionReassignments: partitions move to other replicas (KIP-455, KIP-860)."""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
)

__all__ = ["HANDLER"]

REFUSED = ErrorCode.CLUSTER_AUTHORIZATION_FAILED.name

Asked: TypeAlias = AlterPartitionReassignmentsRequest.ReassignablePartition
Result: TypeAlias = AlterPartitionReassignmentsResponse.ReassignablePartitionResponse


def _handle(call: Call, request: AlterPartitionReassignmentsRequest) -> AlterPartitionReassignmentsResponse:
    """Move partitions, each by itself."""
    may_change = request.allow_replication_factor_change
    kept_out = not call.may(Operation.ALTER, Resource.CLUSTER)
    return AlterPartitionReassignmentsResponse(
        allow_replication_factor_change=may_change,
        error_code=ErrorCode.CLUSTER_AUTHORIZATION_FAILED if kept_out else ErrorCode.NONE,
        error_message=REFUSED if kept_out else None if request.topics else "",
        responses=[
            AlterPartitionReassignmentsResponse.ReassignableTopicResponse(
                name=topic.name,
                partitions=[_reassign(call, topic.name, asked, may_change) for asked in topic.partitions],
            )
            for topic in request.topics
        ],
    )


def _reassign(call: Call, topic: str, asked: Asked, may_change: bool) -> Result:
    """Move one partition."""
    try:
        call.check_faults(topic, asked.partition_index)
        call.authorize(Operation.ALTER, Resource.CLUSTER)
        partition = call.cluster.partition(topic, asked.partition_index)
        if asked.replicas and not may_change and len(asked.replicas) != len(partition.target):
            raise Refused(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"the partition has {len(partition.target)} replicas, and keeps them",
            )
        call.cluster.reassign(partition, asked.replicas)
    except Refused as refused:
        message = (
            None if refused.code == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS else refused.message or refused.code.name
        )
        return Result(partition_index=asked.partition_index, error_code=refused.code, error_message=message)
    return Result(partition_index=asked.partition_index, error_message=None)


def _partitions(call: Call, request: AlterPartitionReassignmentsRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are to move."""
    return ((topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions)


HANDLER = Handler(_handle, _partitions)
