"""ApiVersions (key 18): which requests a broker speaks, in which versions (KIP-35).

A broker that does not know the version answers error 35 (UNSUPPORTED_VERSION) in the shape of version 0, whatever was
asked: decode such an answer at version 0. The response's header has no tagged fields in any version (KIP-511).

Version 3 names the client's software (KIP-511) and lists features (KIP-584); in version 4 the lowest version of a
feature may be 0.
"""

from felice.wire.schema import Request, Response, Struct, array, boolean, int16, int32, int64, string

__all__ = ["ApiVersionsRequest", "ApiVersionsResponse"]


class ApiVersionsRequest(Request["ApiVersionsResponse"], key=18, versions="0-4", flexible="3+"):
    client_software_name: str = string("3+", ignorable=True)
    client_software_version: str = string("3+", ignorable=True)


class ApiVersionsResponse(Response, answers=ApiVersionsRequest):
    class ApiVersion(Struct):
        api_key: int = int16("0+")
        min_version: int = int16("0+")
        max_version: int = int16("0+")

    class SupportedFeatureKey(Struct):
        name: str = string("3+")
        min_version: int = int16("3+")
        max_version: int = int16("3+")

    class FinalizedFeatureKey(Struct):
        name: str = string("3+")
        max_version_level: int = int16("3+")
        min_version_level: int = int16("3+")

    error_code: int = int16("0+")
    api_keys: list[ApiVersion] = array(ApiVersion, "0+")
    throttle_time_ms: int = int32("1+", ignorable=True)
    supported_features: list[SupportedFeatureKey] = array(SupportedFeatureKey, "3+", tag=0, ignorable=True)
    finalized_features_epoch: int = int64("3+", default=-1, tag=1, ignorable=True)
    finalized_features: list[FinalizedFeatureKey] = array(FinalizedFeatureKey, "3+", tag=2, ignorable=True)
    zk_migration_ready: bool = boolean("3+", tag=3, ignorable=True)
