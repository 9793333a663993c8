"""DescribeQuorum (key 55): leader, voters and observers of the metadata's log (KIP-595).

The topic is `__cluster_metadata`, with partition 0; brokers pass the request on to the controller. Version 1 tells when
each replica last fetched and was caught up (KIP-836), 2 has directories, the nodes' endpoints and error messages
(KIP-853).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string, uint16, uuid

__all__ = ["DescribeQuorumRequest", "DescribeQuorumResponse"]


class DescribeQuorumRequest(Request["DescribeQuorumResponse"], key=55, versions="0-2", flexible="0+"):
    class TopicData(Struct):
        class PartitionData(Struct):
            partition_index: int = int32("0+")

        topic_name: str = string("0+")
        partitions: list[PartitionData] = array(PartitionData, "0+")

    PartitionData = Alias[TopicData.PartitionData]

    topics: list[TopicData] = array(TopicData, "0+")


class DescribeQuorumResponse(Response, answers=DescribeQuorumRequest):
    class TopicData(Struct):
        class PartitionData(Struct):
            class ReplicaState(Struct):
                replica_id: int = int32("0+")
                replica_directory_id: bytes = uuid("2+")
                log_end_offset: int = int64("0+")
                last_fetch_timestamp: int = int64("1+", default=-1, ignorable=True)
                last_caught_up_timestamp: int = int64("1+", default=-1, ignorable=True)

            partition_index: int = int32("0+")
            error_code: int = int16("0+")
            error_message: str | None = string("2+", nullable="2+", ignorable=True)
            leader_id: int = int32("0+")
            leader_epoch: int = int32("0+")
            high_watermark: int = int64("0+")
            current_voters: list[ReplicaState] = array(ReplicaState, "0+")
            observers: list[ReplicaState] = array(ReplicaState, "0+")

        topic_name: str = string("0+")
        partitions: list[PartitionData] = array(PartitionData, "0+")

    class Node(Struct):
        class Listener(Struct):
            name: str = string("2+")
            host: str = string("2+")
            port: int = uint16("2+")

        node_id: int = int32("2+")
        listeners: list[Listener] = array(Listener, "2+")

    PartitionData = Alias[TopicData.PartitionData]
    ReplicaState = Alias[TopicData.PartitionData.ReplicaState]
    Listener = Alias[Node.Listener]

    error_code: int = int16("0+")
    error_message: str | None = string("2+", nullable="2+", ignorable=True)
    topics: list[TopicData] = array(TopicData, "0+")
    nodes: list[Node] = array(Node, "2+")
