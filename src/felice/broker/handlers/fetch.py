"""Fetch: reads batches, and waits for them (KIP-74 limits, KIP-227 sessions, KIP-320 epochs, KIP-951 hints)."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple, TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.partition import Partition
from felice.broker.read_replica import preferred_replica
from felice.broker.refusal import Refused
from felice.broker.sessions import Exchange, Wanted
from felice.broker.topics import Topic
from felice.broker.watcher import LongPoll
from felice.errors import ErrorCode
from felice.wire.messages.fetch import FetchRequest, FetchResponse

__all__ = ["HANDLER"]

NOWHERE = -1
NO_EPOCH = -1
READ_COMMITTED = 1
FOLLOWERS_FROM = 11
HINTS_FROM = 16

Answer: TypeAlias = FetchResponse.PartitionData
Answers: TypeAlias = list[tuple[Wanted, Answer]]

SESSION_ERRORS = frozenset(
    {
        ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
        ErrorCode.INVALID_FETCH_SESSION_EPOCH,
        ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
    }
)
"""Codes that stand over the whole answer, not beside a partition."""

UNREAD = (
    ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.UNKNOWN_TOPIC_ID,
)
"""Codes of partitions that were not even looked at."""


class Reading(NamedTuple):
    """What was read for a request."""

    answers: Answers
    size: int
    """Bytes of records."""
    urgent: bool
    """Whether the client is to hear of it at once, however little it is."""
    partitions: list[Partition]
    """Those that may yet grow."""


def _handle(call: Call, request: FetchRequest) -> "FetchResponse | asyncio.Future[FetchResponse]":
    """Answer at once if there is enough, or an error, or nothing to wait for; else when there is."""
    try:
        code = call.error()
        if code in SESSION_ERRORS:
            raise Refused(code)
        exchange = call.node.sessions.begin(request, call.version)
    except Refused as refused:
        return FetchResponse(error_code=refused.code)
    max_bytes = min(request.max_bytes, call.cluster.settings.number("fetch.max.bytes"))
    read = partial(_read, call, exchange, request.rack_id, max_bytes, request.isolation_level == READ_COMMITTED)
    reading = read()
    least = min(request.min_bytes, max_bytes)
    if reading.size >= least or request.max_wait_ms <= 0 or reading.urgent or not exchange.wanted:
        return _respond(call, exchange, reading.answers)
    return Poll(call, exchange, read, reading, least, request.max_wait_ms / 1000).future


class Poll(LongPoll[FetchResponse]):
    """A request that waits for its partitions to grow."""

    __slots__ = ("_call", "_exchange", "_least", "_missing", "_partitions", "_read")

    def __init__(
        self,
        call: Call,
        exchange: Exchange,
        read: "partial[Reading]",
        reading: Reading,
        least: int,
        seconds: float,
    ) -> None:
        """Take what was read so far, the bytes of records to wait for, and how long to wait for them."""
        super().__init__(call.loop, seconds)
        self._call = call
        self._exchange = exchange
        self._read = read
        self._least = least
        self._missing = least - reading.size
        self._partitions: list[Partition] = []
        self._watch(reading.partitions)

    def grew(self, size: int) -> None:
        """Count what comes, and look when it may be enough."""
        self._missing -= size
        if self._missing <= 0:
            self.changed()

    def _answer(self, *, late: bool) -> FetchResponse | None:
        """Read again, and answer if it is enough."""
        reading = self._read()
        self._missing = self._least - reading.size
        if late or self._missing <= 0 or reading.urgent:
            return _respond(self._call, self._exchange, reading.answers)
        self._watch(reading.partitions)
        return None

    def _watch(self, partitions: list[Partition]) -> None:
        """Be told of these partitions, and of no others."""
        for partition in self._partitions:
            partition.watchers.discard(self)
        self._partitions = partitions
        for partition in partitions:
            partition.watchers.add(self)

    def _unwatch(self) -> None:
        self._watch([])


def _read(call: Call, exchange: Exchange, rack: str, max_bytes: int, committed: bool) -> Reading:
    """Read all partitions in their order, until `max_bytes` are reached."""
    answers: Answers = []
    partitions: list[Partition] = []
    size, urgent = 0, False
    for wanted in exchange.wanted.values():
        try:
            topic = _topic(call, wanted.topic)
            name = wanted.topic if topic is None else topic.name
            if call.faults:
                call.check_faults(name if isinstance(name, str) else None, wanted.index)
            if call.guard is not None and isinstance(name, str):
                call.authorize(Operation.READ, Resource.TOPIC, name)
            if topic is None:
                by_id = isinstance(wanted.topic, bytes)
                raise Refused(ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            partition = _readable(call, topic, wanted)
            # The first partition that has anything gives one batch at least, whatever its size (KIP-74).
            answer = _sent_elsewhere(call, partition, wanted, rack) or _read_partition(
                call, partition, wanted, max_bytes - size, size == 0, committed
            )
            partitions.append(partition)
        except Refused as refused:
            answer = _refused(call, wanted, refused)
        size += len(answer.records or b"")
        urgent = (
            urgent
            or answer.error_code != 0
            or answer.diverging_epoch.epoch != NO_EPOCH
            or answer.preferred_read_replica != NOWHERE
        )
        answers.append((wanted, answer))
    return Reading(answers, size, urgent, partitions)


def _topic(call: Call, key: str | bytes) -> Topic | None:
    """Return the topic of this name or ID."""
    return call.cluster.topics_by_id.get(key) if isinstance(key, bytes) else call.cluster.topics.get(key)


def _readable(call: Call, topic: Topic, wanted: Wanted) -> Partition:
    """Return a partition that this node may be read from: it leads it, or (KIP-392) has a replica."""
    partition = topic.partition(wanted.index)
    if partition is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    node_id = call.node.id
    if node_id in partition.replicas:
        partition.check_epoch(wanted.leader_epoch)
    if partition.leader != node_id and (call.version < FOLLOWERS_FROM or node_id not in partition.replicas):
        raise Refused(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    return partition


def _sent_elsewhere(call: Call, partition: Partition, wanted: Wanted, rack: str) -> Answer | None:
    """Return the answer of a leader that knows a better replica for the reader (KIP-392)."""
    if call.version < FOLLOWERS_FROM or partition.leader != call.node.id:
        return None
    node_id = preferred_replica(call.cluster, partition, rack, wanted.offset)
    if node_id is None:
        return None
    return Answer(
        partition_index=wanted.index,
        high_watermark=partition.high_watermark,
        last_stable_offset=partition.last_stable_offset,
        log_start_offset=partition.log.start_offset,
        aborted_transactions=None,
        preferred_read_replica=node_id,
        records=b"",
    )


def _read_partition(
    call: Call, partition: Partition, wanted: Wanted, room: int, at_least_one: bool, committed: bool
) -> Answer:
    """Read one partition, as much of it as this node has."""
    source = partition.behind.get(call.node.id, partition)
    log, log_end, stable = source.log, partition.end_of(call.node.id), source.last_stable_offset
    answer = Answer(
        partition_index=wanted.index,
        high_watermark=source.high_watermark,
        last_stable_offset=stable,
        log_start_offset=log.start_offset,
        aborted_transactions=[] if committed else None,
        records=b"",
    )
    if wanted.last_epoch != NO_EPOCH:
        epoch, end = source.epochs.end_of(wanted.last_epoch, log_end)
        if epoch == NO_EPOCH or wanted.offset < log.start_offset:
            raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE)
        if epoch < wanted.last_epoch or end < wanted.offset:
            answer.diverging_epoch = FetchResponse.EpochEndOffset(epoch=epoch, end_offset=end)
            answer.aborted_transactions = None
            return answer
    if not log.start_offset <= wanted.offset <= log_end:
        raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE)
    until = stable if committed else source.high_watermark
    answer.records = log.read(
        wanted.offset, until=until, max_bytes=max(0, min(wanted.max_bytes, room)), at_least_one=at_least_one
    )
    if committed and answer.records:
        answer.aborted_transactions = [
            FetchResponse.AbortedTransaction(producer_id=aborted.producer_id, first_offset=aborted.first_offset)
            for aborted in source.transactions.aborted_between(
                wanted.offset, log.reach(wanted.offset, len(answer.records))
            )
        ]
    return answer


def _refused(call: Call, wanted: Wanted, refused: Refused) -> Answer:
    """Return the answer of a partition that cannot be read."""
    answer = Answer(
        partition_index=wanted.index,
        error_code=refused.code,
        high_watermark=NOWHERE,
        aborted_transactions=[] if refused.code in UNREAD else None,
        records=b"",
    )
    if call.version >= HINTS_FROM and refused.code in (
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
    ):
        topic = _topic(call, wanted.topic)
        partition = topic.partition(wanted.index) if topic is not None else None
        if partition is not None:
            answer.current_leader = FetchResponse.LeaderIdAndEpoch(
                leader_id=partition.leader, leader_epoch=partition.leader_epoch
            )
    return answer


def _respond(call: Call, exchange: Exchange, answers: Answers) -> FetchResponse:
    """Put an answer together: of the partitions that have something to say, by topic."""
    session_id, told = exchange.tell(answers)
    response = FetchResponse(session_id=session_id if call.version >= 7 else 0)
    hinted: set[int] = set()
    for wanted, answer in told:
        last = response.responses[-1] if response.responses else None
        if last is None or wanted.topic not in (last.topic_id, last.topic):
            last = (
                FetchResponse.FetchableTopicResponse(topic_id=wanted.topic)
                if isinstance(wanted.topic, bytes)
                else FetchResponse.FetchableTopicResponse(topic=wanted.topic)
            )
            response.responses.append(last)
        last.partitions.append(answer)
        leader = call.cluster.nodes.get(answer.current_leader.leader_id)
        if leader is not None and leader.id not in hinted:
            hinted.add(leader.id)
            response.node_endpoints.append(
                FetchResponse.NodeEndpoint(node_id=leader.id, host=leader.host, port=leader.port, rack=leader.rack)
            )
    return response


def _partitions(call: Call, request: FetchRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are read, those that the session remembers included."""
    for key, index in call.node.sessions.wanted_by(request, call.version):
        if isinstance(key, str):
            yield key, index
        elif key in call.cluster.topics_by_id:
            yield call.cluster.topics_by_id[key].name, index


HANDLER = Handler(_handle, _partitions)
