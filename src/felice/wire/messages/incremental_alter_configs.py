"""IncrementalAlterConfigs (key 44): single options of topics, brokers or other resources (KIP-339).

The operation is 0 to set, 1 to go back to the default, and for lists 2 to append and 3 to take away. Resource types are
2 for a topic, 4 a broker, 8 a broker's loggers, 16 client metrics (KIP-714), 32 a group (KIP-848).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int8, int16, int32, string

__all__ = ["IncrementalAlterConfigsRequest", "IncrementalAlterConfigsResponse"]


class IncrementalAlterConfigsRequest(Request["IncrementalAlterConfigsResponse"], key=44, versions="0-1", flexible="1+"):
    class AlterConfigsResource(Struct):
        class AlterableConfig(Struct):
            name: str = string("0+")
            config_operation: int = int8("0+")
            value: str | None = string("0+", nullable="0+")

        resource_type: int = int8("0+")
        resource_name: str = string("0+")
        configs: list[AlterableConfig] = array(AlterableConfig, "0+")

    AlterableConfig = Alias[AlterConfigsResource.AlterableConfig]

    resources: list[AlterConfigsResource] = array(AlterConfigsResource, "0+")
    validate_only: bool = boolean("0+")


class IncrementalAlterConfigsResponse(Response, answers=IncrementalAlterConfigsRequest):
    class AlterConfigsResourceResponse(Struct):
        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+")
        resource_type: int = int8("0+")
        resource_name: str = string("0+")

    throttle_time_ms: int = int32("0+")
    responses: list[AlterConfigsResourceResponse] = array(AlterConfigsResourceResponse, "0+")
