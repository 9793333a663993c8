"""PushTelemetry (key 72): a client's metrics, as OpenTelemetry's MetricsData in protobuf (KIP-714).

UNKNOWN_SUBSCRIPTION_ID means that subscriptions have changed, and GetTelemetrySubscriptions is to be asked again. The
last push of a client may come before its time, with `terminating`.
"""

from felice.wire.schema import Request, Response, binary, boolean, int8, int16, int32, uuid

__all__ = ["PushTelemetryRequest", "PushTelemetryResponse"]


class PushTelemetryRequest(Request["PushTelemetryResponse"], key=72, versions="0", flexible="0+"):
    client_instance_id: bytes = uuid("0+")
    subscription_id: int = int32("0+")
    terminating: bool = boolean("0+")
    compression_type: int = int8("0+")
    metrics: bytes = binary("0+")


class PushTelemetryResponse(Response, answers=PushTelemetryRequest):
    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
