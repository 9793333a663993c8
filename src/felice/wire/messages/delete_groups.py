"""DeleteGroups (key 42): deletion of groups and of their offsets (KIP-229).

A group that has members is answered NON_EMPTY_GROUP. Each group is asked of its own coordinator.
"""

from felice.wire.schema import Request, Response, Struct, array, int16, int32, string

__all__ = ["DeleteGroupsRequest", "DeleteGroupsResponse"]


class DeleteGroupsRequest(Request["DeleteGroupsResponse"], key=42, versions="0-2", flexible="2+"):
    groups_names: list[str] = array(string, "0+")


class DeleteGroupsResponse(Response, answers=DeleteGroupsRequest):
    class DeletableGroupResult(Struct):
        group_id: str = string("0+")
        error_code: int = int16("0+")

    throttle_time_ms: int = int32("0+")
    results: list[DeletableGroupResult] = array(DeletableGroupResult, "0+")
