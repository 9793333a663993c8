"""JoinGroup (key 11): a member's entry into a group of the classic protocol, and into each new generation of it.

The answer comes when all members have joined, or after the rebalance timeout (since version 1; before, the session's
timeout stands for both). Only the leader's answer lists the members, each with what its subscription says.

Since version 4 a new member is answered MEMBER_ID_REQUIRED, with the ID to ask again with (KIP-394). Version 5 has
static members (KIP-345), 7 answers with the protocol's type (KIP-559), 8 takes a reason (KIP-800), and in 9 a static
leader that comes back may be told to assign nothing (KIP-814).
"""

from felice.wire.schema import Request, Response, Struct, array, binary, boolean, int16, int32, string

__all__ = ["JoinGroupRequest", "JoinGroupResponse"]


class JoinGroupRequest(Request["JoinGroupResponse"], key=11, versions="0-9", flexible="6+"):
    class Protocol(Struct):
        name: str = string("0+")
        metadata: bytes = binary("0+")

    group_id: str = string("0+")
    session_timeout_ms: int = int32("0+")
    rebalance_timeout_ms: int = int32("1+", default=-1, ignorable=True)
    member_id: str = string("0+")
    group_instance_id: str | None = string("5+", nullable="5+", default=None)
    protocol_type: str = string("0+")
    protocols: list[Protocol] = array(Protocol, "0+")
    reason: str | None = string("8+", nullable="8+", default=None, ignorable=True)


class JoinGroupResponse(Response, answers=JoinGroupRequest):
    class Member(Struct):
        member_id: str = string("0+")
        group_instance_id: str | None = string("5+", nullable="5+", default=None, ignorable=True)
        metadata: bytes = binary("0+")

    throttle_time_ms: int = int32("2+", ignorable=True)
    error_code: int = int16("0+")
    generation_id: int = int32("0+", default=-1)
    protocol_type: str | None = string("7+", nullable="7+", default=None, ignorable=True)
    protocol_name: str | None = string("0+", nullable="7+")
    leader: str = string("0+")
    skip_assignment: bool = boolean("9+")
    member_id: str = string("0+")
    members: list[Member] = array(Member, "0+")
