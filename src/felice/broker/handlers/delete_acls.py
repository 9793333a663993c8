"""DeleteAcls: access control entries that filters mean are deleted (KIP-140)."""

from typing import TypeAlias

from felice.broker.acls import Acl, AclFilter
from felice.broker.authorization import Operation
from felice.broker.authorizing import check_authorizer, check_numbers
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.refusal import Refused
from felice.wire.messages.delete_acls import DeleteAclsRequest, DeleteAclsResponse

__all__ = ["HANDLER"]

Result: TypeAlias = DeleteAclsResponse.DeleteAclsFilterResult


def _handle(call: Call, request: DeleteAclsRequest) -> DeleteAclsResponse:
    """Delete entries: all filters are held against what is there before."""
    filters = [
        AclFilter(
            asked.resource_type_filter,
            asked.resource_name_filter,
            asked.pattern_type_filter,
            asked.principal_filter,
            asked.host_filter,
            asked.operation,
            asked.permission_type,
        )
        for asked in request.filters
    ]
    for wanted in filters:
        check_numbers(call, wanted)
    found: list[Acl] = []
    results = [_find(call, wanted, found) for wanted in filters]
    call.cluster.acls.remove(found)
    return DeleteAclsResponse(filter_results=results)


def _find(call: Call, wanted: AclFilter, found: list[Acl]) -> Result:
    """Find what a filter means, and add it to what goes."""
    try:
        check_authorizer(call, Operation.ALTER)
        wanted.check()
    except Refused as refused:
        return Result(error_code=refused.code, error_message=refused.message or refused.code.name)
    acls = call.cluster.acls.find(wanted)
    found += acls
    return Result(
        error_message=None,
        matching_acls=[
            DeleteAclsResponse.DeleteAclsMatchingAcl(
                error_message=None,
                resource_type=acl.resource_type,
                resource_name=acl.resource_name,
                pattern_type=acl.pattern_type,
                principal=acl.principal,
                host=acl.host,
                operation=acl.operation,
                permission_type=acl.permission,
            )
            for acl in acls
        ],
    )


HANDLER = Handler(_handle, no_partitions)
