"""ShareGroupHeartbeat (key 76): all that a member of a share group says to its coordinator (KIP-932).

It joins with epoch 0 and leaves with -1. What is null has not changed since the heartbeat before, in the answer too.
Several members may be assigned the same partition.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, string, struct, uuid

__all__ = ["ShareGroupHeartbeatRequest", "ShareGroupHeartbeatResponse"]


class ShareGroupHeartbeatRequest(Request["ShareGroupHeartbeatResponse"], key=76, versions="1", flexible="0+"):
    group_id: str = string("0+")
    member_id: str = string("0+")
    member_epoch: int = int32("0+")
    rack_id: str | None = string("0+", nullable="0+", default=None)
    subscribed_topic_names: list[str] | None = array(string, "0+", nullable="0+", default=None)


class ShareGroupHeartbeatResponse(Response, answers=ShareGroupHeartbeatRequest):
    class Assignment(Struct):
        class TopicPartitions(Struct):
            topic_id: bytes = uuid("0+")
            partitions: list[int] = array(int32, "0+")

        topic_partitions: list[TopicPartitions] = array(TopicPartitions, "0+")

    TopicPartitions = Alias[Assignment.TopicPartitions]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+", default=None)
    member_id: str | None = string("0+", nullable="0+", default=None)
    member_epoch: int = int32("0+")
    heartbeat_interval_ms: int = int32("0+")
    assignment: Assignment | None = struct(Assignment, "0+", nullable="0+", default=None)
