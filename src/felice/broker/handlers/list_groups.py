"""ListGroups: the groups that this node coordinates."""

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.groups.group import Group
from felice.broker.refusal import Refused
from felice.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: ListGroupsRequest) -> ListGroupsResponse:
    """List the groups that pass the filters, whose words may be of any case."""
    try:
        call.check_faults(None)
    except Refused as refused:
        return ListGroupsResponse(error_code=refused.code)
    may_list = call.may(Operation.DESCRIBE, Resource.CLUSTER)
    states = {state.lower() for state in request.states_filter}
    kinds = {kind.lower() for kind in request.types_filter}
    return ListGroupsResponse(
        groups=[
            ListGroupsResponse.ListedGroup(
                group_id=group.id, protocol_type=group.protocol_type, group_state=group.state, group_type=group.kind
            )
            for group in call.cluster.groups.all_told()
            if (not states or group.state.lower() in states)
            and (not kinds or group.kind in kinds)
            and _is_here(call, group)
            and (may_list or call.may(Operation.DESCRIBE, Resource.GROUP, group.id))
        ]
    )


def _is_here(call: Call, group: Group) -> bool:
    """Tell whether this node coordinates a group."""
    return call.cluster.coordination.node_id(Kind.GROUP, group.id) == call.node.id


HANDLER = Handler(_handle, no_partitions)
