"""ListConfigResources (key 74): the names of resources that have options of their own (KIP-1142).

No types in the request mean all of them. In version 0 the answer has client metrics only (KIP-1000).
"""

from felice.wire.schema import Request, Response, Struct, array, int8, int16, int32, string

__all__ = ["ListConfigResourcesRequest", "ListConfigResourcesResponse"]


class ListConfigResourcesRequest(Request["ListConfigResourcesResponse"], key=74, versions="0-1", flexible="0+"):
    resource_types: list[int] = array(int8, "1+")


class ListConfigResourcesResponse(Response, answers=ListConfigResourcesRequest):
    class ConfigResource(Struct):
        resource_name: str = string("0+")
        resource_type: int = int8("1+", default=16, ignorable=True)

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    config_resources: list[ConfigResource] = array(ConfigResource, "0+")
