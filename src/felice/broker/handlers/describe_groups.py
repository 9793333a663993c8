"""DescribeGroups: state and members of classic groups."""

from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.groups.classic import ClassicGroup
from felice.broker.groups.phase import Phase
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse

__all__ = ["HANDLER"]

MISSING_IS_ERROR_FROM = 6

Described: TypeAlias = DescribeGroupsResponse.DescribedGroup


def _handle(call: Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
    """Describe groups one by one."""
    groups = [_describe(call, group_id) for group_id in request.groups]
    if request.include_authorized_operations:
        for group in groups:
            if not group.error_code:
                group.authorized_operations = call.permitted(Resource.GROUP, group.group_id)
    return DescribeGroupsResponse(groups=groups)


def _describe(call: Call, group_id: str) -> Described:
    """Describe one group; a group of another kind is as good as none."""
    try:
        call.check_coordinator(Kind.GROUP, group_id, Operation.DESCRIBE)
    except Refused as refused:
        return Described(group_id=group_id, error_code=refused.code)
    group = call.cluster.groups.told(group_id)
    if isinstance(group, ClassicGroup):
        return _described(group)
    missing = Described(group_id=group_id, group_state=Phase.DEAD)
    if call.version >= MISSING_IS_ERROR_FROM:
        missing.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        missing.error_message = (
            f"Group {group_id} not found." if group is None else f"Group {group_id} is not a classic group."
        )
    return missing


def _described(group: ClassicGroup) -> Described:
    """Describe a group: what members subscribe to is known only where all of them have agreed on a protocol."""
    protocol = (group.protocol or "") if group.phase is Phase.STABLE else ""
    return Described(
        group_id=group.id,
        group_state=group.state,
        protocol_type=group.protocol_type,
        protocol_data=protocol,
        members=[
            Described.DescribedGroupMember(
                member_id=member.id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.protocols.get(protocol, b""),
                member_assignment=member.assignment,
            )
            for member in group.roster
        ],
    )


HANDLER = Handler(_handle, no_partitions)
