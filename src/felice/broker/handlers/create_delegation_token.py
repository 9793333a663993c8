"""CreateDelegationToken (KIP-48): refused, as on any connection that is not authenticated."""

from typing import Final

from felice.broker.call import Call, Handler, no_partitions
from felice.errors import ErrorCode
from felice.wire.messages.create_delegation_token import CreateDelegationTokenRequest, CreateDelegationTokenResponse

__all__ = ["HANDLER"]

NOT_ALLOWED: Final = ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
ANONYMOUS: Final = ("User", "ANONYMOUS")
NEVER: Final = -1
REQUESTER_FROM: Final = 3


def _handle(call: Call, request: CreateDelegationTokenRequest) -> CreateDelegationTokenResponse:
    """Refuse."""
    return CreateDelegationTokenResponse(
        error_code=call.error() or NOT_ALLOWED,
        principal_type=ANONYMOUS[0],
        principal_name=ANONYMOUS[1],
        token_requester_principal_type=ANONYMOUS[0] if call.version >= REQUESTER_FROM else "",
        token_requester_principal_name=ANONYMOUS[1] if call.version >= REQUESTER_FROM else "",
        issue_timestamp_ms=NEVER,
        expiry_timestamp_ms=NEVER,
        max_timestamp_ms=NEVER,
    )


HANDLER = Handler(_handle, no_partitions)
