"""ElectLeaders (key 43): elections of the preferred replicas as leaders (KIP-183).

Null partitions mean all of them. In version 1 there is also the type 1: any live replica, where none is in sync and
records will be lost (KIP-460). Where the leader is right already the answer is ELECTION_NOT_NEEDED.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int8, int16, int32, string

__all__ = ["ElectLeadersRequest", "ElectLeadersResponse"]


class ElectLeadersRequest(Request["ElectLeadersResponse"], key=43, versions="0-2", flexible="2+"):
    class TopicPartitions(Struct):
        topic: str = string("0+")
        partitions: list[int] = array(int32, "0+")

    election_type: int = int8("1+")
    topic_partitions: list[TopicPartitions] | None = array(TopicPartitions, "0+", nullable="0+")
    timeout_ms: int = int32("0+", default=60000)


class ElectLeadersResponse(Response, answers=ElectLeadersRequest):
    class ReplicaElectionResult(Struct):
        class PartitionResult(Struct):
            partition_id: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+")

        topic: str = string("0+")
        partition_result: list[PartitionResult] = array(PartitionResult, "0+")

    PartitionResult = Alias[ReplicaElectionResult.PartitionResult]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("1+")
    replica_election_results: list[ReplicaElectionResult] = array(ReplicaElectionResult, "0+")
