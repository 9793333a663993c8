"""ListPartitionReassignments: partitions that are moving to other replicas (KIP-455)."""

from collections.abc import Iterable

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler
from felice.broker.partition import Partition
from felice.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)

__all__ = ["HANDLER"]


def _handle(call: Call, request: ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse:
    """List what is under way, of all or of the partitions that are named."""
    code = call.error(Operation.DESCRIBE, whole=True)
    if code:
        return ListPartitionReassignmentsResponse(error_code=code, error_message=code.name)
    moving: dict[str, list[Partition]] = {}
    for topic, index in _partitions(call, request):
        found = call.cluster.topics.get(topic)
        partition = None if found is None else found.partition(index)
        if partition is not None and (partition.adding or partition.removing):
            moving.setdefault(topic, []).append(partition)
    return ListPartitionReassignmentsResponse(
        error_message=None,
        topics=[
            ListPartitionReassignmentsResponse.OngoingTopicReassignment(
                name=topic,
                partitions=[
                    ListPartitionReassignmentsResponse.OngoingPartitionReassignment(
                        partition_index=partition.index,
                        replicas=list(partition.replicas),
                        adding_replicas=list(partition.adding),
                        removing_replicas=list(partition.removing),
                    )
                    for partition in partitions
                ],
            )
            for topic, partitions in moving.items()
        ],
    )


def _partitions(call: Call, request: ListPartitionReassignmentsRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are asked for."""
    if request.topics is None:
        return ((name, part.index) for name, topic in call.cluster.topics.items() for part in topic.partitions)
    return ((topic.name, index) for topic in request.topics for index in topic.partition_indexes)


HANDLER = Handler(_handle, _partitions)
