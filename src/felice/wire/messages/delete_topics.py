"""DeleteTopics (key 20): deletion of topics (KIP-4).

Version 5 answers with messages and may be throttled (KIP-599); 6 takes names or IDs in `topics` (KIP-516), where
earlier ones take `topic_names`.
"""

from felice.wire.schema import Request, Response, Struct, array, int16, int32, string, uuid

__all__ = ["DeleteTopicsRequest", "DeleteTopicsResponse"]


class DeleteTopicsRequest(Request["DeleteTopicsResponse"], key=20, versions="1-6", flexible="4+"):
    class DeleteTopicState(Struct):
        name: str | None = string("6+", nullable="6+", default=None)
        topic_id: bytes = uuid("6+")

    topics: list[DeleteTopicState] = array(DeleteTopicState, "6+")
    topic_names: list[str] = array(string, "0-5", ignorable=True)
    timeout_ms: int = int32("0+")


class DeleteTopicsResponse(Response, answers=DeleteTopicsRequest):
    class DeletableTopicResult(Struct):
        name: str | None = string("0+", nullable="6+")
        topic_id: bytes = uuid("6+", ignorable=True)
        error_code: int = int16("0+")
        error_message: str | None = string("5+", nullable="5+", default=None, ignorable=True)

    throttle_time_ms: int = int32("1+", ignorable=True)
    responses: list[DeletableTopicResult] = array(DeletableTopicResult, "0+")
