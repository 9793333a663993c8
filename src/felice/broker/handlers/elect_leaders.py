"""ElectLeaders: preferred replicas become leaders, or whoever is left (KIP-183, KIP-460)."""

from collections.abc import Iterable
from typing import Final, TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse

__all__ = ["HANDLER"]

CODE_FROM: Final = 1
PREFERRED: Final = 0
UNCLEAN: Final = 1

Result: TypeAlias = ElectLeadersResponse.PartitionResult


def _handle(call: Call, request: ElectLeadersRequest) -> ElectLeadersResponse:
    """Elect leaders of the partitions that are named, or of all: then those that need none are left out."""
    response = ElectLeadersResponse()
    if call.version >= CODE_FROM and not call.may(Operation.ALTER, Resource.CLUSTER):
        response.error_code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    everything = request.topic_partitions is None
    if request.election_type not in (PREFERRED, UNCLEAN):
        response.error_code = ErrorCode.INVALID_REQUEST
    for topic, indexes in _asked(call, request):
        results = [_elect(call, request.election_type, topic, index) for index in indexes]
        if everything:
            results = [result for result in results if result.error_code != ErrorCode.ELECTION_NOT_NEEDED]
        if results or not everything:
            response.replica_election_results.append(
                ElectLeadersResponse.ReplicaElectionResult(topic=topic, partition_result=results)
            )
    return response


def _elect(call: Call, kind: int, topic: str, index: int) -> Result:
    """Elect the leader of one partition."""
    try:
        call.check_faults(topic, index)
        call.authorize(Operation.ALTER, Resource.CLUSTER)
        if kind not in (PREFERRED, UNCLEAN):
            raise Refused(ErrorCode.INVALID_REQUEST, f"there is no election type {kind}")
        call.cluster.elect(call.cluster.partition(topic, index), unclean=kind == UNCLEAN)
    except Refused as refused:
        return Result(partition_id=index, error_code=refused.code, error_message=refused.message or refused.code.name)
    return Result(partition_id=index, error_message=None)


def _asked(call: Call, request: ElectLeadersRequest) -> list[tuple[str, list[int]]]:
    """Return the topics and partitions that are meant."""
    if request.topic_partitions is not None:
        return [(asked.topic, asked.partitions) for asked in request.topic_partitions]
    return [(name, list(range(len(topic.partitions)))) for name, topic in call.cluster.topics.items()]


def _partitions(call: Call, request: ElectLeadersRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are meant."""
    return ((topic, index) for topic, indexes in _asked(call, request) for index in indexes)


HANDLER = Handler(_handle, _partitions)
