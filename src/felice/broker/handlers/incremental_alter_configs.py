"""IncrementalAlterConfigs: single configurations are set, taken back, or change as lists (KIP-339)."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler
from felice.broker.configs.changes import Change
from felice.broker.configs.resource import ResourceType, guarded
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

__all__ = ["HANDLER"]

Asked: TypeAlias = IncrementalAlterConfigsRequest.AlterConfigsResource
Result: TypeAlias = IncrementalAlterConfigsResponse.AlterConfigsResourceResponse


def _handle(call: Call, request: IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse:
    """Change resources, each by itself."""
    times = Counter((asked.resource_type, asked.resource_name) for asked in request.resources)
    return IncrementalAlterConfigsResponse(
        responses=[
            _alter(call, asked, times[asked.resource_type, asked.resource_name] > 1, request.validate_only)
            for asked in request.resources
        ]
    )


def _alter(call: Call, asked: Asked, twice: bool, validate_only: bool) -> Result:
    """Change one resource."""
    result = Result(error_message=None, resource_type=asked.resource_type, resource_name=asked.resource_name)
    try:
        call.check_faults(asked.resource_name if asked.resource_type == ResourceType.TOPIC else None)
        if twice:
            raise Refused(ErrorCode.INVALID_REQUEST, "the resource is named twice")
        call.authorize(Operation.ALTER_CONFIGS, *guarded(asked.resource_type, asked.resource_name))
        changes = [Change(config.name, config.config_operation, config.value) for config in asked.configs]
        call.cluster.configs.alter(
            asked.resource_type, asked.resource_name, changes, call.node.id, validate_only=validate_only
        )
    except Refused as refused:
        result.error_code = refused.code
        if refused.code != ErrorCode.UNKNOWN_SERVER_ERROR:
            result.error_message = refused.message or refused.code.name
    return result


def _partitions(call: Call, request: IncrementalAlterConfigsRequest) -> Iterable[tuple[str, int]]:
    """Give the topics' first partitions."""
    return ((asked.resource_name, 0) for asked in request.resources if asked.resource_type == ResourceType.TOPIC)


HANDLER = Handler(_handle, _partitions)
