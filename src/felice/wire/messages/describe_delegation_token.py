"""DescribeDelegationToken (key 41): the tokens of owners, with their HMACs (KIP-48).

A null list asks for all that the caller may see, an empty one for none. Version 3 tells who asked for the token
(KIP-373).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, binary, int16, int32, int64, string

__all__ = ["DescribeDelegationTokenRequest", "DescribeDelegationTokenResponse"]


class DescribeDelegationTokenRequest(Request["DescribeDelegationTokenResponse"], key=41, versions="1-3", flexible="2+"):
    class DescribeDelegationTokenOwner(Struct):
        principal_type: str = string("0+")
        principal_name: str = string("0+")

    owners: list[DescribeDelegationTokenOwner] | None = array(DescribeDelegationTokenOwner, "0+", nullable="0+")


class DescribeDelegationTokenResponse(Response, answers=DescribeDelegationTokenRequest):
    class DescribedDelegationToken(Struct):
        class DescribedDelegationTokenRenewer(Struct):
            principal_type: str = string("0+")
            principal_name: str = string("0+")

        principal_type: str = string("0+")
        principal_name: str = string("0+")
        token_requester_principal_type: str = string("3+")
        token_requester_principal_name: str = string("3+")
        issue_timestamp: int = int64("0+")
        expiry_timestamp: int = int64("0+")
        max_timestamp: int = int64("0+")
        token_id: str = string("0+")
        hmac: bytes = binary("0+")
        renewers: list[DescribedDelegationTokenRenewer] = array(DescribedDelegationTokenRenewer, "0+")

    DescribedDelegationTokenRenewer = Alias[DescribedDelegationToken.DescribedDelegationTokenRenewer]

    error_code: int = int16("0+")
    tokens: list[DescribedDelegationToken] = array(DescribedDelegationToken, "0+")
    throttle_time_ms: int = int32("0+")
