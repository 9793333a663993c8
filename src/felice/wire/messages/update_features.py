"""UpdateFeatures (key 57): the levels of features that the cluster has agreed on (KIP-584).

A level below 1 takes a feature away. Since version 1 a downgrade is asked for by `upgrade_type` (1 upgrade, 2 downgrade
without loss, 3 downgrade at any price), and a change can be only tried (KIP-778). Version 2 answers for all features
together, with one error (KIP-1022).
"""

from felice.wire.schema import Request, Response, Struct, array, boolean, int8, int16, int32, string

__all__ = ["UpdateFeaturesRequest", "UpdateFeaturesResponse"]


class UpdateFeaturesRequest(Request["UpdateFeaturesResponse"], key=57, versions="0-2", flexible="0+"):
    class FeatureUpdateKey(Struct):
        feature: str = string("0+")
        max_version_level: int = int16("0+")
        allow_downgrade: bool = boolean("0")
        upgrade_type: int = int8("1+", default=1)

    timeout_ms: int = int32("0+", default=60000)
    feature_updates: list[FeatureUpdateKey] = array(FeatureUpdateKey, "0+")
    validate_only: bool = boolean("1+")


class UpdateFeaturesResponse(Response, answers=UpdateFeaturesRequest):
    class UpdatableFeatureResult(Struct):
        feature: str = string("0+")
        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+")

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+")
    results: list[UpdatableFeatureResult] = array(UpdatableFeatureResult, "0-1", ignorable=True)
