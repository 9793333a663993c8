"""LeaveGroup: members leave, or are removed."""

import asyncio
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse

__all__ = ["HANDLER"]

BATCHED_FROM = 3


def _handle(call: Call, request: LeaveGroupRequest) -> "LeaveGroupResponse | asyncio.Future[Any]":
    """Remove members; before version 3 there is one, whose error stands for the request's."""
    batched = call.version >= BATCHED_FROM
    leaving: list[tuple[str, str | None]] = (
        [(member.member_id, member.group_instance_id) for member in request.members]
        if batched
        else [(request.member_id, None)]
    )
    try:
        call.check_faults(None)
        call.authorize(Operation.READ, Resource.GROUP, request.group_id)
        if not request.group_id:
            raise Refused(ErrorCode.INVALID_GROUP_ID)
        call.check_coordinator(Kind.GROUP, request.group_id)
        codes = call.cluster.groups.for_member(request.group_id).leave(leaving)
    except Refused as refused:
        if refused.code != ErrorCode.UNKNOWN_MEMBER_ID:
            return _refused(refused.code)
        codes = [ErrorCode.UNKNOWN_MEMBER_ID] * len(leaving)
    return call.when_written(Kind.GROUP, request.group_id, _answer(leaving, codes, batched), _refused)


def _refused(code: ErrorCode) -> LeaveGroupResponse:
    """Answer with an error."""
    return LeaveGroupResponse(error_code=code)


def _answer(leaving: list[tuple[str, str | None]], codes: list[ErrorCode], batched: bool) -> LeaveGroupResponse:
    """Tell how it went for each."""
    if not batched:
        return LeaveGroupResponse(error_code=codes[0])
    return LeaveGroupResponse(
        members=[
            LeaveGroupResponse.MemberResponse(member_id=member_id, group_instance_id=instance_id, error_code=code)
            for (member_id, instance_id), code in zip(leaving, codes, strict=True)
        ]
    )


HANDLER = Handler(_handle, no_partitions)
