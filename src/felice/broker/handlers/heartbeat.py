"""Heartbeat: a member of a group is alive."""

import asyncio
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.groups.group import Claim
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: HeartbeatRequest) -> "HeartbeatResponse | asyncio.Future[Any]":
    """Keep the session alive."""
    try:
        call.check_faults(None)
        call.authorize(Operation.READ, Resource.GROUP, request.group_id)
        if not request.group_id:
            raise Refused(ErrorCode.INVALID_GROUP_ID)
        call.check_coordinator(Kind.GROUP, request.group_id)
        group = call.cluster.groups.for_member(request.group_id)
        group.heartbeat(Claim(request.member_id, request.group_instance_id, request.generation_id))
    except Refused as refused:
        return _refused(refused.code)
    return call.when_written(Kind.GROUP, request.group_id, HeartbeatResponse(), _refused)


def _refused(code: ErrorCode) -> HeartbeatResponse:
    """Answer with an error."""
    return HeartbeatResponse(error_code=code)


HANDLER = Handler(_handle, no_partitions)
