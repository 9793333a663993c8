"""DeleteGroups: groups without members go, and their offsets with them (KIP-229)."""

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse:
    """Delete groups one by one; one that is named twice is deleted, and answered for, once."""
    return DeleteGroupsResponse(
        results=[
            DeleteGroupsResponse.DeletableGroupResult(group_id=group_id, error_code=_delete(call, group_id))
            for group_id in dict.fromkeys(request.groups_names)
        ]
    )


def _delete(call: Call, group_id: str) -> ErrorCode:
    """Delete one group."""
    try:
        call.check_coordinator(Kind.GROUP, group_id, Operation.DELETE)
        groups = call.cluster.groups
        group = groups.get(group_id)
        group.check_delete()
        groups.delete(group)
    except Refused as refused:
        return refused.code
    return ErrorCode.NONE


HANDLER = Handler(_handle, no_partitions)
