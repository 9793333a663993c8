"""FindCoordinator: which node coordinates a group, a transactional ID or a share group's partition."""

import re
from typing import TypeAlias

from felice.broker.authorization import REFUSALS, Operation, Resource
from felice.broker.call import COORDINATED, Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse

__all__ = ["HANDLER"]

SHARE_FROM = 6
BATCHED_FROM = 4
NOBODY = -1

Coordinator: TypeAlias = FindCoordinatorResponse.Coordinator

_share_key = re.compile(r".*\S.*:[A-Za-z0-9_-]{22}:([+-]?0*[0-9]{1,10})\Z", re.DOTALL)


def _handle(call: Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse:
    """Name a node that is up for each key."""
    if call.version >= BATCHED_FROM:
        return FindCoordinatorResponse(
            coordinators=[_find(call, request.key_type, key) for key in request.coordinator_keys]
        )
    found = _find(call, request.key_type, request.key)
    return FindCoordinatorResponse(
        error_code=found.error_code,
        error_message=found.error_message or ErrorCode(found.error_code).name,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )


def _find(call: Call, key_type: int, key: str) -> Coordinator:
    """Find the coordinator of one key."""
    try:
        call.check_faults(None)
        if key_type not in tuple(Kind):
            raise Refused(ErrorCode.INVALID_REQUEST, f"there is no key type {key_type}")
        resource = COORDINATED.get(Kind(key_type))
        if resource is not None and not call.may(Operation.DESCRIBE, resource, key):
            raise Refused(REFUSALS[resource])
        if resource is None and call.version >= SHARE_FROM:
            call.authorize(Operation.CLUSTER_ACTION, Resource.CLUSTER)
        if key_type == Kind.SHARE and (call.version < SHARE_FROM or not _is_share_key(key)):
            raise Refused(ErrorCode.INVALID_REQUEST)
        node = call.cluster.nodes.get(call.cluster.coordination.node_id(Kind(key_type), key))
        if node is None:
            raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    except Refused as refused:
        return Coordinator(
            key=key, node_id=NOBODY, port=NOBODY, error_code=refused.code, error_message=refused.message or ""
        )
    return Coordinator(key=key, node_id=node.id, host=node.host, port=node.port, error_message="")


def _is_share_key(key: str) -> bool:
    """Tell whether a key is that of a share group's partition: group, topic ID and a number of 32 bits."""
    found = _share_key.match(key)
    return found is not None and -(1 << 31) <= int(found[1]) < 1 << 31


HANDLER = Handler(_handle, no_partitions)
