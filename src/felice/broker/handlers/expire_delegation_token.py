"""ExpireDelegationToken (KIP-48): refused, as on any connection that is not authenticated."""

from typing import Final

from felice.broker.call import Call, Handler, no_partitions
from felice.errors import ErrorCode
from felice.wire.messages.expire_delegation_token import ExpireDelegationTokenRequest, ExpireDelegationTokenResponse

__all__ = ["HANDLER"]

NOT_ALLOWED: Final = ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
NEVER: Final = -1


def _handle(call: Call, request: ExpireDelegationTokenRequest) -> ExpireDelegationTokenResponse:
    """Refuse."""
    return ExpireDelegationTokenResponse(error_code=call.error() or NOT_ALLOWED, expiry_timestamp_ms=NEVER)


HANDLER = Handler(_handle, no_partitions)
