"""GetTelemetrySubscriptions (KIP-714): a client is told that none of its metrics is wanted."""

import zlib
from typing import Final

from felice.broker.call import Call, Handler, no_partitions
from felice.wire.messages.get_telemetry_subscriptions import (
    GetTelemetrySubscriptionsRequest,
    GetTelemetrySubscriptionsResponse,
)
from felice.wire.records import Codec
from felice.wire.schema import ZERO_UUID

__all__ = ["HANDLER", "subscription_id"]

INTERVAL_MS: Final = 300_000


def subscription_id(instance: bytes) -> int:
    """Return the ID of what is wanted of a client instance, 32 bits with a sign: it is made of the instance's own."""
    return int.from_bytes(zlib.crc32(instance).to_bytes(4, "big"), "big", signed=True)


def _handle(call: Call, request: GetTelemetrySubscriptionsRequest) -> GetTelemetrySubscriptionsResponse:
    """Give the client an ID, if it has none, and an empty list."""
    code = call.error()
    if code:
        return GetTelemetrySubscriptionsResponse(error_code=code)
    instance = request.client_instance_id
    if instance == ZERO_UUID:
        instance = call.cluster.chance.randbytes(16)
    return GetTelemetrySubscriptionsResponse(
        client_instance_id=instance,
        subscription_id=subscription_id(instance),
        accepted_compression_types=[Codec.ZSTD, Codec.LZ4, Codec.GZIP, Codec.SNAPPY],
        push_interval_ms=INTERVAL_MS,
        telemetry_max_bytes=call.cluster.settings.number("telemetry.max.bytes"),
        delta_temporality=True,
    )


HANDLER = Handler(_handle, no_partitions)
