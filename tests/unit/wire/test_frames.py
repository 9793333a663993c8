"""Frames: sizes and headers, byte by byte, in both header versions of requests and responses."""

import pytest

from felice.errors import UnsupportedVersion, UsageError, WireError
from felice.wire.frames import (
    RequestHeader,
    decode_request,
    decode_request_header,
    decode_response,
    encode_request,
    encode_response,
    response_correlation_id,
)
from felice.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from felice.wire.messages.fetch import FetchResponse
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse
from felice.wire.messages.produce import ProduceRequest


def written(pieces: list[bytes | memoryview]) -> str:
    """The whole frame in hexadecimal."""
    return b"".join(pieces).hex()


def test_a_request_of_an_old_version_has_the_plain_header() -> None:
    """Size, key, version, correlation ID, client ID, and the body."""
    pieces = encode_request(MetadataRequest(topics=None), 4, 258, "felice")
    assert written(pieces) == "00000015 0003 0004 00000102 0006 66656c696365 ffffffff 01".replace(" ", "")


def test_a_request_of_a_flexible_version_has_tags_behind_a_plain_client_id() -> None:
    """The client ID keeps its two bytes of length, so that any broker can read it (KIP-511)."""
    pieces = encode_request(MetadataRequest(topics=None), 9, 258, "felice")
    assert written(pieces) == "00000016 0003 0009 00000102 0006 66656c696365 00 00 01 00 00 00".replace(" ", "")


def test_a_client_without_a_name_sends_null() -> None:
    """A length of -1."""
    assert written(encode_request(ApiVersionsRequest(), 0, 1, None)) == "0000000a 0012 0000 00000001 ffff".replace(
        " ", ""
    )


def test_a_response_has_the_header_of_its_version() -> None:
    """The correlation ID, and tags where it is flexible."""
    response = MetadataResponse()
    assert written(encode_response(response, 3, 8, 7))[:24] == "0000001a00000007" + "00000000"
    assert written(encode_response(response, 3, 9, 7))[:18] == "00000015" + "00000007" + "00"


def test_the_header_of_an_api_versions_response_never_has_tags() -> None:
    """It must be readable before the versions are known (KIP-511)."""
    pieces = encode_response(ApiVersionsResponse(error_code=35), 18, 3, 7)
    assert written(pieces) == "0000000c 00000007 0023 01 00000000 00".replace(" ", "")
    frame = b"".join(pieces)[4:]
    assert response_correlation_id(frame) == 7
    assert decode_response(ApiVersionsResponse, 3, frame).error_code == 35


def test_an_answer_in_the_shape_of_version_0_is_read_as_version_0() -> None:
    """What a broker sends that does not know the version asked for: error 35 and a plain list."""
    frame = bytes.fromhex("00000007 0023 00000001 0012 0000 0003")
    response = decode_response(ApiVersionsResponse, 0, frame)
    assert response.error_code == 35
    assert response.api_keys == [ApiVersionsResponse.ApiVersion(api_key=18, max_version=3)]


@pytest.mark.parametrize("version", [3, 8, 9, 12, 13])
@pytest.mark.parametrize("client_id", [None, "", "felice", "ö" * 200])
def test_a_request_is_read_back_with_its_header(version: int, client_id: str | None) -> None:
    """And the body begins where the header says."""
    data = ProduceRequest.PartitionProduceData(index=1, records=b"records")
    topic = ProduceRequest.TopicProduceData(partition_data=[data])
    request = ProduceRequest(acks=-1, topic_data=[topic])
    frame = b"".join(encode_request(request, version, -5, client_id))
    assert int.from_bytes(frame[:4]) == len(frame) - 4
    header = decode_request_header(frame[4:])
    assert header[:4] == (0, version, -5, client_id)
    assert decode_request(frame[4:], header) == request


def test_a_response_with_records_is_read_back() -> None:
    """Sizes count the pieces that are not copied too."""
    data = FetchResponse.PartitionData(records=bytes(1000), aborted_transactions=None)
    response = FetchResponse(responses=[FetchResponse.FetchableTopicResponse(partitions=[data])])
    for version in (4, 12, 17):
        frame = b"".join(encode_response(response, 1, version, 9))
        assert int.from_bytes(frame[:4]) == len(frame) - 4
        assert decode_response(FetchResponse, version, frame[4:]) == response


def test_the_header_of_a_version_not_known_yet_is_read() -> None:
    """A client may speak a later ApiVersions: the broker must see the correlation ID to answer it."""
    frame = bytes.fromhex("0012 0063 00000007 0001 61 01 05 02 ffff 0203")
    assert decode_request_header(frame) == RequestHeader(18, 99, 7, "a", 16)
    with pytest.raises(UnsupportedVersion):
        decode_request(frame, decode_request_header(frame))


def test_the_header_of_an_api_not_known_is_read() -> None:
    """Whether to answer it is for the broker to decide."""
    assert decode_request_header(bytes.fromhex("03e8 0000 00000007 ffff")) == RequestHeader(1000, 0, 7, None, 10)


@pytest.mark.parametrize("size", range(17))
def test_a_request_cut_short_in_its_header_is_a_wire_error(size: int) -> None:
    """At any byte."""
    frame = bytes.fromhex("0003 0009 00000102 0004 66656c69 01 05 01 00")
    with pytest.raises(WireError):
        decode_request_header(frame[:size])


@pytest.mark.parametrize(
    "frame", [b"", b"\0\0\0", bytes(4), bytes.fromhex("00000007 05"), bytes.fromhex("00000007 01 00 7f")]
)
def test_a_response_cut_short_in_its_header_is_a_wire_error(frame: bytes) -> None:
    """Also where its tags claim more than there is."""
    with pytest.raises(WireError):
        decode_response(MetadataResponse, 9, frame)


def test_a_correlation_id_needs_four_bytes() -> None:
    """Fewer are a wire error."""
    with pytest.raises(WireError):
        response_correlation_id(b"\0\0\0")


def test_a_client_id_that_is_not_text_is_a_wire_error() -> None:
    """As any other string."""
    with pytest.raises(WireError, match="UTF-8"):
        decode_request_header(bytes.fromhex("0003 0000 00000007 0001 ff"))


def test_a_client_id_longer_than_a_string_is_refused() -> None:
    """Before anything is sent."""
    with pytest.raises(UsageError, match="32768"):
        encode_request(ApiVersionsRequest(), 0, 1, "x" * 32768)
