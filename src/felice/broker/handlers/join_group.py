"""JoinGroup: a member's entry into a group, and into each of its generations."""

import asyncio
from collections import Counter
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.groups.joining import Applicant
from felice.broker.groups.waiting import WaitingJoin
from felice.broker.java import address_text
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.join_group import JoinGroupRequest

__all__ = ["HANDLER"]

REBALANCE_TIMEOUT_FROM = 1


def _handle(call: Call, request: JoinGroupRequest) -> "asyncio.Future[Any]":
    """Hand the request to the group; it answers when all members have joined."""
    waiting = WaitingJoin(call.loop.create_future(), call.version)
    try:
        _join(call, request, waiting)
    except Refused as refused:
        waiting.refuse(refused.code, request.member_id)
    return waiting.future


def _join(call: Call, request: JoinGroupRequest, waiting: WaitingJoin) -> None:
    """Check what does not depend on the group, and join."""
    call.check_faults(None)
    call.authorize(Operation.READ, Resource.GROUP, request.group_id)
    if not request.group_id:
        raise Refused(ErrorCode.INVALID_GROUP_ID)
    number = call.cluster.settings.number
    shortest, longest = number("group.min.session.timeout.ms"), number("group.max.session.timeout.ms")
    if not shortest <= request.session_timeout_ms <= longest:
        raise Refused(ErrorCode.INVALID_SESSION_TIMEOUT)
    call.check_coordinator(Kind.GROUP, request.group_id)
    group = call.cluster.groups.for_join(request.group_id, create=not request.member_id)
    # A protocol that is named twice has too many votes, and so Kafka elects another one.
    named = Counter(protocol.name for protocol in request.protocols)
    protocols = {protocol.name: bytes(protocol.metadata) for protocol in request.protocols if named[protocol.name] == 1}
    with_timeout = call.version >= REBALANCE_TIMEOUT_FROM
    applicant = Applicant(
        request.member_id,
        request.group_instance_id,
        call.client_id or "",
        address_text(call.client_host),
        request.session_timeout_ms,
        request.rebalance_timeout_ms if with_timeout else request.session_timeout_ms,
        request.protocol_type,
        protocols,
    )
    group.join(applicant, waiting)


HANDLER = Handler(_handle, no_partitions)
