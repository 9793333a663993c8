"""DeleteTopics, by name or by ID."""

from collections import Counter
from collections.abc import Container, Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.refusal import Refused
from felice.broker.topics import Topic
from felice.errors import ErrorCode
from felice.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from felice.wire.schema import ZERO_UUID

__all__ = ["HANDLER"]

State: TypeAlias = DeleteTopicsRequest.DeleteTopicState
Result: TypeAlias = DeleteTopicsResponse.DeletableTopicResult


def _handle(call: Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse:
    """Delete topics, each by itself."""
    asked = _asked(request)
    twice = {key for key, times in Counter((state.name, state.topic_id) for state in asked).items() if times > 1}
    if request.timeout_ms <= 0 and any(_passes(call, state, twice) for state in asked):
        code = ErrorCode.REQUEST_TIMED_OUT
        return DeleteTopicsResponse(
            responses=[
                Result(name=state.name, topic_id=state.topic_id, error_code=code, error_message=None) for state in asked
            ]
        )
    results = []
    for name, topic_id in dict.fromkeys((state.name, state.topic_id) for state in asked):
        try:
            _check(call, name, topic_id, twice)
            results.append(_delete(call, name, topic_id))
        except Refused as refused:
            message = refused.message or refused.code.name
            results.append(Result(name=name, topic_id=topic_id, error_code=refused.code, error_message=message))
    return DeleteTopicsResponse(responses=results)


def _check(call: Call, name: str | None, topic_id: bytes, twice: Container[tuple[str | None, bytes]]) -> None:
    """Refuse what Kafka refuses before its controller hears of it."""
    call.check_faults(_name(call, name, topic_id))
    if (name, topic_id) in twice:
        raise Refused(ErrorCode.INVALID_REQUEST, "the topic is named twice")
    if name is not None and topic_id != ZERO_UUID:
        raise Refused(ErrorCode.INVALID_REQUEST, "give a name or an ID, not both")
    if name is None and topic_id == ZERO_UUID:
        raise Refused(ErrorCode.INVALID_REQUEST, "neither a name nor an ID is given")


def _passes(call: Call, state: State, twice: Container[tuple[str | None, bytes]]) -> bool:
    """Tell whether Kafka's controller, which does nothing for who gives it no time, would hear of a topic."""
    try:
        _check(call, state.name, state.topic_id, twice)
    except Refused:
        return False
    return True


def _delete(call: Call, name: str | None, topic_id: bytes) -> Result:
    """Delete one topic."""
    cluster = call.cluster
    may_delete_all = call.may(Operation.DELETE, Resource.CLUSTER)
    if name is not None and not may_delete_all:
        call.authorize(Operation.DESCRIBE, Resource.TOPIC, name)
    topic = cluster.topic_by_id(topic_id) if name is None else cluster.topic(name)
    if not may_delete_all and not call.may(Operation.DELETE, Resource.TOPIC, topic.name):
        return _kept(call, topic)
    if not cluster.settings.flag("delete.topic.enable"):
        raise Refused(ErrorCode.TOPIC_DELETION_DISABLED)
    cluster.delete_topic(topic)
    return Result(name=topic.name, topic_id=topic.id)


def _kept(call: Call, topic: Topic) -> Result:
    """Refuse to delete a topic, and name it where the client may know of it."""
    code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
    known = call.may(Operation.DESCRIBE, Resource.TOPIC, topic.name)
    return Result(name=topic.name if known else None, topic_id=topic.id, error_code=code, error_message=code.name)


def _asked(request: DeleteTopicsRequest) -> list[State]:
    """Return the topics of a request, whichever way its version names them."""
    return request.topics or [State(name=name) for name in request.topic_names]


def _partitions(call: Call, request: DeleteTopicsRequest) -> Iterable[tuple[str, int]]:
    """Give the topics' first partitions."""
    for state in _asked(request):
        name = _name(call, state.name, state.topic_id)
        if name is not None:
            yield name, 0


def _name(call: Call, name: str | None, topic_id: bytes) -> str | None:
    """Return the name of the topic that is meant, or None where nobody knows it."""
    topic = call.cluster.topics_by_id.get(topic_id)
    return name if topic is None else topic.name


HANDLER = Handler(_handle, _partitions)
