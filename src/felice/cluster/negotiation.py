"""Which version of a request to use on one connection (KIP-35, KIP-511). Pure."""

from typing import Any

from felice.errors import ErrorCode, UnsupportedVersion, WireError
from felice.wire.messages.api_versions import ApiVersionsResponse
from felice.wire.schema import Request

__all__ = ["BrokerVersions", "refused"]


class BrokerVersions:
    """The versions that one broker said it speaks, and the features of its cluster."""

    __slots__ = ("_chosen", "_peer", "features", "ranges")

    def __init__(self, answer: ApiVersionsResponse, peer: str) -> None:
        """Take the broker's answer, and what to call it in errors."""
        self._peer = peer
        self.ranges: dict[int, tuple[int, int]] = {
            api.api_key: (api.min_version, api.max_version) for api in answer.api_keys
        }
        """Lowest and highest version by API key."""
        self.features: dict[str, int] = {
            feature.name: feature.max_version_level for feature in answer.finalized_features
        }
        """The level of each finalized feature, `transaction.version` for example (KIP-584)."""
        self._chosen: dict[tuple[int, int | None], int] = {}

    def choose(self, api: type[Request[Any]], cap: int | None = None) -> int:
        """Return the highest version that both sides speak, at most `cap`; raises UnsupportedVersion."""
        key = (api.api_key, cap)
        version = self._chosen.get(key)
        if version is None:
            version = self._chosen[key] = self._highest(api, cap)
        return version

    def _highest(self, api: type[Request[Any]], cap: int | None) -> int:
        ours_low, ours_high = api.min_version, api.max_version
        if cap is not None:
            ours_high = min(ours_high, cap)
        theirs = self.ranges.get(api.api_key)
        if theirs is None:
            raise UnsupportedVersion(
                f"{self._peer} does not offer {api.api_name} (felice speaks versions {ours_low} to {ours_high})",
                hint="the broker is too old for it, is not of the kind that answers it, or has it switched off",
            )
        low, high = max(ours_low, theirs[0]), min(ours_high, theirs[1])
        if low > high:
            capped = "" if cap is None else f" (at most {cap} in this request)"
            raise UnsupportedVersion(
                f"{self._peer} speaks {api.api_name} in versions {theirs[0]} to {theirs[1]}, "
                f"felice in {ours_low} to {api.max_version}{capped}",
                hint="upgrade the broker" if theirs[1] < ours_low else "upgrade felice",
            )
        return high


def refused(frame: memoryview) -> bool:
    """Tell whether an answer to ApiVersions refuses the version that was asked in.

    Whatever was asked in, a broker refuses in the form of version 0 (KIP-511), and some fill in nothing but the code.
    So the code alone counts: it follows the correlation ID in every version.
    """
    if len(frame) < 6:
        raise WireError(f"an answer to ApiVersions of {len(frame)} bytes", position=len(frame))
    return int.from_bytes(frame[4:6], "big", signed=True) == ErrorCode.UNSUPPORTED_VERSION
