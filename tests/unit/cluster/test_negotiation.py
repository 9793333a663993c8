"""Which versions a connection uses."""

import pytest

from felice.cluster.negotiation import BrokerVersions, refused
from felice.errors import UnsupportedVersion, WireError
from felice.wire.messages.api_versions import ApiVersionsResponse
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.produce import ProduceRequest


def offered(**ranges: tuple[int, int]) -> BrokerVersions:
    keys = {"produce": 0, "metadata": 3}
    return BrokerVersions(
        ApiVersionsResponse(
            api_keys=[
                ApiVersionsResponse.ApiVersion(api_key=keys[name], min_version=low, max_version=high)
                for name, (low, high) in ranges.items()
            ],
            finalized_features=[
                ApiVersionsResponse.FinalizedFeatureKey(name="transaction.version", max_version_level=2)
            ],
        ),
        "b1:9092",
    )


def test_the_highest_common_version_is_chosen() -> None:
    versions = offered(metadata=(0, 9), produce=(3, 99))
    assert versions.choose(MetadataRequest) == 9
    assert versions.choose(ProduceRequest) == ProduceRequest.max_version
    assert versions.features == {"transaction.version": 2}


def test_a_cap_holds_for_its_request_only() -> None:
    """An unknown topic ID means Produce 12 for that request, not for the connection."""
    versions = offered(produce=(3, 13))
    assert versions.choose(ProduceRequest, 12) == 12
    assert versions.choose(ProduceRequest) == 13


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ({}, ["b1:9092", "Metadata", "0 to 13"]),
        ({"metadata": (50, 60)}, ["Metadata", "50 to 60", "0 to 13", "upgrade felice"]),
    ],
)
def test_row_15_no_common_version_names_both_ranges(ranges: dict[str, tuple[int, int]], said: list[str]) -> None:
    with pytest.raises(UnsupportedVersion) as caught:
        offered(**ranges).choose(MetadataRequest)
    for part in said:
        assert part in str(caught.value)


def test_a_cap_below_the_brokers_lowest_is_no_version() -> None:
    with pytest.raises(UnsupportedVersion, match="at most 2"):
        offered(metadata=(3, 9)).choose(MetadataRequest, 2)


def test_row_15_only_the_code_of_a_refusal_counts() -> None:
    """What follows error 35 may be cut, empty or garbage."""
    assert refused(memoryview(b"\0\0\0\x01\x00\x23"))
    assert refused(memoryview(b"\0\0\0\x01\x00\x23\xff\xff\xff\xff"))
    assert not refused(memoryview(b"\0\0\0\x01\x00\x00\0\0\0\0"))
    with pytest.raises(WireError):
        refused(memoryview(b"\0\0\0\x01\x00"))
