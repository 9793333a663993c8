"""AlterUserScramCredentials (key 51): SCRAM credentials of users are set or removed (KIP-554).

The client salts and hashes the password, which does not travel itself. The answer has one result a user, for all that
was asked about it.
"""

from felice.wire.schema import Request, Response, Struct, array, binary, int8, int16, int32, string

__all__ = ["AlterUserScramCredentialsRequest", "AlterUserScramCredentialsResponse"]


class AlterUserScramCredentialsRequest(
    Request["AlterUserScramCredentialsResponse"], key=51, versions="0", flexible="0+"
):
    class ScramCredentialDeletion(Struct):
        name: str = string("0+")
        mechanism: int = int8("0+")

    class ScramCredentialUpsertion(Struct):
        name: str = string("0+")
        mechanism: int = int8("0+")
        iterations: int = int32("0+")
        salt: bytes = binary("0+")
        salted_password: bytes = binary("0+")

    deletions: list[ScramCredentialDeletion] = array(ScramCredentialDeletion, "0+")
    upsertions: list[ScramCredentialUpsertion] = array(ScramCredentialUpsertion, "0+")


class AlterUserScramCredentialsResponse(Response, answers=AlterUserScramCredentialsRequest):
    class AlterUserScramCredentialsResult(Struct):
        user: str = string("0+")
        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+")

    throttle_time_ms: int = int32("0+")
    results: list[AlterUserScramCredentialsResult] = array(AlterUserScramCredentialsResult, "0+")
