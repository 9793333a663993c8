"""AlterConfigs: all configurations of a resource are set at once, and what is not named goes (KIP-133)."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler
from felice.broker.configs.resource import ResourceType, guarded
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse

__all__ = ["HANDLER"]

Asked: TypeAlias = AlterConfigsRequest.AlterConfigsResource
Result: TypeAlias = AlterConfigsResponse.AlterConfigsResourceResponse


def _handle(call: Call, request: AlterConfigsRequest) -> AlterConfigsResponse:
    """Configure resources, each by itself."""
    times = Counter((asked.resource_type, asked.resource_name) for asked in request.resources)
    return AlterConfigsResponse(
        responses=[
            _alter(call, asked, times[asked.resource_type, asked.resource_name] > 1, request.validate_only)
            for asked in request.resources
        ]
    )


def _alter(call: Call, asked: Asked, twice: bool, validate_only: bool) -> Result:
    """Configure one resource."""
    result = Result(error_message=None, resource_type=asked.resource_type, resource_name=asked.resource_name)
    try:
        call.check_faults(asked.resource_name if asked.resource_type == ResourceType.TOPIC else None)
        if twice:
            raise Refused(ErrorCode.INVALID_REQUEST, "the resource is named twice")
        call.authorize(Operation.ALTER_CONFIGS, *guarded(asked.resource_type, asked.resource_name))
        texts = [(config.name, config.value) for config in asked.configs]
        call.cluster.configs.replace(
            asked.resource_type, asked.resource_name, texts, call.node.id, validate_only=validate_only
        )
    except Refused as refused:
        result.error_code, result.error_message = refused.code, refused.message or refused.code.name
    return result


def _partitions(call: Call, request: AlterConfigsRequest) -> Iterable[tuple[str, int]]:
    """Give the topics' first partitions."""
    return ((asked.resource_name, 0) for asked in request.resources if asked.resource_type == ResourceType.TOPIC)


HANDLER = Handler(_handle, _partitions)
