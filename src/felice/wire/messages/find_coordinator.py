"""FindCoordinator (key 10): the broker that coordinates a group (type 0), a transaction (1) or a share group (2).

Since version 4 many keys are asked at once, in lists (KIP-699); earlier ones use the single fields. Version 5 knows
TRANSACTION_ABORTABLE (KIP-890), 6 share groups, with keys `group:topic ID:partition` (KIP-932).
"""

from felice.wire.schema import Request, Response, Struct, array, int8, int16, int32, string

__all__ = ["FindCoordinatorRequest", "FindCoordinatorResponse"]


class FindCoordinatorRequest(Request["FindCoordinatorResponse"], key=10, versions="0-6", flexible="3+"):
    key: str = string("0-3")
    key_type: int = int8("1+")
    coordinator_keys: list[str] = array(string, "4+")


class FindCoordinatorResponse(Response, answers=FindCoordinatorRequest):
    class Coordinator(Struct):
        key: str = string("4+")
        node_id: int = int32("4+")
        host: str = string("4+")
        port: int = int32("4+")
        error_code: int = int16("4+")
        error_message: str | None = string("4+", nullable="4+", ignorable=True)

    throttle_time_ms: int = int32("1+", ignorable=True)
    error_code: int = int16("0-3")
    error_message: str | None = string("1-3", nullable="1-3", ignorable=True)
    node_id: int = int32("0-3")
    host: str = string("0-3")
    port: int = int32("0-3")
    coordinators: list[Coordinator] = array(Coordinator, "4+")
