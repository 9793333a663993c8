"""AlterReplicaLogDirs: replicas move to other directories (KIP-113). There is one only, so they are there already."""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.alter_replica_log_dirs import AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse

__all__ = ["HANDLER"]

Result: TypeAlias = AlterReplicaLogDirsResponse.AlterReplicaLogDirPartitionResult


def _handle(call: Call, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse:
    """Answer for each replica."""
    results: dict[str, list[Result]] = {}
    for asked in request.dirs:
        for topic in asked.topics:
            for index in topic.partitions:
                results.setdefault(topic.name, []).append(_move(call, asked.path, topic.name, index))
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirsResponse.AlterReplicaLogDirTopicResult(topic_name=name, partitions=partitions)
            for name, partitions in results.items()
        ]
    )


def _move(call: Call, path: str, topic: str, index: int) -> Result:
    """Answer for one replica."""
    try:
        call.check_faults(topic, index)
        call.authorize(Operation.ALTER, Resource.CLUSTER)
        if path != call.node.log_dir:
            raise Refused(ErrorCode.LOG_DIR_NOT_FOUND)
        if call.node.id not in call.cluster.partition(topic, index).replicas:
            raise Refused(ErrorCode.REPLICA_NOT_AVAILABLE)
    except Refused as refused:
        return Result(partition_index=index, error_code=refused.code)
    return Result(partition_index=index)


def _partitions(call: Call, request: AlterReplicaLogDirsRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are to move."""
    return ((topic.name, index) for asked in request.dirs for topic in asked.topics for index in topic.partitions)


HANDLER = Handler(_handle, _partitions)
