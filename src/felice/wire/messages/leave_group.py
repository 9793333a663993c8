"""LeaveGroup (key 13): members leave a group of the classic protocol.

Since version 3 many may be removed at once, by an admin too, static ones by their instance ID (KIP-345), and each has
an error of its own; earlier versions use the single field. Version 5 takes a reason (KIP-800).
"""

from felice.wire.schema import Request, Response, Struct, array, int16, int32, string

__all__ = ["LeaveGroupRequest", "LeaveGroupResponse"]


class LeaveGroupRequest(Request["LeaveGroupResponse"], key=13, versions="0-5", flexible="4+"):
    class MemberIdentity(Struct):
        member_id: str = string("3+")
        group_instance_id: str | None = string("3+", nullable="3+", default=None)
        reason: str | None = string("5+", nullable="5+", default=None, ignorable=True)

    group_id: str = string("0+")
    member_id: str = string("0-2")
    members: list[MemberIdentity] = array(MemberIdentity, "3+")


class LeaveGroupResponse(Response, answers=LeaveGroupRequest):
    class MemberResponse(Struct):
        member_id: str = string("3+")
        group_instance_id: str | None = string("3+", nullable="3+")
        error_code: int = int16("3+")

    throttle_time_ms: int = int32("1+", ignorable=True)
    error_code: int = int16("0+")
    members: list[MemberResponse] = array(MemberResponse, "3+")
