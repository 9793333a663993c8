"""SaslHandshake: refused, as on any connection that needs no authentication (KIP-43)."""

from felice.broker.call import Call, Handler, no_partitions
from felice.errors import ErrorCode
from felice.wire.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: SaslHandshakeRequest) -> SaslHandshakeResponse:
    """Refuse."""
    return SaslHandshakeResponse(error_code=call.error() or ErrorCode.ILLEGAL_SASL_STATE)


HANDLER = Handler(_handle, no_partitions)
