"""UnregisterBroker (key 64): a broker that is gone for good leaves the metadata.

It is for brokers that no longer run. Their partitions remain assigned to them.
"""

from felice.wire.schema import Request, Response, int16, int32, string

__all__ = ["UnregisterBrokerRequest", "UnregisterBrokerResponse"]


class UnregisterBrokerRequest(Request["UnregisterBrokerResponse"], key=64, versions="0", flexible="0+"):
    broker_id: int = int32("0+")


class UnregisterBrokerResponse(Response, answers=UnregisterBrokerRequest):
    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+")
