"""CreateDelegationToken (key 38): a token by which others authenticate in one's name (KIP-48).

A lifetime of -1 is the broker's longest. Version 3 makes tokens for another owner (KIP-373). A connection that itself
came about by a token may not ask.
"""

from felice.wire.schema import Request, Response, Struct, array, binary, int16, int32, int64, string

__all__ = ["CreateDelegationTokenRequest", "CreateDelegationTokenResponse"]


class CreateDelegationTokenRequest(Request["CreateDelegationTokenResponse"], key=38, versions="1-3", flexible="2+"):
    class CreatableRenewers(Struct):
        principal_type: str = string("0+")
        principal_name: str = string("0+")

    owner_principal_type: str | None = string("3+", nullable="3+")
    owner_principal_name: str | None = string("3+", nullable="3+")
    renewers: list[CreatableRenewers] = array(CreatableRenewers, "0+")
    max_lifetime_ms: int = int64("0+")


class CreateDelegationTokenResponse(Response, answers=CreateDelegationTokenRequest):
    error_code: int = int16("0+")
    principal_type: str = string("0+")
    principal_name: str = string("0+")
    token_requester_principal_type: str = string("3+")
    token_requester_principal_name: str = string("3+")
    issue_timestamp_ms: int = int64("0+")
    expiry_timestamp_ms: int = int64("0+")
    max_timestamp_ms: int = int64("0+")
    token_id: str = string("0+")
    hmac: bytes = binary("0+")
    throttle_time_ms: int = int32("0+")
