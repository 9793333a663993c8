"""DescribeAcls (key 29): the access control entries that match a filter (KIP-140).

Resource types are not numbered as in DescribeConfigs: 2 topic, 3 group, 4 cluster, 5 transactional ID, 6 delegation
token, and since version 3 also 7 user (KIP-373). In filters 1 means any, and null any name. Pattern types are 3 literal
and 4 prefixed; in a filter also 1 any, and 2 all that apply to the name (KIP-290).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int8, int16, int32, string

__all__ = ["DescribeAclsRequest", "DescribeAclsResponse"]


class DescribeAclsRequest(Request["DescribeAclsResponse"], key=29, versions="1-3", flexible="2+"):
    resource_type_filter: int = int8("0+")
    resource_name_filter: str | None = string("0+", nullable="0+")
    pattern_type_filter: int = int8("1+", default=3)
    principal_filter: str | None = string("0+", nullable="0+")
    host_filter: str | None = string("0+", nullable="0+")
    operation: int = int8("0+")
    permission_type: int = int8("0+")


class DescribeAclsResponse(Response, answers=DescribeAclsRequest):
    class DescribeAclsResource(Struct):
        class AclDescription(Struct):
            principal: str = string("0+")
            host: str = string("0+")
            operation: int = int8("0+")
            permission_type: int = int8("0+")

        resource_type: int = int8("0+")
        resource_name: str = string("0+")
        pattern_type: int = int8("1+", default=3)
        acls: list[AclDescription] = array(AclDescription, "0+")

    AclDescription = Alias[DescribeAclsResource.AclDescription]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+")
    resources: list[DescribeAclsResource] = array(DescribeAclsResource, "0+")
