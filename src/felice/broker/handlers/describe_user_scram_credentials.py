"""DescribeUserScramCredentials: which SCRAM credentials users have (KIP-554)."""

from collections import Counter
from typing import TypeAlias

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
)

__all__ = ["HANDLER"]

Result: TypeAlias = DescribeUserScramCredentialsResponse.DescribeUserScramCredentialsResult


def _handle(call: Call, request: DescribeUserScramCredentialsRequest) -> DescribeUserScramCredentialsResponse:
    """Describe the users who are asked for, or all."""
    code = call.error(Operation.DESCRIBE)
    if code:
        # As in Kafka, there are as many results as users, and they do not say whom they are about.
        results = [Result(error_code=code, error_message=None) for _ in request.users or ()]
        return DescribeUserScramCredentialsResponse(error_code=code, error_message=None, results=results)
    times = Counter(user.name for user in request.users or ())
    names = times or call.cluster.scram_users.names()
    return DescribeUserScramCredentialsResponse(
        error_message="", results=[_describe(call, name, times[name] > 1) for name in names]
    )


def _describe(call: Call, name: str, twice: bool) -> Result:
    """Describe one user."""
    try:
        if twice:
            raise Refused(ErrorCode.DUPLICATE_RESOURCE, f"the user {name!r} is named twice")
        credentials = call.cluster.scram_users.credentials(name)
    except Refused as refused:
        return Result(user=name, error_code=refused.code, error_message=refused.message)
    return Result(
        user=name,
        error_message="",
        credential_infos=[
            DescribeUserScramCredentialsResponse.CredentialInfo(mechanism=mechanism, iterations=credential.iterations)
            for mechanism, credential in credentials.items()
        ],
    )


HANDLER = Handler(_handle, no_partitions)
