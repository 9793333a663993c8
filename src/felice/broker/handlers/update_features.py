"""UpdateFeatures: the levels of features that count in the cluster (KIP-584, KIP-778, KIP-1022)."""

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.features import Update, Upgrade
from felice.broker.refusal import Refused
from felice.wire.messages.update_features import UpdateFeaturesRequest, UpdateFeaturesResponse

__all__ = ["HANDLER"]

TYPES_FROM = 1
NO_ERROR = "NONE"
"""What Kafka writes into the results of versions 0 and 1 where nothing is wrong."""


def _handle(call: Call, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse:
    """Set all levels, or none."""
    updates = [
        Update(asked.feature, asked.max_version_level, _upgrade(call, asked)) for asked in request.feature_updates
    ]
    try:
        call.check_faults(None)
        call.authorize(Operation.ALTER, Resource.CLUSTER)
        call.cluster.features.update(updates, validate_only=request.validate_only)
    except Refused as refused:
        return UpdateFeaturesResponse(error_code=refused.code, error_message=refused.message or refused.code.name)
    names = dict.fromkeys(update.name for update in updates)
    return UpdateFeaturesResponse(
        error_message=None,
        results=[UpdateFeaturesResponse.UpdatableFeatureResult(feature=name, error_message=NO_ERROR) for name in names],
    )


def _upgrade(call: Call, asked: UpdateFeaturesRequest.FeatureUpdateKey) -> int:
    """Return what an update may do; version 0 has a flag for it."""
    if call.version >= TYPES_FROM:
        return asked.upgrade_type
    return Upgrade.SAFE_DOWNGRADE if asked.allow_downgrade else Upgrade.UPGRADE


HANDLER = Handler(_handle, no_partitions)
