"""PushTelemetry (KIP-714): metrics of a client, which nobody asked for."""

from felice.broker.call import Call, Handler, no_partitions
from felice.broker.handlers.get_telemetry_subscriptions import subscription_id
from felice.errors import ErrorCode
from felice.wire.messages.push_telemetry import PushTelemetryRequest, PushTelemetryResponse
from felice.wire.schema import ZERO_UUID

__all__ = ["HANDLER"]


def _handle(call: Call, request: PushTelemetryRequest) -> PushTelemetryResponse:
    """Drop them, if they are what the client was told to send: nothing."""
    code = call.error()
    instance = request.client_instance_id
    if not code and instance == ZERO_UUID:
        code = ErrorCode.INVALID_REQUEST
    elif not code and request.subscription_id != subscription_id(instance):
        code = ErrorCode.UNKNOWN_SUBSCRIPTION_ID
    elif not code and len(request.metrics) > call.cluster.settings.number("telemetry.max.bytes"):
        code = ErrorCode.TELEMETRY_TOO_LARGE
    return PushTelemetryResponse(error_code=code)


HANDLER = Handler(_handle, no_partitions)
