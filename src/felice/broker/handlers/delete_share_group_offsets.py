"""DeleteShareGroupOffsets: a share group without members forgets where it stands in topics (KIP-932)."""

import asyncio
from typing import Any, TypeAlias

from felice.broker.authorization import REFUSALS, Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.features import SHARE_GROUPS
from felice.broker.groups.share_offsets import Forgotten, forget
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
)

__all__ = ["HANDLER"]

Topic: TypeAlias = DeleteShareGroupOffsetsResponse.Topic

NO_ID = bytes(16)


def _handle(
    call: Call, request: DeleteShareGroupOffsetsRequest
) -> "DeleteShareGroupOffsetsResponse | asyncio.Future[Any]":
    """Forget topics; those that are not for the client come first in the answer."""
    try:
        call.check_faults(None)
        call.cluster.features.check(SHARE_GROUPS)
        call.authorize(Operation.DELETE, Resource.GROUP, request.group_id)
        if not request.group_id:
            raise Refused(ErrorCode.INVALID_GROUP_ID)
        call.check_coordinator(Kind.GROUP, request.group_id)
        names = [topic.topic_name for topic in request.topics]
        allowed = [name for name in names if call.may(Operation.READ, Resource.TOPIC, name)]
        kept = [Forgotten(name, refused=Refused(REFUSALS[Resource.TOPIC])) for name in names if name not in allowed]
        found = forget(call.cluster.groups, request.group_id, allowed)
    except Refused as refused:
        return _refused(refused.code, refused.shown)
    response = DeleteShareGroupOffsetsResponse(responses=[_topic(one) for one in (*kept, *found)])
    return call.when_written(Kind.GROUP, request.group_id, response, _refused)


def _refused(code: ErrorCode, message: str | None = None) -> DeleteShareGroupOffsetsResponse:
    """Answer with an error."""
    return DeleteShareGroupOffsetsResponse(error_code=code, error_message=message or code.name)


def _topic(one: Forgotten) -> Topic:
    """Answer for one topic."""
    code = ErrorCode.NONE if one.refused is None else one.refused.code
    return Topic(
        topic_name=one.topic,
        topic_id=one.topic_id or NO_ID,
        error_code=code,
        error_message=code.name if code else None,
    )


HANDLER = Handler(_handle, no_partitions)
