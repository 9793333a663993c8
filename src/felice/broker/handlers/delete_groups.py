"""DeleteGroups: groups without members go, and their offsets with them (KIP-229)."""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse

__all__ = ["HANDLER"]

Result: TypeAlias = DeleteGroupsResponse.DeletableGroupResult
Answer: TypeAlias = "DeleteGroupsResponse | asyncio.Future[DeleteGroupsResponse]"


def _handle(call: Call, request: DeleteGroupsRequest) -> Answer:
    """Delete groups one by one; one that is named twice is deleted, and answered for, once.

    What was written before has to be in sync first, as with Kafka: until then no group is deleted.
    """
    response = DeleteGroupsResponse(results=[Result(group_id=name) for name in dict.fromkeys(request.groups_names)])
    _each(response, lambda name: call.check_coordinator(Kind.GROUP, name, Operation.DELETE))
    ready = _when_written(call, response)
    return call.loop.create_task(_later(call, ready)) if isinstance(ready, asyncio.Future) else _delete(call, response)


async def _later(call: Call, ready: "asyncio.Future[DeleteGroupsResponse]") -> DeleteGroupsResponse:
    """Delete groups when what was written before is in sync."""
    answer = _delete(call, await ready)
    return await answer if isinstance(answer, asyncio.Future) else answer


def _delete(call: Call, response: DeleteGroupsResponse) -> Answer:
    """Delete those that may still be deleted."""
    groups = call.cluster.groups

    def delete(name: str) -> None:
        group = groups.get(name)
        group.check_delete()
        groups.delete(group)

    _each(response, delete)
    return _when_written(call, response)


def _each(response: DeleteGroupsResponse, act: Callable[[str], None]) -> None:
    """Do something with each group that nothing was refused of yet."""
    for result in response.results:
        if not result.error_code:
            try:
                act(result.group_id)
            except Refused as refused:
                result.error_code = refused.code


def _when_written(call: Call, response: DeleteGroupsResponse) -> Answer:
    """Answer when all replicas in sync have what is written of those groups."""
    waiting = {result.group_id: result for result in response.results if not result.error_code}
    return call.when_each_is_written(Kind.GROUP, waiting, lambda: response)


HANDLER = Handler(_handle, no_partitions)
