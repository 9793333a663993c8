"""ShareAcknowledge: what became of the records that a member of a share group has (KIP-932, KIP-1222)."""

from collections.abc import Iterable

from felice.broker.call import Call, Handler
from felice.broker.handlers.share_fetch import leader_of, named_partitions, node_endpoints
from felice.broker.refusal import Refused
from felice.broker.shares.acknowledging import acknowledge, check_member
from felice.broker.shares.sessions import FINAL_EPOCH, FIRST_EPOCH
from felice.errors import ErrorCode
from felice.wire.messages.share_acknowledge import ShareAcknowledgeRequest, ShareAcknowledgeResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: ShareAcknowledgeRequest) -> ShareAcknowledgeResponse:
    """Do what the member says, and close its session if that is all."""
    leaders, epoch = call.cluster.share_leaders, request.share_session_epoch
    try:
        group_id, member_id = check_member(call, request)
        sessions = leaders.sessions(call.node)
        if epoch == FIRST_EPOCH:
            raise Refused(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
        if epoch == FINAL_EPOCH:
            session = sessions.get(group_id, member_id)
        else:
            session = sessions.resume(group_id, member_id, epoch)
    except Refused as refused:
        return ShareAcknowledgeResponse(error_code=refused.code)
    verdicts = acknowledge(call, request, group_id, member_id)
    if epoch == FINAL_EPOCH:
        leaders.release(call.node, session)
    response = ShareAcknowledgeResponse(acquisition_lock_timeout_ms=round(leaders.limits(group_id).lock_seconds * 1000))
    topics: dict[bytes, ShareAcknowledgeResponse.ShareAcknowledgeTopicResponse] = {}
    hinted: set[int] = set()
    for (topic_id, index), verdict in verdicts.items():
        answer = ShareAcknowledgeResponse.PartitionData(partition_index=index)
        if verdict is not None:
            answer.error_code, answer.error_message = verdict.code, verdict.shown
            leader = leader_of(call, (topic_id, index), verdict.code)
            if leader is not None:
                answer.current_leader = ShareAcknowledgeResponse.LeaderIdAndEpoch(
                    leader_id=leader[0], leader_epoch=leader[1]
                )
                hinted.add(leader[0])
        topic = topics.get(topic_id)
        if topic is None:
            topic = topics[topic_id] = ShareAcknowledgeResponse.ShareAcknowledgeTopicResponse(topic_id=topic_id)
            response.responses.append(topic)
        topic.partitions.append(answer)
    response.node_endpoints = [
        ShareAcknowledgeResponse.NodeEndpoint(node_id=node.id, host=node.host, port=node.port, rack=node.rack)
        for node in node_endpoints(call, hinted)
    ]
    return response


def _partitions(call: Call, request: ShareAcknowledgeRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return named_partitions(call, request)


HANDLER = Handler(_handle, _partitions)
