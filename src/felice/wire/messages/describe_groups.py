"""DescribeGroups (key 15): state and members of groups of the classic protocol.

What members subscribe to and are assigned is filled in only in the state `Stable`. Up to version 5 a group that does
not exist is one in the state `Dead`, without an error; version 6 answers GROUP_ID_NOT_FOUND (KIP-1043). Version 3 has
the authorized operations (KIP-430), 4 static members (KIP-345).
"""

from felice.wire.schema import INT32_MIN, Alias, Request, Response, Struct, array, binary, boolean, int16, int32, string

__all__ = ["DescribeGroupsRequest", "DescribeGroupsResponse"]


class DescribeGroupsRequest(Request["DescribeGroupsResponse"], key=15, versions="0-6", flexible="5+"):
    groups: list[str] = array(string, "0+")
    include_authorized_operations: bool = boolean("3+")


class DescribeGroupsResponse(Response, answers=DescribeGroupsRequest):
    class DescribedGroup(Struct):
        class DescribedGroupMember(Struct):
            member_id: str = string("0+")
            group_instance_id: str | None = string("4+", nullable="4+", default=None, ignorable=True)
            client_id: str = string("0+")
            client_host: str = string("0+")
            member_metadata: bytes = binary("0+")
            member_assignment: bytes = binary("0+")

        error_code: int = int16("0+")
        error_message: str | None = string("6+", nullable="6+", default=None)
        group_id: str = string("0+")
        group_state: str = string("0+")
        protocol_type: str = string("0+")
        protocol_data: str = string("0+")
        members: list[DescribedGroupMember] = array(DescribedGroupMember, "0+")
        authorized_operations: int = int32("3+", default=INT32_MIN)

    DescribedGroupMember = Alias[DescribedGroup.DescribedGroupMember]

    throttle_time_ms: int = int32("1+", ignorable=True)
    groups: list[DescribedGroup] = array(DescribedGroup, "0+")
