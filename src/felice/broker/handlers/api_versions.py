"""ApiVersions: what this broker speaks (KIP-35, KIP-511, KIP-584)."""

import re
from typing import TypeAlias

from felice.broker.call import Call, Handler, no_partitions
from felice.errors import ErrorCode
from felice.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from felice.wire.messages.registry import REQUESTS

__all__ = ["HANDLER", "KEY", "refuse_version"]

KEY = 18
PRODUCE = 0
TELEMETRY = (71, 72)
"""What is answered and not listed, as in Kafka where nobody collects clients' metrics: then clients do not ask."""
ZERO_FROM = 4
"""The first version in which a lowest level may be 0: clients of the one before fall over it (KIP-584)."""

ApiVersion: TypeAlias = ApiVersionsResponse.ApiVersion

_software = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?\Z")


def refuse_version() -> ApiVersionsResponse:
    """Return the answer, in version 0, to a version that is not known: what there is of ApiVersions itself."""
    return ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=[_spoken(KEY)])


def _handle(call: Call, request: ApiVersionsRequest) -> ApiVersionsResponse:
    """List the APIs of this broker."""
    code = call.error()
    if (
        not code
        and call.version >= 3
        and not (_software.match(request.client_software_name) and _software.match(request.client_software_version))
    ):
        code = ErrorCode.INVALID_REQUEST
    if code:
        return ApiVersionsResponse(error_code=code)
    from felice.broker.handlers import HANDLERS  # it imports this module

    features = call.cluster.features

    return ApiVersionsResponse(
        api_keys=[_spoken(key) for key in HANDLERS if key not in TELEMETRY],
        supported_features=[
            ApiVersionsResponse.SupportedFeatureKey(name=name, min_version=lowest, max_version=highest)
            for name, (lowest, highest) in features.known.items()
            if lowest > 0 or call.version >= ZERO_FROM
        ],
        finalized_features_epoch=features.epoch,
        finalized_features=[
            ApiVersionsResponse.FinalizedFeatureKey(name=name, min_version_level=level, max_version_level=level)
            for name, level in features.agreed().items()
        ],
    )


def _spoken(key: int) -> ApiVersion:
    """Return the versions of one API.

    Produce is said to begin at 0, as Kafka 4 says it: librdkafka takes codecs from that, and only then compresses.
    Versions 0 to 2 close the connection all the same.
    """
    request = REQUESTS[key]
    lowest = 0 if key == PRODUCE else request.min_version
    return ApiVersion(api_key=key, min_version=lowest, max_version=request.max_version)


HANDLER = Handler(_handle, no_partitions)
