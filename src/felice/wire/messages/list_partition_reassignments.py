"""ListPartitionReassignments (key 46): the moves of partitions that are under way (KIP-455).

A null list asks for all. A partition that does not move is left out of the answer.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, string

__all__ = ["ListPartitionReassignmentsRequest", "ListPartitionReassignmentsResponse"]


class ListPartitionReassignmentsRequest(
    Request["ListPartitionReassignmentsResponse"], key=46, versions="0", flexible="0+"
):
    class ListPartitionReassignmentsTopics(Struct):
        name: str = string("0+")
        partition_indexes: list[int] = array(int32, "0+")

    timeout_ms: int = int32("0+", default=60000)
    topics: list[ListPartitionReassignmentsTopics] | None = array(
        ListPartitionReassignmentsTopics, "0+", nullable="0+", default=None
    )


class ListPartitionReassignmentsResponse(Response, answers=ListPartitionReassignmentsRequest):
    class OngoingTopicReassignment(Struct):
        class OngoingPartitionReassignment(Struct):
            partition_index: int = int32("0+")
            replicas: list[int] = array(int32, "0+")
            adding_replicas: list[int] = array(int32, "0+")
            removing_replicas: list[int] = array(int32, "0+")

        name: str = string("0+")
        partitions: list[OngoingPartitionReassignment] = array(OngoingPartitionReassignment, "0+")

    OngoingPartitionReassignment = Alias[OngoingTopicReassignment.OngoingPartitionReassignment]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+")
    topics: list[OngoingTopicReassignment] = array(OngoingTopicReassignment, "0+")
