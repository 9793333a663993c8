"""SaslHandshake (key 17): the mechanism by which a client will authenticate (KIP-43).

After version 0 the mechanism's tokens follow bare, as frames without a header; after version 1 in SaslAuthenticate
(KIP-152). It will have no other versions, for old clients do not look at the broker's range.
"""

from felice.wire.schema import Request, Response, array, int16, string

__all__ = ["SaslHandshakeRequest", "SaslHandshakeResponse"]


class SaslHandshakeRequest(Request["SaslHandshakeResponse"], key=17, versions="0-1"):
    mechanism: str = string("0+")


class SaslHandshakeResponse(Response, answers=SaslHandshakeRequest):
    error_code: int = int16("0+")
    mechanisms: list[str] = array(string, "0+")
