"""DescribeDelegationToken (KIP-48): refused, as on any connection that is not authenticated."""

from typing import Final

from felice.broker.call import Call, Handler, no_partitions
from felice.errors import ErrorCode
from felice.wire.messages.describe_delegation_token import (
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
)

__all__ = ["HANDLER"]

NOT_ALLOWED: Final = ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED


def _handle(call: Call, request: DescribeDelegationTokenRequest) -> DescribeDelegationTokenResponse:
    """Refuse."""
    return DescribeDelegationTokenResponse(error_code=call.error() or NOT_ALLOWED)


HANDLER = Handler(_handle, no_partitions)
