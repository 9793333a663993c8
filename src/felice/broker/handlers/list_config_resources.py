"""ListConfigResources: names of what has configurations of its own (KIP-1000, KIP-1142)."""

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.configs.resource import ResourceType
from felice.errors import ErrorCode
from felice.wire.messages.list_config_resources import ListConfigResourcesRequest, ListConfigResourcesResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse:
    """List resources of the types that are asked for; version 0 knows of client metrics only."""
    code = call.error(Operation.DESCRIBE_CONFIGS)
    if code:
        return ListConfigResourcesResponse(error_code=code)
    kinds = (
        {int(ResourceType.CLIENT_METRICS)} if call.version == 0 else set(request.resource_types) or set(ResourceType)
    )
    if not kinds <= set(ResourceType):
        return ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    return ListConfigResourcesResponse(
        config_resources=[
            ListConfigResourcesResponse.ConfigResource(resource_name=name, resource_type=kind)
            for kind in sorted(kinds)
            for name in call.cluster.configs.of(kind).names()
        ]
    )


HANDLER = Handler(_handle, no_partitions)
