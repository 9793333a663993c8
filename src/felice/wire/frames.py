"""Frames: a message behind its header.

On the wire a frame is led by its size in four bytes. What is written here has them; what is read is given without.

A request's header is its API key, version, correlation ID and the client's name, and, where the request is flexible,
tagged fields (KIP-482); a response's is the correlation ID, and tagged fields where it is flexible, but for
ApiVersions never (KIP-511): the client must be able to read that answer before it knows what the broker speaks.
"""

import struct
from typing import Any, Final, NamedTuple, TypeVar

from felice.errors import UsageError
from felice.wire import primitives
from felice.wire.messages.registry import REQUESTS
from felice.wire.schema import Buffer, Request, Response

__all__ = [
    "RequestHeader",
    "decode_request",
    "decode_request_header",
    "decode_response",
    "encode_request",
    "encode_response",
    "response_correlation_id",
]

API_VERSIONS: Final = 18

_request_head = struct.Struct(">ihhih")
_response_head = struct.Struct(">ii")
_read_request_head = struct.Struct(">hhih")
_correlation_id = struct.Struct(">i")

AnswerT = TypeVar("AnswerT", bound=Response)


class RequestHeader(NamedTuple):
    """What leads a request."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_start: int
    """Where the body begins in the frame."""


def encode_request(
    request: Request[Any], version: int, correlation_id: int, client_id: str | None
) -> list[bytes | memoryview]:
    """Return the pieces of a request's frame, the size included. Records are pieces of their own, not copied."""
    pieces = request.encode(version)
    name = b"" if client_id is None else client_id.encode()
    if len(name) > primitives.MAX_STRING:
        raise UsageError(f"a client ID of {len(name)} bytes: {primitives.MAX_STRING} is the most")
    tags = b"\0" if request.flexible(version) else b""
    size = 10 + len(name) + len(tags) + sum(map(len, pieces))
    head = _request_head.pack(size, request.api_key, version, correlation_id, -1 if client_id is None else len(name))
    pieces[0] = b"".join((head, name, tags, pieces[0]))
    return pieces


def encode_response(response: Response, api_key: int, version: int, correlation_id: int) -> list[bytes | memoryview]:
    """Return the pieces of a response's frame, the size included. Records are pieces of their own, not copied."""
    pieces = response.encode(version)
    tags = b"\0" if api_key != API_VERSIONS and response.flexible(version) else b""
    size = 4 + len(tags) + sum(map(len, pieces))
    pieces[0] = b"".join((_response_head.pack(size, correlation_id), tags, pieces[0]))
    return pieces


def response_correlation_id(frame: Buffer) -> int:
    """Return the correlation ID of a response, from its frame without the size."""
    if len(frame) < 4:
        raise primitives.cut_short("the header of a response", len(frame))
    number: int = _correlation_id.unpack_from(frame)[0]
    return number


def decode_response(response: type[AnswerT], version: int, frame: Buffer, *, allow_trailing: bool = False) -> AnswerT:
    """Read a response from its frame without the size. Records are views into `frame`."""
    start = 4
    if response.api_key != API_VERSIONS and response.flexible(version):
        start = _skip_header_tags(frame, 4, "the header of a response")
    elif len(frame) < 4:
        raise primitives.cut_short("the header of a response", len(frame))
    return response.decode(frame, version, start, allow_trailing=allow_trailing)


def decode_request_header(frame: Buffer) -> RequestHeader:
    """Read the header of a request from its frame without the size.

    The API and the version may be ones that are not known here: it is for the caller to answer that.
    """
    what = "the header of a request"
    try:
        api_key, api_version, correlation_id, size = _read_request_head.unpack_from(frame)
    except struct.error:
        raise primitives.cut_short(what, len(frame)) from None
    start = 10
    client_id = None
    if size >= 0:
        if size > len(frame) - start:
            raise primitives.overrun("the client ID", size, len(frame), start)
        try:
            client_id = str(memoryview(frame)[start : start + size], "utf-8")
        except UnicodeDecodeError as error:
            raise primitives.not_text(what, start, error) from None
        start += size
    # The client ID's length is never compact, so that any broker can read it in any version (KIP-511).
    request = REQUESTS.get(api_key)
    if request is not None and request.flexible(api_version):
        start = _skip_header_tags(frame, start, what)
    return RequestHeader(api_key, api_version, correlation_id, client_id, start)


def decode_request(frame: Buffer, header: RequestHeader) -> Request[Any]:
    """Read the body of a request whose header has been read; `KeyError` where its API is not written down.

    Bytes behind it are passed over, as Kafka does: librdkafka leaves some behind its Metadata requests of version 13.
    """
    return REQUESTS[header.api_key].decode(frame, header.api_version, header.body_start, allow_trailing=True)


def _skip_header_tags(frame: Buffer, start: int, what: str) -> int:
    """Return where the body begins behind a header's tagged fields."""
    try:
        count = frame[start]
        return start + 1 if count == 0 else primitives.skip_tags(frame, start + 1, len(frame), count)
    except IndexError:
        raise primitives.cut_short(what, len(frame)) from None
