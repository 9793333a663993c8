"""SyncGroup: the leader says who is assigned what, and every member hears its share."""

import asyncio
from functools import partial
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.groups.group import Claim
from felice.broker.groups.waiting import WaitingSync
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.sync_group import SyncGroupRequest, SyncGroupResponse

__all__ = ["HANDLER"]

PROTOCOL_FROM = 5


def _handle(call: Call, request: SyncGroupRequest) -> "asyncio.Future[Any]":
    """Hand the request to the group; it answers when the leader has said what is assigned."""
    waiting = WaitingSync(
        call.loop.create_future(),
        lambda response: call.when_written(Kind.GROUP, request.group_id, response, partial(_refused, call, request)),
    )
    try:
        _sync(call, request, waiting)
    except Refused as refused:
        waiting.refuse(refused.code)
    return waiting.future


def _refused(call: Call, request: SyncGroupRequest, code: ErrorCode) -> SyncGroupResponse:
    """Tell that it is not sure that the group's log has the assignment: then all are to join anew."""
    group = call.cluster.groups.find(request.group_id)
    if group is not None:
        group.doubt(request.member_id, request.generation_id)
    return SyncGroupResponse(error_code=code)


def _sync(call: Call, request: SyncGroupRequest, waiting: WaitingSync) -> None:
    """Check what does not depend on the group, and ask it."""
    call.check_faults(None)
    if call.version >= PROTOCOL_FROM and None in (request.protocol_type, request.protocol_name):
        raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    call.authorize(Operation.READ, Resource.GROUP, request.group_id)
    if not request.group_id:
        raise Refused(ErrorCode.INVALID_GROUP_ID)
    call.check_coordinator(Kind.GROUP, request.group_id)
    call.cluster.groups.for_member(request.group_id).sync(
        Claim(request.member_id, request.group_instance_id, request.generation_id),
        (request.protocol_type, request.protocol_name),
        {assigned.member_id: bytes(assigned.assignment) for assigned in request.assignments},
        waiting,
    )


HANDLER = Handler(_handle, no_partitions)
