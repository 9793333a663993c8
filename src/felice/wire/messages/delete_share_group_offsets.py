"""DeleteShareGroupOffsets (key 92): a share group forgets where it stood in topics (KIP-932).

Topics are deleted whole. A group that has members is answered NON_EMPTY_GROUP.
"""

from felice.wire.schema import Request, Response, Struct, array, int16, int32, string, uuid

__all__ = ["DeleteShareGroupOffsetsRequest", "DeleteShareGroupOffsetsResponse"]


class DeleteShareGroupOffsetsRequest(Request["DeleteShareGroupOffsetsResponse"], key=92, versions="0", flexible="0+"):
    class Topic(Struct):
        topic_name: str = string("0+")

    group_id: str = string("0+")
    topics: list[Topic] = array(Topic, "0+")


class DeleteShareGroupOffsetsResponse(Response, answers=DeleteShareGroupOffsetsRequest):
    class Topic(Struct):
        topic_name: str = string("0+")
        topic_id: bytes = uuid("0+")
        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+", default=None)

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+", default=None)
    responses: list[Topic] = array(Topic, "0+")
