"""ExpireDelegationToken (key 40): a token ends earlier, with a negative period at once (KIP-48).

The token is named by its HMAC, not by its ID.
"""

from felice.wire.schema import Request, Response, binary, int16, int32, int64

__all__ = ["ExpireDelegationTokenRequest", "ExpireDelegationTokenResponse"]


class ExpireDelegationTokenRequest(Request["ExpireDelegationTokenResponse"], key=40, versions="1-2", flexible="2+"):
    hmac: bytes = binary("0+")
    expiry_time_period_ms: int = int64("0+")


class ExpireDelegationTokenResponse(Response, answers=ExpireDelegationTokenRequest):
    error_code: int = int16("0+")
    expiry_timestamp_ms: int = int64("0+")
    throttle_time_ms: int = int32("0+")
