"""CreateAcls (key 30): new access control entries (KIP-140).

Numbers are those of DescribeAcls; the permission is 2 to deny and 3 to allow. Version 3 has users as resources
(KIP-373). One that exists already is not an error.
"""

from felice.wire.schema import Request, Response, Struct, array, int8, int16, int32, string

__all__ = ["CreateAclsRequest", "CreateAclsResponse"]


class CreateAclsRequest(Request["CreateAclsResponse"], key=30, versions="1-3", flexible="2+"):
    class AclCreation(Struct):
        resource_type: int = int8("0+")
        resource_name: str = string("0+")
        resource_pattern_type: int = int8("1+", default=3)
        principal: str = string("0+")
        host: str = string("0+")
        operation: int = int8("0+")
        permission_type: int = int8("0+")

    creations: list[AclCreation] = array(AclCreation, "0+")


class CreateAclsResponse(Response, answers=CreateAclsRequest):
    class AclCreationResult(Struct):
        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+")

    throttle_time_ms: int = int32("0+")
    results: list[AclCreationResult] = array(AclCreationResult, "0+")
