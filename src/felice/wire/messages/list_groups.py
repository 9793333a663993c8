"""ListGroups (key 16): the groups that one broker coordinates; to know all of them, every broker is asked.

Empty filters let everything pass: since version 4 there is one for states (KIP-518), since 5 one for types (KIP-848).
"""

from felice.wire.schema import Request, Response, Struct, array, int16, int32, string

__all__ = ["ListGroupsRequest", "ListGroupsResponse"]


class ListGroupsRequest(Request["ListGroupsResponse"], key=16, versions="0-5", flexible="3+"):
    states_filter: list[str] = array(string, "4+")
    types_filter: list[str] = array(string, "5+")


class ListGroupsResponse(Response, answers=ListGroupsRequest):
    class ListedGroup(Struct):
        group_id: str = string("0+")
        protocol_type: str = string("0+")
        group_state: str = string("4+", ignorable=True)
        group_type: str = string("5+", ignorable=True)

    throttle_time_ms: int = int32("1+", ignorable=True)
    error_code: int = int16("0+")
    groups: list[ListedGroup] = array(ListedGroup, "0+")
