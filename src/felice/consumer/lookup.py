"""Asking brokers for offsets: the ends of partitions, and offsets at a time. Runs on the engine."""

import asyncio
from collections.abc import Iterable, Mapping
from random import Random
from typing import NamedTuple

from felice.clock import Clock
from felice.cluster.backoff import Backoff
from felice.cluster.link import Role
from felice.cluster.router import Cluster
from felice.config import ConsumerConfig
from felice.error_codes import ErrorCode, traits
from felice.errors import BrokerError, DeadlineExceeded, FeliceError, NetworkError, UnsupportedVersion, WireError
from felice.types import TopicPartition
from felice.wire.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest

__all__ = ["Found", "Lookup"]


class Found(NamedTuple):
    """What a broker answered for one partition; offset -1 where there is no record at or after the time."""

    offset: int
    timestamp_ms: int
    leader_epoch: int


Answers = tuple[dict[TopicPartition, Found], dict[TopicPartition, FeliceError]]
"""What was found, and why the others were not; such an error is retriable where another round may help."""


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

    async def round(self, wanted: Mapping[TopicPartition, int], timeout: float) -> Answers:
        """Ask each leader once, all at the same time; ClosedError once the client is closed."""
        self._cluster.check()
        leaders: dict[int, dict[TopicPartition, tuple[int, int]]] = {}
        found: dict[TopicPartition, Found] = {}
        errors: dict[TopicPartition, FeliceError] = {}
        for tp, time in wanted.items():
            view = self._cluster.metadata.leader(tp.topic, tp.partition)
            if view is None or view.leader < 0:
                reason = self._cluster.explain(tp.topic, tp.partition)
                errors[tp] = FeliceError(reason, retriable=True)
                self._cluster.request_refresh(reason)
            else:
                leaders.setdefault(view.leader, {})[tp] = (time, view.leader_epoch)
        asked = [self._ask(node_id, asking, timeout) for node_id, asking in leaders.items()]
        for answers, failures in await asyncio.gather(*asked):
            found |= answers
            errors |= failures
        return found, errors

    async def _ask(self, node_id: int, wanted: Mapping[TopicPartition, tuple[int, int]], timeout: float) -> Answers:
        """Ask one leader."""
        topics: dict[str, list[ListOffsetsRequest.ListOffsetsPartition]] = {}
        for tp, (time, epoch) in wanted.items():
            topics.setdefault(tp.topic, []).append(
                ListOffsetsRequest.ListOffsetsPartition(
                    partition_index=tp.partition, current_leader_epoch=epoch, timestamp=time
                )
            )
        timeout = max(0.001, min(timeout, self._config.request_timeout))
        request = ListOffsetsRequest(
            replica_id=-1,
            isolation_level=self.isolation_level,
            topics=[
                ListOffsetsRequest.ListOffsetsTopic(name=name, partitions=partitions)
                for name, partitions in topics.items()
            ],
            timeout_ms=int(timeout * 1000),
        )
        try:
            answer = await self._cluster.send(node_id, request, role=Role.CONTROL, timeout=timeout)
        except (NetworkError, DeadlineExceeded, WireError) as error:
            failure = error if error.retriable else FeliceError(str(error), retriable=True)
            return {}, dict.fromkeys(wanted, failure)
        except UnsupportedVersion as error:
            return {}, dict.fromkeys(wanted, error)
        return self._sort(answer, wanted)

    def _sort(self, answer: ListOffsetsResponse, wanted: Mapping[TopicPartition, object]) -> Answers:
        """Tell apart what was found and what was not."""
        found: dict[TopicPartition, Found] = {}
        errors: dict[TopicPartition, FeliceError] = {}
        for topic in answer.topics:
            for data in topic.partitions:
                tp = TopicPartition(topic.name, data.partition_index)
                if tp not in wanted:
                    continue
                if not data.error_code:
                    found[tp] = Found(data.offset, data.timestamp, data.leader_epoch)
                    continue
                errors[tp] = BrokerError(data.error_code, f"asking for an offset of {tp}")
                if traits(data.error_code).stale_metadata or data.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH:
                    self._cluster.request_refresh(str(errors[tp]))
        for tp in wanted:
            if tp not in found and tp not in errors:
                errors[tp] = FeliceError(f"the broker did not answer for {tp}", retriable=True)
        return found, errors

    async def epoch_end(self, tp: TopicPartition, leader_epoch: int) -> int:
        """Return the offset at which a leader epoch ended, or -1 where the leader cannot tell (KIP-320).

        It is below a position that was reached in that epoch where the log was cut off before it.
        """
        view = self._cluster.metadata.leader(tp.topic, tp.partition)
        if view is None or view.leader < 0:
            return -1
        partition = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
            partition=tp.partition, current_leader_epoch=view.leader_epoch, leader_epoch=leader_epoch
        )
        request = OffsetForLeaderEpochRequest(
            replica_id=-1,
            topics=[OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=tp.topic, partitions=[partition])],
        )
        try:
            answer = await self._cluster.send(
                view.leader, request, role=Role.CONTROL, timeout=self._config.request_timeout
            )
        except FeliceError:
            return -1  # then the ends of the log are all we have to go by
        for topic in answer.topics:
            for data in topic.partitions:
                if (topic.topic, data.partition) == tp and not data.error_code:
                    return data.end_offset
        return -1
