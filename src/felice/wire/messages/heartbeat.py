"""Heartbeat (key 12): a member of a group of the classic protocol is alive.

The answer is where a member hears of a new generation: REBALANCE_IN_PROGRESS asks it to join again, and it remains a
member meanwhile. Version 3 has static members (KIP-345).
"""

from felice.wire.schema import Request, Response, int16, int32, string

__all__ = ["HeartbeatRequest", "HeartbeatResponse"]


class HeartbeatRequest(Request["HeartbeatResponse"], key=12, versions="0-4", flexible="4+"):
    group_id: str = string("0+")
    generation_id: int = int32("0+")
    member_id: str = string("0+")
    group_instance_id: str | None = string("3+", nullable="3+", default=None)


class HeartbeatResponse(Response, answers=HeartbeatRequest):
    throttle_time_ms: int = int32("1+", ignorable=True)
    error_code: int = int16("0+")
