"""ConsumerGroupHeartbeat: a member of a consumer group joins, reports, learns its assignment, leaves (KIP-848)."""

import asyncio
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.groups.assignors import allowed_assignors
from felice.broker.groups.consumer_heartbeat import check, heartbeat
from felice.broker.handlers.assigned_groups import heartbeat_words
from felice.broker.java import address_text
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse

__all__ = ["HANDLER"]


def _handle(
    call: Call, request: ConsumerGroupHeartbeatRequest
) -> "ConsumerGroupHeartbeatResponse | asyncio.Future[Any]":
    """Hand the request to the group."""
    try:
        call.check_faults(None)
        call.authorize(Operation.READ, Resource.GROUP, request.group_id)
        for topic in request.subscribed_topic_names or ():
            call.authorize(Operation.DESCRIBE, Resource.TOPIC, topic)
        check(request, call.version, allowed_assignors(call.cluster.settings))
        call.check_coordinator(Kind.GROUP, request.group_id)
        response = heartbeat(call.cluster.groups, request, call.client_id or "", address_text(call.client_host))
    except Refused as refused:
        message = heartbeat_words(refused)
        return ConsumerGroupHeartbeatResponse(error_code=refused.code, error_message=message)
    return call.when_written(Kind.GROUP, request.group_id, response, _refused)


def _refused(code: ErrorCode) -> ConsumerGroupHeartbeatResponse:
    """Tell that it is not sure that the group's log has what came of it; Kafka has no words for that."""
    return ConsumerGroupHeartbeatResponse(error_code=code)


HANDLER = Handler(_handle, no_partitions)
