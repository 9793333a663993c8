"""Asking brokers for offsets: the ends of partitions, of leader epochs, and offsets at a time. Runs on the engine."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from random import Random
from typing import Any, NamedTuple, TypeAlias, TypeVar

from felice.clock import Clock
from felice.cluster.backoff import Backoff
from felice.cluster.link import Role
from felice.cluster.router import Cluster
from felice.config import ConsumerConfig
from felice.consumer.trail import Mark
from felice.consumer.verdicts import Verdict, judge
from felice.error_codes import ErrorCode, traits
from felice.errors import BrokerError, DeadlineExceeded, FeliceError, NetworkError, UnsupportedVersion, WireError
from felice.types import TopicPartition
from felice.wire.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse
from felice.wire.schema import Request, Response

__all__ = ["Answers", "Found", "Lookup"]

F = TypeVar("F")
R = TypeVar("R", bound=Response)


class Found(NamedTuple):
    """What a broker answered for one partition; offset -1 where there is no record at or after the time."""

    offset: int
    timestamp_ms: int
    leader_epoch: int

    @property
    def mark(self) -> Mark:
        """The place: a leader that does not have its epoch has not all that is below it."""
        return Mark(self.leader_epoch, self.offset)


Answers: TypeAlias = tuple[dict[TopicPartition, F], dict[TopicPartition, FeliceError]]
"""What was found, and why the others were not; such an error is retriable where another round may help."""

Asked: TypeAlias = Mapping[TopicPartition, tuple[int, int]]
"""What one leader is asked: for each partition a time or an epoch, and the leader epoch that we know of."""


class Lookup:
    """Asks the leaders of partitions."""

    def __init__(self, cluster: Cluster, config: ConsumerConfig, clock: Clock, random: Random) -> None:
        self._cluster = cluster
        self._config = config
        self._clock = clock
        self._random = random
        # The end that a reader of committed records can reach is the last stable offset (KIP-98).
        self.isolation_level = int(config.isolation == "read_committed")

    async def offsets(self, wanted: Mapping[TopicPartition, int], deadline: float) -> dict[TopicPartition, Found]:
        """Return the offset at each partition's time or end, retrying until the deadline.

        Raises DeadlineExceeded with the chain of reasons, or the first error that waiting does not mend.
        """
        found: dict[TopicPartition, Found] = {}
        backoff = Backoff(self._config.retry_backoff, self._config.retry_backoff_max, self._random)
        topics = {tp.topic for tp in wanted}
        self._cluster.want_topics(topics)
        try:
            for topic in topics:
                await self._cluster.wait_for_topic(topic, deadline)
            while True:
                left = {tp: time for tp, time in wanted.items() if tp not in found}
                if not left:
                    return found
                answers, errors = await self.round(left, deadline - self._clock.monotonic())
                found |= answers
                for error in errors.values():
                    if not error.retriable:
                        raise error
                if errors:
                    pause = backoff.next()
                    if self._clock.monotonic() + pause > deadline:
                        tp, last = next(iter(errors.items()))
                        raise DeadlineExceeded(f"the offsets of {tp} were not told in time; last: {last}") from last
                    await asyncio.sleep(pause)
        finally:
            self._cluster.unwant(topics)

    def by_leader(self, tps: Iterable[TopicPartition]) -> Iterable[list[TopicPartition]]:
        """Return partitions by the broker that leads them, as far as that is known."""
        leaders: dict[int, list[TopicPartition]] = {}
        for tp in tps:
            view = self._cluster.metadata.leader(tp.topic, tp.partition)
            leaders.setdefault(view.leader if view is not None else -1, []).append(tp)
        return leaders.values()

    async def round(self, wanted: Mapping[TopicPartition, int], timeout: float) -> Answers[Found]:
        """Ask each leader once, all at the same time; ClosedError once the client is closed."""
        return await self._round(wanted, timeout, self._ask_offsets)

    async def epoch_ends(self, wanted: Mapping[TopicPartition, int], timeout: float) -> Answers[Mark]:
        """Ask each leader once, all at the same time, where leader epochs of its log ended (KIP-320).

        A mark is the newest epoch not above the one asked for, and the offset after its last record; both -1 where
        there is none. Neither found nor an error is what a broker is too old to tell.
        """
        return await self._round(wanted, timeout, self._ask_epochs)

    async def _round(
        self,
        wanted: Mapping[TopicPartition, int],
        timeout: float,
        ask: Callable[[int, Asked, float], Awaitable[Answers[F]]],
    ) -> Answers[F]:
        self._cluster.check()
        leaders: dict[int, dict[TopicPartition, tuple[int, int]]] = {}
        found: dict[TopicPartition, F] = {}
        errors: dict[TopicPartition, FeliceError] = {}
        for tp, what in wanted.items():
            view = self._cluster.metadata.leader(tp.topic, tp.partition)
            if view is None or view.leader < 0:
                reason = self._cluster.explain(tp.topic, tp.partition)
                errors[tp] = FeliceError(reason, retriable=True)
                self._cluster.request_refresh(reason)
            else:
                leaders.setdefault(view.leader, {})[tp] = (what, view.leader_epoch)
        timeout = max(0.001, min(timeout, self._config.request_timeout))
        for answers, failures in await asyncio.gather(*(ask(*leader, timeout) for leader in leaders.items())):
            found |= answers
            errors |= failures
        return found, errors

    async def _send(self, node_id: int, request: Request[R], timeout: float) -> R | FeliceError:
        """Ask one leader; return its answer, or the error that all the questions got."""
        try:
            return await self._cluster.send(node_id, request, role=Role.CONTROL, timeout=timeout)
        except (NetworkError, DeadlineExceeded, WireError) as error:
            return error if error.retriable else FeliceError(str(error), retriable=True)
        except UnsupportedVersion as error:
            return error

    async def _ask_offsets(self, node_id: int, wanted: Asked, timeout: float) -> Answers[Found]:
        """Ask one leader for offsets."""
        topics: dict[str, list[ListOffsetsRequest.ListOffsetsPartition]] = {}
        for tp, (time, epoch) in wanted.items():
            topics.setdefault(tp.topic, []).append(
                ListOffsetsRequest.ListOffsetsPartition(
                    partition_index=tp.partition, current_leader_epoch=epoch, timestamp=time
                )
            )
        request = ListOffsetsRequest(
            replica_id=-1,
            isolation_level=self.isolation_level,
            topics=[
                ListOffsetsRequest.ListOffsetsTopic(name=name, partitions=partitions)
                for name, partitions in topics.items()
            ],
            timeout_ms=int(timeout * 1000),
        )
        answer: ListOffsetsResponse | FeliceError = await self._send(node_id, request, timeout)
        if isinstance(answer, FeliceError):
            return {}, dict.fromkeys(wanted, answer)
        told = {
            TopicPartition(topic.name, data.partition_index): data
            for topic in answer.topics
            for data in topic.partitions
        }
        return self._sort(wanted, told, "an offset", lambda data: Found(data.offset, data.timestamp, data.leader_epoch))

    async def _ask_epochs(self, node_id: int, wanted: Asked, timeout: float) -> Answers[Mark]:
        """Ask one leader for the ends of epochs."""
        topics: dict[str, list[OffsetForLeaderEpochRequest.OffsetForLeaderPartition]] = {}
        for tp, (epoch, known) in wanted.items():
            topics.setdefault(tp.topic, []).append(
                OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
                    partition=tp.partition, current_leader_epoch=known, leader_epoch=epoch
                )
            )
        request = OffsetForLeaderEpochRequest(
            replica_id=-1,
            topics=[
                OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=name, partitions=partitions)
                for name, partitions in topics.items()
            ],
        )
        answer: OffsetForLeaderEpochResponse | FeliceError = await self._send(node_id, request, timeout)
        if isinstance(answer, UnsupportedVersion):
            return {}, {}
        if isinstance(answer, FeliceError):
            return {}, dict.fromkeys(wanted, answer)
        told = {
            TopicPartition(topic.topic, data.partition): data for topic in answer.topics for data in topic.partitions
        }
        # Before version 3 (Kafka 2.3) only brokers might ask, and a reader who may not has to do without.
        barred = {tp for tp, data in told.items() if data.error_code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED}
        return self._sort(
            {tp: what for tp, what in wanted.items() if tp not in barred},
            told,
            "the end of a leader epoch",
            lambda data: Mark(data.leader_epoch, data.end_offset),
        )

    def _sort(
        self, wanted: Asked, told: Mapping[TopicPartition, Any], what: str, read: Callable[[Any], F]
    ) -> Answers[F]:
        """Tell apart what was found and what was not."""
        found: dict[TopicPartition, F] = {}
        errors: dict[TopicPartition, FeliceError] = {}
        for tp in wanted:
            data = told.get(tp)
            if data is None:
                errors[tp] = FeliceError(f"the broker did not answer for {tp}", retriable=True)
            elif not data.error_code:
                found[tp] = read(data)
            else:
                errors[tp] = error = BrokerError(data.error_code, f"asking for {what} of {tp}")
                error.retriable = judge(data.error_code) is not Verdict.FAIL
                if traits(data.error_code).stale_metadata or data.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH:
                    self._cluster.request_refresh(str(error))
        return found, errors
