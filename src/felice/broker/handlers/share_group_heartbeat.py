"""ShareGroupHeartbeat: a member of a share group joins, reports, learns its assignment, leaves (KIP-932)."""

import asyncio
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.features import SHARE_GROUPS
from felice.broker.groups.share_heartbeat import check, heartbeat
from felice.broker.groups.share_member import LONGEST_MEMBER_ID
from felice.broker.handlers.assigned_groups import heartbeat_words
from felice.broker.java import address_text
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: ShareGroupHeartbeatRequest) -> "ShareGroupHeartbeatResponse | asyncio.Future[Any]":
    """Hand the request to the group; who is not even let in to it gets no message."""
    try:
        _admit(call, request)
    except Refused as refused:
        return ShareGroupHeartbeatResponse(error_code=refused.code)
    try:
        check(request)
        call.check_coordinator(Kind.GROUP, request.group_id)
        response = heartbeat(call.cluster.groups, request, call.client_id or "", address_text(call.client_host))
    except Refused as refused:
        message = heartbeat_words(refused)
        return ShareGroupHeartbeatResponse(error_code=refused.code, error_message=message)
    return call.when_written(Kind.GROUP, request.group_id, response, _refused)


def _refused(code: ErrorCode) -> ShareGroupHeartbeatResponse:
    """Tell that it is not sure that the group's log has what came of it; Kafka has no words for that."""
    return ShareGroupHeartbeatResponse(error_code=code)


def _admit(call: Call, request: ShareGroupHeartbeatRequest) -> None:
    """Refuse who may not be a member, whatever the group."""
    call.check_faults(None)
    call.cluster.features.check(SHARE_GROUPS)
    call.authorize(Operation.READ, Resource.GROUP, request.group_id)
    if not 0 < len(request.member_id) <= LONGEST_MEMBER_ID:
        raise Refused(ErrorCode.INVALID_REQUEST)
    for topic in request.subscribed_topic_names or ():
        call.authorize(Operation.DESCRIBE, Resource.TOPIC, topic)


HANDLER = Handler(_handle, no_partitions)
