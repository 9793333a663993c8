"""What is said about the broker itself: ApiVersions, what closes a connection, FindCoordinator."""

from typing import Any

from asking import Asker, comparable
from felice.wire.frames import encode_request
from felice.wire.messages.api_versions import ApiVersionsRequest
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.metadata import MetadataRequest
from questions.asked import question


@question
def api_versions_of_the_future(asker: Asker) -> Any:
    """A version of ApiVersions that nobody knows is answered in version 0, with the versions that there are."""
    frame = b"".join(encode_request(ApiVersionsRequest(), 0, 7, "asker"))
    return asker.raw(frame[:6] + b"\0\x63" + frame[8:])


@question
def api_versions_with_a_strange_name(asker: Asker) -> Any:
    """The client's software must have a decent name."""
    return [
        comparable(asker.ask(ApiVersionsRequest(client_software_name=name, client_software_version=version), 3))
        for name, version in [("-felice", "1"), ("felice", ""), ("fe lice", "1"), ("felice", "1.0 beta")]
    ]


@question
def api_versions_lists_produce_from_zero(asker: Asker) -> Any:
    """All versions of what both have are the same, of Produce also those that are refused."""
    answer = asker.ask(ApiVersionsRequest(client_software_name="felice", client_software_version="1"), 4)
    known = (0, 1, 2, 3, 10, 18, 19, 20, 21, 22, 23, 32)
    return [
        (api.api_key, api.min_version, api.max_version)
        for api in sorted(answer.api_keys, key=lambda api: int(api.api_key))
        if api.api_key in known
    ]


@question
def old_versions_close_the_connection(asker: Asker) -> Any:
    """Versions that Kafka 4 took away, that do not exist yet, and APIs that do not exist, get no answer."""
    frame = bytearray(b"".join(encode_request(MetadataRequest(topics=[]), 1, 7, "asker")))
    answers = []
    for api, version in [(0, 2), (1, 3), (2, 0), (3, 99), (19, 1), (999, 0)]:
        frame[4:8] = api.to_bytes(2, "big") + version.to_bytes(2, "big")
        answers.append(asker.raw(bytes(frame)))
    return answers


@question
def garbage_closes_the_connection(asker: Asker) -> Any:
    """Bodies that are cut off, sizes below zero or too large, get no answer."""
    whole = b"".join(encode_request(MetadataRequest(topics=None), 9, 7, "asker"))
    short = (len(whole) - 4 - 2).to_bytes(4, "big") + whole[4:-2]
    return [asker.raw(frame) for frame in (short, b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n")]


@question
def find_coordinators_of_strange_kinds(asker: Asker) -> Any:
    """Kinds of keys that there are not, or not yet."""
    return [
        comparable(asker.ask(FindCoordinatorRequest(key="k", key_type=3), 2)),
        comparable(asker.ask(FindCoordinatorRequest(coordinator_keys=["k"], key_type=9), 4)),
        comparable(asker.ask(FindCoordinatorRequest(coordinator_keys=["k"], key_type=2), 5)),
        comparable(asker.ask(FindCoordinatorRequest(coordinator_keys=["k"], key_type=2), 6)),
    ]
