"""DeleteAcls (key 31): deletion of the access control entries that match filters (KIP-140).

Filters are those of DescribeAcls. The answer has what was deleted for each of them; that nothing matched is not an
error.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int8, int16, int32, string

__all__ = ["DeleteAclsRequest", "DeleteAclsResponse"]


class DeleteAclsRequest(Request["DeleteAclsResponse"], key=31, versions="1-3", flexible="2+"):
    class DeleteAclsFilter(Struct):
        resource_type_filter: int = int8("0+")
        resource_name_filter: str | None = string("0+", nullable="0+")
        pattern_type_filter: int = int8("1+", default=3)
        principal_filter: str | None = string("0+", nullable="0+")
        host_filter: str | None = string("0+", nullable="0+")
        operation: int = int8("0+")
        permission_type: int = int8("0+")

    filters: list[DeleteAclsFilter] = array(DeleteAclsFilter, "0+")


class DeleteAclsResponse(Response, answers=DeleteAclsRequest):
    class DeleteAclsFilterResult(Struct):
        class DeleteAclsMatchingAcl(Struct):
            error_code: int = int16("0+")
            error_message: str | None = string("0+", nullable="0+")
            resource_type: int = int8("0+")
            resource_name: str = string("0+")
            pattern_type: int = int8("1+", default=3)
            principal: str = string("0+")
            host: str = string("0+")
            operation: int = int8("0+")
            permission_type: int = int8("0+")

        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+")
        matching_acls: list[DeleteAclsMatchingAcl] = array(DeleteAclsMatchingAcl, "0+")

    DeleteAclsMatchingAcl = Alias[DeleteAclsFilterResult.DeleteAclsMatchingAcl]

    throttle_time_ms: int = int32("0+")
    filter_results: list[DeleteAclsFilterResult] = array(DeleteAclsFilterResult, "0+")
