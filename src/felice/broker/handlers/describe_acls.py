"""DescribeAcls: the access control entries that a filter means (KIP-140, KIP-290)."""

from felice.broker.acls import Acl, AclFilter
from felice.broker.authorization import Operation
from felice.broker.authorizing import check_authorizer, check_numbers
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.refusal import Refused
from felice.wire.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: DescribeAclsRequest) -> DescribeAclsResponse:
    """Describe entries, those of one resource together."""
    wanted = AclFilter(
        request.resource_type_filter,
        request.resource_name_filter,
        request.pattern_type_filter,
        request.principal_filter,
        request.host_filter,
        request.operation,
        request.permission_type,
    )
    check_numbers(call, wanted)
    try:
        check_authorizer(call, Operation.DESCRIBE)
    except Refused as refused:
        return DescribeAclsResponse(error_code=refused.code, error_message=refused.message or refused.code.name)
    resources: dict[tuple[int, str, int], list[Acl]] = {}
    for acl in call.cluster.acls.find(wanted):
        resources.setdefault((acl.resource_type, acl.resource_name, acl.pattern_type), []).append(acl)
    return DescribeAclsResponse(
        error_message="",
        resources=[
            DescribeAclsResponse.DescribeAclsResource(
                resource_type=kind,
                resource_name=name,
                pattern_type=pattern,
                acls=[
                    DescribeAclsResponse.AclDescription(
                        principal=acl.principal,
                        host=acl.host,
                        operation=acl.operation,
                        permission_type=acl.permission,
                    )
                    for acl in acls
                ],
            )
            for (kind, name, pattern), acls in resources.items()
        ],
    )


HANDLER = Handler(_handle, no_partitions)
