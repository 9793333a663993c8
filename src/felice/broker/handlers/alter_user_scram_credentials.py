"""AlterUserScramCredentials: SCRAM credentials of users are set or removed (KIP-554)."""

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.refusal import Refused
from felice.broker.scram_users import Credential, Deletion, Upsertion
from felice.errors import ErrorCode
from felice.wire.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
)

__all__ = ["HANDLER"]


def _handle(call: Call, request: AlterUserScramCredentialsRequest) -> AlterUserScramCredentialsResponse:
    """Change users, each by itself."""
    deletions = [Deletion(asked.name, asked.mechanism) for asked in request.deletions]
    upsertions = [
        Upsertion(asked.name, asked.mechanism, Credential(asked.iterations, asked.salt, asked.salted_password))
        for asked in request.upsertions
    ]
    code = call.error(Operation.ALTER)
    if code:
        names = [change.name for change in deletions] + [change.name for change in upsertions]
        results: dict[str, Refused | None] = {name: Refused(code) for name in names}
    else:
        results = call.cluster.scram_users.alter(deletions, upsertions)
    return AlterUserScramCredentialsResponse(results=[_result(name, refused) for name, refused in results.items()])


def _result(name: str, refused: Refused | None) -> AlterUserScramCredentialsResponse.AlterUserScramCredentialsResult:
    """Return what became of one user's changes."""
    result = AlterUserScramCredentialsResponse.AlterUserScramCredentialsResult(user=name, error_message=None)
    if refused is not None:
        result.error_code = refused.code
        if refused.code != ErrorCode.UNKNOWN_SERVER_ERROR:
            result.error_message = refused.message or refused.code.name
    return result


HANDLER = Handler(_handle, no_partitions)
