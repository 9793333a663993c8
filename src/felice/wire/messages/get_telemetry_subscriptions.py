"""GetTelemetrySubscriptions (key 71): which metrics of its own a client shall push, how often and how (KIP-714).

A client's first request has a zero ID, and the answer the one to keep for its whole life. Of metrics, prefixes are
named: an empty list asks for none of them, an empty string for all.
"""

from felice.wire.schema import Request, Response, array, boolean, int8, int16, int32, string, uuid

__all__ = ["GetTelemetrySubscriptionsRequest", "GetTelemetrySubscriptionsResponse"]


class GetTelemetrySubscriptionsRequest(
    Request["GetTelemetrySubscriptionsResponse"], key=71, versions="0", flexible="0+"
):
    client_instance_id: bytes = uuid("0+")


class GetTelemetrySubscriptionsResponse(Response, answers=GetTelemetrySubscriptionsRequest):
    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    client_instance_id: bytes = uuid("0+")
    subscription_id: int = int32("0+")
    accepted_compression_types: list[int] = array(int8, "0+")
    push_interval_ms: int = int32("0+")
    telemetry_max_bytes: int = int32("0+")
    delta_temporality: bool = boolean("0+")
    requested_metrics: list[str] = array(string, "0+")
