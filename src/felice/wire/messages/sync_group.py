"""SyncGroup (key 14): a member of a group of the classic protocol asks for what is assigned to it.

The leader sends everyone's assignments; the others send none, and are answered when the leader's have come. Version 3
has static members (KIP-345); in 5 both sides say which protocol they mean, and where they differ the answer is
INCONSISTENT_GROUP_PROTOCOL (KIP-559).
"""

from felice.wire.schema import Request, Response, Struct, array, binary, int16, int32, string

__all__ = ["SyncGroupRequest", "SyncGroupResponse"]


class SyncGroupRequest(Request["SyncGroupResponse"], key=14, versions="0-5", flexible="4+"):
    class Assignment(Struct):
        member_id: str = string("0+")
        assignment: bytes = binary("0+")

    group_id: str = string("0+")
    generation_id: int = int32("0+")
    member_id: str = string("0+")
    group_instance_id: str | None = string("3+", nullable="3+", default=None)
    protocol_type: str | None = string("5+", nullable="5+", default=None, ignorable=True)
    protocol_name: str | None = string("5+", nullable="5+", default=None, ignorable=True)
    assignments: list[Assignment] = array(Assignment, "0+")


class SyncGroupResponse(Response, answers=SyncGroupRequest):
    throttle_time_ms: int = int32("1+", ignorable=True)
    error_code: int = int16("0+")
    protocol_type: str | None = string("5+", nullable="5+", default=None, ignorable=True)
    protocol_name: str | None = string("5+", nullable="5+", default=None, ignorable=True)
    assignment: bytes = binary("0+")
