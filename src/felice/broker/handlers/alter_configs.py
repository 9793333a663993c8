"""AlterConfigs: all configurations of a resource are set at once, and what is not named goes (KIP-133)."""

from collections import Counter
from typing import TypeAlias

from felice.broker.call import Call, Handler
from felice.broker.configs.altering import count, first_partitions, permit
from felice.broker.refusal import Refused
from felice.wire.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse

__all__ = ["HANDLER"]

Asked: TypeAlias = AlterConfigsRequest.AlterConfigsResource
Result: TypeAlias = AlterConfigsResponse.AlterConfigsResourceResponse


def _handle(call: Call, request: AlterConfigsRequest) -> AlterConfigsResponse:
    """Configure resources, each by itself."""
    times = count(request)
    return AlterConfigsResponse(
        responses=[_alter(call, asked, times, request.validate_only) for asked in request.resources]
    )


def _alter(call: Call, asked: Asked, times: Counter[tuple[int, str]], validate_only: bool) -> Result:
    """Configure one resource."""
    result = Result(error_message=None, resource_type=asked.resource_type, resource_name=asked.resource_name)
    try:
        permit(call, asked.resource_type, asked.resource_name, times)
        texts = [(config.name, config.value) for config in asked.configs]
        call.cluster.configs.replace(
            asked.resource_type, asked.resource_name, texts, call.node.id, validate_only=validate_only
        )
    except Refused as refused:
        result.error_code, result.error_message = refused.code, refused.message or refused.code.name
    return result


HANDLER = Handler(_handle, first_partitions)
