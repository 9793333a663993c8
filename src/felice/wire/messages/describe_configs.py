"""DescribeConfigs (key 32): the options of topics and brokers (KIP-133).

A resource's type is 2 for a topic, 4 for a broker; null keys ask for all. Version 1 has synonyms (KIP-226), 3 types and
documentation (KIP-569).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int8, int16, int32, string

__all__ = ["DescribeConfigsRequest", "DescribeConfigsResponse"]


class DescribeConfigsRequest(Request["DescribeConfigsResponse"], key=32, versions="1-4", flexible="4+"):
    class DescribeConfigsResource(Struct):
        resource_type: int = int8("0+")
        resource_name: str = string("0+")
        configuration_keys: list[str] | None = array(string, "0+", nullable="0+")

    resources: list[DescribeConfigsResource] = array(DescribeConfigsResource, "0+")
    include_synonyms: bool = boolean("1+")
    include_documentation: bool = boolean("3+")


class DescribeConfigsResponse(Response, answers=DescribeConfigsRequest):
    class DescribeConfigsResult(Struct):
        class DescribeConfigsResourceResult(Struct):
            class DescribeConfigsSynonym(Struct):
                name: str = string("1+")
                value: str | None = string("1+", nullable="0+")
                source: int = int8("1+")

            name: str = string("0+")
            value: str | None = string("0+", nullable="0+")
            read_only: bool = boolean("0+")
            config_source: int = int8("1+", default=-1, ignorable=True)
            is_sensitive: bool = boolean("0+")
            synonyms: list[DescribeConfigsSynonym] = array(DescribeConfigsSynonym, "1+", ignorable=True)
            config_type: int = int8("3+", ignorable=True)
            documentation: str | None = string("3+", nullable="0+", ignorable=True)

        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+")
        resource_type: int = int8("0+")
        resource_name: str = string("0+")
        configs: list[DescribeConfigsResourceResult] = array(DescribeConfigsResourceResult, "0+")

    DescribeConfigsResourceResult = Alias[DescribeConfigsResult.DescribeConfigsResourceResult]
    DescribeConfigsSynonym = Alias[DescribeConfigsResult.DescribeConfigsResourceResult.DescribeConfigsSynonym]

    throttle_time_ms: int = int32("0+")
    results: list[DescribeConfigsResult] = array(DescribeConfigsResult, "0+")
