"""RenewDelegationToken (key 39): a token stays valid for longer, up to its longest lifetime (KIP-48).

The token is named by its HMAC, not by its ID. A period of -1 is the broker's usual one.
"""

from felice.wire.schema import Request, Response, binary, int16, int32, int64

__all__ = ["RenewDelegationTokenRequest", "RenewDelegationTokenResponse"]


class RenewDelegationTokenRequest(Request["RenewDelegationTokenResponse"], key=39, versions="1-2", flexible="2+"):
    hmac: bytes = binary("0+")
    renew_period_ms: int = int64("0+")


class RenewDelegationTokenResponse(Response, answers=RenewDelegationTokenRequest):
    error_code: int = int16("0+")
    expiry_timestamp_ms: int = int64("0+")
    throttle_time_ms: int = int32("0+")
