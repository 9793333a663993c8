"""DescribeLogDirs: what lies in a broker's directory (KIP-113, KIP-827, KIP-1066). There is one, and it is memory."""

import os
from collections.abc import Iterable
from typing import Final, TypeAlias

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler
from felice.broker.partition import Partition
from felice.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse

__all__ = ["HANDLER"]

UNKNOWN: Final = -1

DirPartition: TypeAlias = DescribeLogDirsResponse.DescribeLogDirsPartition


def _handle(call: Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse:
    """Describe the replicas of this node that are asked for, or all."""
    code = call.error(Operation.DESCRIBE, whole=True)
    if code:
        return DescribeLogDirsResponse(error_code=code)
    found: dict[str, list[DirPartition]] = {}
    for topic, index in _partitions(call, request):
        partition = call.cluster.topics[topic].partition(index) if topic in call.cluster.topics else None
        if partition is not None and call.node.id in partition.replicas:
            found.setdefault(topic, []).append(_described(partition, call.node.id))
    total, usable = _memory()
    settings = call.cluster.own_settings.get(call.node.id, call.cluster.settings)
    cordoned = settings["cordoned.log.dirs"]
    return DescribeLogDirsResponse(
        results=[
            DescribeLogDirsResponse.DescribeLogDirsResult(
                log_dir=call.node.log_dir,
                topics=[
                    DescribeLogDirsResponse.DescribeLogDirsTopic(name=name, partitions=partitions)
                    for name, partitions in found.items()
                ],
                total_bytes=total,
                usable_bytes=usable,
                is_cordoned=isinstance(cordoned, tuple) and call.node.log_dir in cordoned,
            )
        ]
    )


def _described(partition: Partition, node_id: int) -> DirPartition:
    """Describe one replica; a log that lags is taken to be as large as the leader's."""
    lag = max(0, partition.high_watermark - partition.end_of(node_id))
    return DirPartition(partition_index=partition.index, partition_size=partition.log.size, offset_lag=lag)


def _memory() -> tuple[int, int]:
    """Return the bytes of memory that there are, and that are free; -1 where the system does not tell."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        return os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page
    except (AttributeError, OSError, ValueError):
        return UNKNOWN, UNKNOWN


def _partitions(call: Call, request: DescribeLogDirsRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are asked for."""
    if request.topics is None:
        return ((name, part.index) for name, topic in call.cluster.topics.items() for part in topic.partitions)
    return ((topic.topic, index) for topic in request.topics for index in topic.partitions)


HANDLER = Handler(_handle, _partitions)
