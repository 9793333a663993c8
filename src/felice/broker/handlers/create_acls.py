"""CreateAcls: new access control entries (KIP-140)."""

from felice.broker.acls import Acl
from felice.broker.authorization import Operation
from felice.broker.authorizing import check_authorizer, check_numbers
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.create_acls import CreateAclsRequest, CreateAclsResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: CreateAclsRequest) -> CreateAclsResponse:
    """Take entries, each by itself."""
    acls = [
        Acl(
            creation.resource_type,
            creation.resource_name,
            creation.resource_pattern_type,
            creation.principal,
            creation.host,
            creation.operation,
            creation.permission_type,
        )
        for creation in request.creations
    ]
    for acl in acls:
        check_numbers(call, acl)
    return CreateAclsResponse(results=[_create(call, acl) for acl in acls])


def _create(call: Call, acl: Acl) -> CreateAclsResponse.AclCreationResult:
    """Take one entry."""
    try:
        check_authorizer(call, Operation.ALTER)
        call.cluster.acls.add(acl)
    except Refused as refused:
        message = None if refused.code == ErrorCode.UNKNOWN_SERVER_ERROR else refused.message or refused.code.name
        return CreateAclsResponse.AclCreationResult(error_code=refused.code, error_message=message)
    return CreateAclsResponse.AclCreationResult(error_message="")


HANDLER = Handler(_handle, no_partitions)
