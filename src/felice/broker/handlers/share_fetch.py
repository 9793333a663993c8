"""ShareFetch: what members of share groups say of the records they have, and new ones for them (KIP-932, KIP-1206).

Like a long poll of Fetch it waits until there are bytes enough to read, but only from where records are available.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, TypeAlias

from felice.broker.call import Call, Handler
from felice.broker.node import Node
from felice.broker.refusal import Refused
from felice.broker.shares.acknowledging import MemberRequest, Verdicts, acknowledge, check_member
from felice.broker.shares.reader import ShareReader
from felice.broker.shares.sessions import FINAL_EPOCH, FIRST_EPOCH, Place, ShareSession, next_epoch
from felice.broker.watcher import LongPoll
from felice.errors import ErrorCode
from felice.wire.messages.share_fetch import ShareFetchRequest, ShareFetchResponse

__all__ = ["HANDLER", "leader_of", "named_partitions", "node_endpoints"]

RENEWS_FROM: Final = 2
MODES: Final = (0, 1)
"""Whether the number of records is rounded up to whole batches, or kept to (KIP-1206)."""

Answer: TypeAlias = ShareFetchResponse.PartitionData
Answers: TypeAlias = dict[Place, Answer]


def _handle(call: Call, request: ShareFetchRequest) -> "ShareFetchResponse | asyncio.Future[ShareFetchResponse]":
    """Take back what the member is done with, then give it what there is, or wait for it."""
    try:
        group_id, member_id = check_member(call, request)
        session = _session(call, request, group_id, member_id)
        if any(topic.topic_id not in call.cluster.topics_by_id for topic in request.topics):
            raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR)  # So does Kafka, with the request as a whole.
        if request.share_session_epoch != FINAL_EPOCH and request.share_acquire_mode not in MODES:
            raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR)
    except Refused as refused:
        return _refuse(call, request, refused.code)
    verdicts = acknowledge(call, request, group_id, member_id) if _acknowledges(request) else {}
    if request.share_session_epoch == FINAL_EPOCH:
        call.cluster.share_leaders.release(call.node, session)
        return _respond(call, request, session, verdicts, {})
    if request.is_renew_ack and call.version >= RENEWS_FROM:
        return _respond(call, request, session, verdicts, {})
    reader = ShareReader(call, request, session)
    if reader.is_ready or request.max_wait_ms <= 0:
        return _respond(call, request, session, verdicts, reader.take())
    return Poll(call, request, session, verdicts, reader).future


def _refuse(
    call: Call, request: ShareFetchRequest, code: ErrorCode
) -> "ShareFetchResponse | asyncio.Future[ShareFetchResponse]":
    """Answer with an error; where there are too many sessions only later, for the client would ask again at once."""
    response = ShareFetchResponse(error_code=code)
    if code != ErrorCode.SHARE_SESSION_LIMIT_REACHED:
        return response
    future: asyncio.Future[ShareFetchResponse] = call.loop.create_future()

    def answer() -> None:
        if not future.done():  # The connection may have ended in this very turn of the loop.
            future.set_result(response)

    timer = call.loop.call_later(request.max_wait_ms / 1000, answer)
    future.add_done_callback(lambda _: timer.cancel())
    return future


class Poll(LongPoll[ShareFetchResponse]):
    """A request that waits for records to become available."""

    __slots__ = ("_call", "_reader", "_request", "_session", "_verdicts")

    def __init__(
        self, call: Call, request: ShareFetchRequest, session: ShareSession, verdicts: Verdicts, reader: ShareReader
    ) -> None:
        super().__init__(call.loop, request.max_wait_ms / 1000)
        self._call = call
        self._request = request
        self._session = session
        self._verdicts = verdicts
        self._reader = reader
        reader.watch(self)

    def _answer(self, *, late: bool) -> ShareFetchResponse | None:
        """Answer with what there is, if it is enough."""
        if not late and not self._reader.is_ready:
            return None
        return _respond(self._call, self._request, self._session, self._verdicts, self._reader.take())

    def _unwatch(self) -> None:
        self._reader.unwatch(self)


def _session(call: Call, request: ShareFetchRequest, group_id: str, member_id: str) -> ShareSession:
    """Return the session of a request, opened or brought up to date by it; or refuse."""
    wants_records = request.max_bytes or request.min_bytes or request.max_records or request.max_wait_ms
    if request.is_renew_ack and call.version >= RENEWS_FROM and wants_records:
        raise Refused(ErrorCode.INVALID_REQUEST)  # It renews locks, and does not fetch (KIP-1222).
    leaders, epoch = call.cluster.share_leaders, request.share_session_epoch
    sessions = leaders.sessions(call.node)
    named = [(topic.topic_id, asked.partition_index) for topic in request.topics for asked in topic.partitions]
    if epoch == FINAL_EPOCH:
        return sessions.get(group_id, member_id)
    if epoch == FIRST_EPOCH:
        if _acknowledges(request):
            raise Refused(ErrorCode.INVALID_REQUEST)
        most = call.cluster.settings.number("group.share.max.share.sessions")
        session = sessions.open(group_id, member_id, named, most)
        if call.connection is not None:
            node = call.node
            call.connection.farewell = lambda: leaders.connection_closed(node, session)
        return session
    session = sessions.resume(group_id, member_id, epoch)
    forgotten = ((topic.topic_id, index) for topic in request.forgotten_topics_data for index in topic.partitions)
    session.update(named, forgotten)
    return session


def _acknowledges(request: ShareFetchRequest) -> bool:
    """Tell whether anything is said of records."""
    return any(asked.acknowledgement_batches for topic in request.topics for asked in topic.partitions)


def _respond(
    call: Call, request: ShareFetchRequest, session: ShareSession, verdicts: Verdicts, answers: Answers
) -> ShareFetchResponse:
    """Put an answer together: of the partitions that have something to say, by topic."""
    response = ShareFetchResponse(
        acquisition_lock_timeout_ms=round(call.cluster.share_leaders.limits(session.group_id).lock_seconds * 1000)
    )
    epoch = request.share_session_epoch
    if not all(topic_id in call.cluster.topics_by_id for topic_id, _ in answers):
        return ShareFetchResponse(error_code=ErrorCode.UNKNOWN_SERVER_ERROR)  # As Kafka does where a topic has gone.
    if epoch not in (FIRST_EPOCH, FINAL_EPOCH):
        if session.epoch != next_epoch(epoch):
            response.error_code = ErrorCode.INVALID_SHARE_SESSION_EPOCH  # It has gone on meanwhile.
            return response
        answers = {
            place: answer
            for place, answer in answers.items()
            if session.is_news(place, failed=answer.error_code != 0, filled=len(answer.records) > 0)
        }
    for place, refused in verdicts.items():
        answer = answers.setdefault(place, Answer(partition_index=place[1]))
        if refused is not None:
            answer.acknowledge_error_code, answer.acknowledge_error_message = refused.code, refused.shown
    topics: dict[bytes, ShareFetchResponse.ShareFetchableTopicResponse] = {}
    hinted: set[int] = set()
    for place, answer in answers.items():
        topic = topics.get(place[0])
        if topic is None:
            topic = topics[place[0]] = ShareFetchResponse.ShareFetchableTopicResponse(topic_id=place[0])
            response.responses.append(topic)
        leader = leader_of(call, place, answer.error_code)
        if leader is not None:
            answer.current_leader = ShareFetchResponse.LeaderIdAndEpoch(leader_id=leader[0], leader_epoch=leader[1])
            hinted.add(leader[0])
        topic.partitions.append(answer)
    response.node_endpoints = [
        ShareFetchResponse.NodeEndpoint(node_id=node.id, host=node.host, port=node.port, rack=node.rack)
        for node in node_endpoints(call, hinted)
    ]
    return response


def leader_of(call: Call, place: Place, code: int) -> tuple[int, int] | None:
    """Return the leader and its epoch, for who has asked another node (KIP-951)."""
    if code not in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH):
        return None
    topic = call.cluster.topics_by_id.get(place[0])
    partition = None if topic is None else topic.partition(place[1])
    return None if partition is None else (partition.leader, partition.leader_epoch)


def node_endpoints(call: Call, node_ids: Iterable[int]) -> Iterable[Node]:
    """Give those of some nodes that there are."""
    return (call.cluster.nodes[node_id] for node_id in node_ids if node_id in call.cluster.nodes)


def named_partitions(call: Call, request: MemberRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that a request names."""
    for topic in request.topics:
        known = call.cluster.topics_by_id.get(topic.topic_id)
        if known is not None:
            for asked in topic.partitions:
                yield known.name, asked.partition_index


def _partitions(call: Call, request: ShareFetchRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are read, those that the session remembers included."""
    yield from named_partitions(call, request)
    if request.share_session_epoch != FIRST_EPOCH and request.group_id and request.member_id:
        try:
            session = call.cluster.share_leaders.sessions(call.node).get(request.group_id, request.member_id)
        except Refused:
            return
        for topic_id, index in session.partitions:
            if topic_id in call.cluster.topics_by_id:
                yield call.cluster.topics_by_id[topic_id].name, index


HANDLER = Handler(_handle, _partitions)
