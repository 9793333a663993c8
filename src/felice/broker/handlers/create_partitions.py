"""CreatePartitions: topics get more partitions (KIP-195)."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.placement import MAX_PARTITIONS_AT_ONCE, check_replicas
from felice.broker.refusal import Refused
from felice.broker.topics import Topic
from felice.errors import ErrorCode
from felice.wire.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsResponse

__all__ = ["HANDLER"]

WORDLESS = (
    ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.UNKNOWN_SERVER_ERROR,
)
"""What Kafka says no more about."""

Asked: TypeAlias = CreatePartitionsRequest.CreatePartitionsTopic
Result: TypeAlias = CreatePartitionsResponse.CreatePartitionsTopicResult


def _handle(call: Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse:
    """Let topics grow, each by itself, or only check; one that is named twice is refused once."""
    times = Counter(asked.name for asked in request.topics)
    first = {asked.name: asked for asked in reversed(request.topics)}
    if request.timeout_ms <= 0 and any(_passes(call, name, count > 1) for name, count in times.items()):
        code = ErrorCode.REQUEST_TIMED_OUT
        return CreatePartitionsResponse(
            results=[Result(name=asked.name, error_code=code, error_message=None) for asked in request.topics]
        )
    response = CreatePartitionsResponse()
    room = MAX_PARTITIONS_AT_ONCE
    for name, count in times.items():
        grown, result = _grow(call, first[name], room, count > 1, request.validate_only)
        room -= grown
        response.results.append(result)
    return response


def _check(call: Call, name: str, twice: bool) -> None:
    """Refuse what Kafka refuses before its controller hears of it."""
    call.check_faults(name)
    if twice:
        raise Refused(ErrorCode.INVALID_REQUEST, "the topic is named twice")
    call.authorize(Operation.ALTER, Resource.TOPIC, name)


def _passes(call: Call, name: str, twice: bool) -> bool:
    """Tell whether Kafka's controller, which does nothing for who gives it no time, would hear of a topic."""
    try:
        _check(call, name, twice)
    except Refused:
        return False
    return True


def _grow(call: Call, asked: Asked, room: int, twice: bool, validate_only: bool) -> tuple[int, Result]:
    """Let one topic grow by no more than there is room for; return by how many partitions."""
    try:
        _check(call, asked.name, twice)
        topic = call.cluster.topic(asked.name)
        replicas = _replicas(call, topic, asked, room)
    except Refused as refused:
        message = None if refused.code in WORDLESS else refused.message or refused.code.name
        return 0, Result(name=asked.name, error_code=refused.code, error_message=message)
    if not validate_only:
        call.cluster.add_partitions(topic, replicas)
    return len(replicas), Result(name=asked.name)


def _replicas(call: Call, topic: Topic, asked: Asked, room: int) -> list[list[int]]:
    """Return the nodes of the new partitions."""
    there, nodes = len(topic.partitions), call.cluster.nodes
    if any(partition.adding or partition.removing for partition in topic.partitions):
        raise Refused(ErrorCode.REASSIGNMENT_IN_PROGRESS, "a partition of the topic is moving")
    if asked.count <= there:
        raise Refused(ErrorCode.INVALID_PARTITIONS, f"the topic has {there} partitions already")
    added, copies = asked.count - there, len(topic.partitions[0].target)
    if added > room:
        raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR)
    if asked.assignments is None:
        return call.cluster.spread(added, copies, first=there)
    if len(asked.assignments) != added:
        raise Refused(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"{added} partitions come, and {len(asked.assignments)} are assigned"
        )
    replicas = [assignment.broker_ids for assignment in asked.assignments]
    for index, some in enumerate(replicas, there):
        check_replicas(some, nodes, f"partition {index}", as_many_as=copies)
        call.cluster.check_some_up(index, some)
    return replicas


def _partitions(call: Call, request: CreatePartitionsRequest) -> Iterable[tuple[str, int]]:
    """Give the topics' first partitions."""
    return ((asked.name, 0) for asked in request.topics)


HANDLER = Handler(_handle, _partitions)
