"""AlterConfigs (key 33): all options of topics, brokers or other resources at once (KIP-133).

What is not named goes back to its default, so that two who change different options undo each other's work:
IncrementalAlterConfigs has taken its place (KIP-339). Resource types are those of DescribeConfigs.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int8, int16, int32, string

__all__ = ["AlterConfigsRequest", "AlterConfigsResponse"]


class AlterConfigsRequest(Request["AlterConfigsResponse"], key=33, versions="0-2", flexible="2+"):
    class AlterConfigsResource(Struct):
        class AlterableConfig(Struct):
            name: str = string("0+")
            value: str | None = string("0+", nullable="0+")

        resource_type: int = int8("0+")
        resource_name: str = string("0+")
        configs: list[AlterableConfig] = array(AlterableConfig, "0+")

    AlterableConfig = Alias[AlterConfigsResource.AlterableConfig]

    resources: list[AlterConfigsResource] = array(AlterConfigsResource, "0+")
    validate_only: bool = boolean("0+")


class AlterConfigsResponse(Response, answers=AlterConfigsRequest):
    class AlterConfigsResourceResponse(Struct):
        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+")
        resource_type: int = int8("0+")
        resource_name: str = string("0+")

    throttle_time_ms: int = int32("0+")
    responses: list[AlterConfigsResourceResponse] = array(AlterConfigsResourceResponse, "0+")
