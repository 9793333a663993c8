"""What AlterConfigs and IncrementalAlterConfigs share: what may be changed at all, and which topics they name."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from felice.broker.authorization import Operation
from felice.broker.call import Call
from felice.broker.configs.resource import ResourceType, guarded
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["count", "first_partitions", "permit"]


def count(request: Any) -> Counter[tuple[int, str]]:
    """Return how often a request names each resource."""
    return Counter((asked.resource_type, asked.resource_name) for asked in request.resources)


def permit(call: Call, kind: int, name: str, times: Counter[tuple[int, str]]) -> None:
    """Refuse to change a resource where a fault, the request or the access control entries say so, in this order."""
    call.check_faults(name if kind == ResourceType.TOPIC else None)
    if times[kind, name] > 1:
        raise Refused(ErrorCode.INVALID_REQUEST, "the resource is named twice")
    call.authorize(Operation.ALTER_CONFIGS, *guarded(kind, name))


def first_partitions(call: Call, request: Any) -> Iterable[tuple[str, int]]:
    """Give the topics' first partitions."""
    return ((asked.resource_name, 0) for asked in request.resources if asked.resource_type == ResourceType.TOPIC)
