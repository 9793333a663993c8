"""IncrementalAlterConfigs: single configurations are set, taken back, or change as lists (KIP-339)."""

from collections import Counter
from typing import TypeAlias

from felice.broker.call import Call, Handler
from felice.broker.configs.altering import count, first_partitions, permit
from felice.broker.configs.changes import Change
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
    times = count(request)
    return IncrementalAlterConfigsResponse(
        responses=[_alter(call, asked, times, request.validate_only) for asked in request.resources]
    )


def _alter(call: Call, asked: Asked, times: Counter[tuple[int, str]], validate_only: bool) -> Result:
    """Change one resource."""
    result = Result(error_message=None, resource_type=asked.resource_type, resource_name=asked.resource_name)
    try:
        permit(call, asked.resource_type, asked.resource_name, times)
        changes = [Change(config.name, config.config_operation, config.value) for config in asked.configs]
        call.cluster.configs.alter(
            asked.resource_type, asked.resource_name, changes, call.node.id, validate_only=validate_only
        )
    except Refused as refused:
        result.error_code = refused.code
        if refused.code != ErrorCode.UNKNOWN_SERVER_ERROR:
            result.error_message = refused.message or refused.code.name
    return result


HANDLER = Handler(_handle, first_partitions)
