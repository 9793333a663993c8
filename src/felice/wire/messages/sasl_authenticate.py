"""SaslAuthenticate (key 36): the tokens of a SASL mechanism, to and fro (KIP-152).

Version 1 tells for how many milliseconds the session holds: before they are over, the client authenticates again on the
same connection, or the broker closes it (KIP-368). 0 means for ever.
"""

from felice.wire.schema import Request, Response, binary, int16, int64, string

__all__ = ["SaslAuthenticateRequest", "SaslAuthenticateResponse"]


class SaslAuthenticateRequest(Request["SaslAuthenticateResponse"], key=36, versions="0-2", flexible="2+"):
    auth_bytes: bytes = binary("0+")


class SaslAuthenticateResponse(Response, answers=SaslAuthenticateRequest):
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+")
    auth_bytes: bytes = binary("0+")
    session_lifetime_ms: int = int64("1+", ignorable=True)
