"""AlterPartitionReassignments (key 45): partitions move to other replicas (KIP-455).

The answer comes when the move is decided; ListPartitionReassignments tells what is still under way. Null replicas call
a move off. In version 1 a move that would change the number of replicas can be forbidden (KIP-860).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int16, int32, string

__all__ = ["AlterPartitionReassignmentsRequest", "AlterPartitionReassignmentsResponse"]


class AlterPartitionReassignmentsRequest(
    Request["AlterPartitionReassignmentsResponse"], key=45, versions="0-1", flexible="0+"
):
    class ReassignableTopic(Struct):
        class ReassignablePartition(Struct):
            partition_index: int = int32("0+")
            replicas: list[int] | None = array(int32, "0+", nullable="0+", default=None)

        name: str = string("0+")
        partitions: list[ReassignablePartition] = array(ReassignablePartition, "0+")

    ReassignablePartition = Alias[ReassignableTopic.ReassignablePartition]

    timeout_ms: int = int32("0+", default=60000)
    allow_replication_factor_change: bool = boolean("1+", default=True)
    topics: list[ReassignableTopic] = array(ReassignableTopic, "0+")


class AlterPartitionReassignmentsResponse(Response, answers=AlterPartitionReassignmentsRequest):
    class ReassignableTopicResponse(Struct):
        class ReassignablePartitionResponse(Struct):
            partition_index: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+")

        name: str = string("0+")
        partitions: list[ReassignablePartitionResponse] = array(ReassignablePartitionResponse, "0+")

    ReassignablePartitionResponse = Alias[ReassignableTopicResponse.ReassignablePartitionResponse]

    throttle_time_ms: int = int32("0+")
    allow_replication_factor_change: bool = boolean("1+", default=True, ignorable=True)
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+")
    responses: list[ReassignableTopicResponse] = array(ReassignableTopicResponse, "0+")
