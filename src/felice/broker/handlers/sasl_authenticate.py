"""SaslAuthenticate: refused, as on any connection that needs no authentication (KIP-152)."""

from felice.broker.call import Call, Handler, no_partitions
from felice.errors import ErrorCode
from felice.wire.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: SaslAuthenticateRequest) -> SaslAuthenticateResponse:
    """Refuse."""
    return SaslAuthenticateResponse(
        error_code=call.error() or ErrorCode.ILLEGAL_SASL_STATE,
        error_message="this connection is not one that authenticates",
    )


HANDLER = Handler(_handle, no_partitions)
