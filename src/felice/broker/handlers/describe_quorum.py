"""DescribeQuorum: who keeps the metadata (KIP-595, KIP-836, KIP-853).

Here it is no log, so what is said of one is made up: every node votes and has all of it, and it is as long as it would
be at least.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.describe_quorum import DescribeQuorumRequest, DescribeQuorumResponse

__all__ = ["HANDLER"]

TOPIC: Final = "__cluster_metadata"
THE_ONE: Final = [(TOPIC, [0])]
LEADER_EPOCH: Final = 1
NODES_FROM: Final = 2

TopicData: TypeAlias = DescribeQuorumResponse.TopicData
PartitionData: TypeAlias = DescribeQuorumResponse.PartitionData


def _handle(call: Call, request: DescribeQuorumRequest) -> DescribeQuorumResponse:
    """Describe the one quorum that there is; whoever asks for more or other partitions hears that there are none."""
    code = call.error(Operation.DESCRIBE)
    if code:
        return DescribeQuorumResponse(error_code=code, error_message=code.name)
    asked = [(topic.topic_name, [part.partition_index for part in topic.partitions]) for topic in request.topics]
    if not asked:
        return DescribeQuorumResponse(error_message="")
    refusals = {named: code for named in _partitions(call, request) if (code := _refusal(call, named, asked))}
    if refusals or asked != THE_ONE:
        return DescribeQuorumResponse(
            error_message="",
            topics=[
                TopicData(topic_name=name, partitions=[_refused(index, refusals[name, index]) for index in indexes])
                for name, indexes in asked
            ],
        )
    return DescribeQuorumResponse(
        error_message="",
        topics=[TopicData(topic_name=TOPIC, partitions=[_quorum(call)])],
        nodes=[
            DescribeQuorumResponse.Node(
                node_id=node.id,
                listeners=[DescribeQuorumResponse.Listener(name="CONTROLLER", host=node.host, port=node.port)],
            )
            for node in (call.cluster.nodes.values() if call.version >= NODES_FROM else ())
        ],
    )


def _refusal(call: Call, named: tuple[str, int], asked: list[tuple[str, list[int]]]) -> ErrorCode:
    """Return why nothing is told of a partition: a fault says so, or more is asked for than the quorum."""
    try:
        call.check_faults(*named)
    except Refused as refused:
        return refused.code
    return ErrorCode.NONE if asked == THE_ONE else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def _refused(index: int, code: ErrorCode) -> PartitionData:
    """Answer for a partition with an error."""
    return PartitionData(partition_index=index, error_code=code, error_message=code.name)


def _quorum(call: Call) -> PartitionData:
    """Describe leader and voters."""
    cluster = call.cluster
    end = len(cluster.nodes) + sum(1 + len(topic.partitions) for topic in cluster.topics.values())
    now = cluster.clock.time_ms()
    return PartitionData(
        error_message="",
        leader_id=cluster.controller_id,
        leader_epoch=LEADER_EPOCH,
        high_watermark=end,
        current_voters=[
            DescribeQuorumResponse.ReplicaState(
                replica_id=node.id, log_end_offset=end, last_fetch_timestamp=now, last_caught_up_timestamp=now
            )
            for node in cluster.nodes.values()
        ],
    )


def _partitions(call: Call, request: DescribeQuorumRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are asked for."""
    return ((topic.topic_name, part.partition_index) for topic in request.topics for part in topic.partitions)


HANDLER = Handler(_handle, _partitions)
