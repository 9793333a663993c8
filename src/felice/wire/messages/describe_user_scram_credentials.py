"""DescribeUserScramCredentials (key 50): which SCRAM credentials users have, without their secrets (KIP-554).

A null list asks for all users, and so does an empty one. A user without any is answered RESOURCE_NOT_FOUND. Mechanisms
are 1 for SCRAM-SHA-256 and 2 for SCRAM-SHA-512.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int8, int16, int32, string

__all__ = ["DescribeUserScramCredentialsRequest", "DescribeUserScramCredentialsResponse"]


class DescribeUserScramCredentialsRequest(
    Request["DescribeUserScramCredentialsResponse"], key=50, versions="0", flexible="0+"
):
    class UserName(Struct):
        name: str = string("0+")

    users: list[UserName] | None = array(UserName, "0+", nullable="0+")


class DescribeUserScramCredentialsResponse(Response, answers=DescribeUserScramCredentialsRequest):
    class DescribeUserScramCredentialsResult(Struct):
        class CredentialInfo(Struct):
            mechanism: int = int8("0+")
            iterations: int = int32("0+")

        user: str = string("0+")
        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+")
        credential_infos: list[CredentialInfo] = array(CredentialInfo, "0+")

    CredentialInfo = Alias[DescribeUserScramCredentialsResult.CredentialInfo]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+")
    results: list[DescribeUserScramCredentialsResult] = array(DescribeUserScramCredentialsResult, "0+")
