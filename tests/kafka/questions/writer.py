"""A transactional producer of bare requests, as old and as new ones speak, for the questions about transactions."""

from collections.abc import Sequence
from typing import Any

from asking import Asker, batch, comparable, new_run
from felice.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from felice.wire.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from felice.wire.messages.describe_producers import DescribeProducersRequest
from felice.wire.messages.describe_transactions import DescribeTransactionsRequest
from felice.wire.messages.end_txn import EndTxnRequest
from felice.wire.messages.init_producer_id import InitProducerIdRequest
from felice.wire.messages.txn_offset_commit import TxnOffsetCommitRequest
from felice.wire.messages.write_txn_markers import WriteTxnMarkersRequest
from questions.asked import eventually

__all__ = ["Writer", "codes", "named", "producers"]

Partition = tuple[str, int]
TRANSACTIONAL = 0x10


class Writer:
    """Has a transactional ID, and the producer ID and epoch that it was given last."""

    def __init__(self, asker: Asker, transactional_id: str = "") -> None:
        self.asker = asker
        self.id = transactional_id or f"tx-{new_run()}"
        self.producer_id, self.epoch = asker.transactional_producer(self.id)

    # --- whose it is ---

    def init(self, version: int = 5, timeout: int = 10_000, had: tuple[int, int] = (-1, -1)) -> Any:
        """Take the transactional ID; keep what is given."""
        producer_id, epoch = had
        answer = self.asker.ask(
            InitProducerIdRequest(
                transactional_id=self.id,
                transaction_timeout_ms=timeout,
                producer_id=producer_id,
                producer_epoch=epoch,
            ),
            version,
        )
        same = answer.producer_id == self.producer_id
        if not answer.error_code:
            self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
        return [same, comparable(answer)]

    def settled(self) -> "Writer":
        """Wait until all markers are written."""
        eventually(lambda: not self.described().transaction_state.startswith("Prepare"))
        return self

    def described(self) -> Any:
        """Describe the transactional ID."""
        request = DescribeTransactionsRequest(transactional_ids=[self.id])
        return self.asker.ask(request, 0).transaction_states[0]

    def state(self) -> Any:
        """Return the state when no marker is missing, the epoch and what takes part, in a form to compare."""
        seen = self.settled().described()
        partitions = sorted((topic.topic, index) for topic in seen.topics for index in topic.partitions)
        return [seen.transaction_state, seen.producer_epoch, seen.transaction_start_time_ms > 0, partitions]

    # --- what takes part ---

    def add(self, *partitions: Partition, version: int = 3, **who: Any) -> list[int]:
        """Add partitions as clients do; return the codes."""
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=who.get("of", self.id),
            v3_and_below_producer_id=who.get("producer_id", self.producer_id),
            v3_and_below_producer_epoch=who.get("epoch", self.epoch),
            v3_and_below_topics=named(partitions),
        )
        answer = self.asker.ask(request, version)
        found = {
            (topic.name, result.partition_index): result.partition_error_code
            for topic in answer.results_by_topic_v3_and_below
            for result in topic.results_by_partition
        }
        return [found.pop(partition) for partition in partitions if partition in found] + list(found.values())

    def add_offsets(self, group: str, version: int = 3, **who: Any) -> int:
        """Add a group's offsets; return the code."""
        request = AddOffsetsToTxnRequest(
            transactional_id=who.get("of", self.id),
            producer_id=who.get("producer_id", self.producer_id),
            producer_epoch=who.get("epoch", self.epoch),
            group_id=group,
        )
        return int(self.asker.ask(request, version).error_code)

    def write(self, topic: str, sequence: int, *values: bytes, version: int = 12, **who: Any) -> Any:
        """Write a batch of the transaction; return what Produce says of the partition."""
        records = batch(
            *(values or (b"v",)),
            producer=(who.get("producer_id", self.producer_id), who.get("epoch", self.epoch), sequence),
            attributes=who.get("attributes", TRANSACTIONAL),
        )
        answer = self.asker.produce(
            topic, records, version=version, partition=who.get("partition", 0), transactional_id=who.get("of", self.id)
        )
        return comparable(answer.responses[0].partition_responses[0])

    def commit_offsets(
        self, group: str, *offsets: tuple[str, int, int], version: int = 5, metadata: str = "", **who: Any
    ) -> list[int]:
        """Send a group's offsets (topic, partition, offset); return the codes."""
        topics: dict[str, TxnOffsetCommitRequest.Topic] = {}
        for name, index, offset in offsets:
            topic = topics.setdefault(name, TxnOffsetCommitRequest.Topic(name=name))
            topic.partitions.append(
                TxnOffsetCommitRequest.Partition(
                    partition_index=index, committed_offset=offset, committed_metadata=metadata
                )
            )
        request = TxnOffsetCommitRequest(
            transactional_id=who.get("of", self.id),
            group_id=group,
            producer_id=who.get("producer_id", self.producer_id),
            producer_epoch=who.get("epoch", self.epoch),
            generation_id=who.get("generation", -1),
            member_id=who.get("member", ""),
            group_instance_id=who.get("instance"),
            topics=list(topics.values()),
        )
        answer = self.asker.ask(request, version)
        return [partition.error_code for topic in answer.topics for partition in topic.partitions]

    # --- how it ends ---

    def end(self, commit: bool = True, version: int = 5, **who: Any) -> Any:
        """End the transaction; return the code, and the step of the epoch that the answer asks for."""
        answer = self.asker.ask(
            EndTxnRequest(
                transactional_id=who.get("of", self.id),
                producer_id=who.get("producer_id", self.producer_id),
                producer_epoch=who.get("epoch", self.epoch),
                committed=commit,
            ),
            version,
        )
        step = answer.producer_epoch - self.epoch if answer.producer_id == self.producer_id else None
        if not answer.error_code and version >= 5:
            self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
        return [answer.error_code, step]

    def done(self, commit: bool = True, version: int = 5) -> Any:
        """End the transaction and wait for its markers."""
        answer = self.end(commit, version)
        self.settled()
        return answer

    def mark(self, topic: str, commit: bool = True, *, version: int = 2, coordinator_epoch: int = 0, **who: Any) -> Any:
        """Write a marker from outside; return the code."""
        marker = WriteTxnMarkersRequest.WritableTxnMarker(
            producer_id=who.get("producer_id", self.producer_id),
            producer_epoch=who.get("epoch", self.epoch),
            transaction_result=commit,
            topics=[
                WriteTxnMarkersRequest.WritableTxnMarkerTopic(
                    name=topic, partition_indexes=list(who.get("partitions", (0,)))
                )
            ],
            coordinator_epoch=coordinator_epoch,
            transaction_version=who.get("transaction_version", 0),
        )
        answer = self.asker.ask(WriteTxnMarkersRequest(markers=[marker]), version)
        return [
            sorted((partition.partition_index, partition.error_code) for partition in topic.partitions)
            for result in answer.markers
            for topic in result.topics
        ]


def named(partitions: Sequence[Partition]) -> list[AddPartitionsToTxnRequest.AddPartitionsToTxnTopic]:
    """Return partitions by topic."""
    topics: dict[str, list[int]] = {}
    for topic, index in partitions:
        topics.setdefault(topic, []).append(index)
    return [
        AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=topic, partitions=indexes)
        for topic, indexes in topics.items()
    ]


def codes(result: Any) -> Any:
    """Return the code, the offset and the message of what Produce says."""
    return [result["error_code"], result["base_offset"], result["error_message"], result["log_start_offset"]]


def producers(asker: Asker, topic: str, *partitions: int) -> Any:
    """Return what a topic's partitions know of producers, times and IDs aside, those first that came first."""
    request = DescribeProducersRequest.TopicRequest(name=topic, partition_indexes=list(partitions or (0,)))
    answer = asker.ask(DescribeProducersRequest(topics=[request]), 0).topics[0]
    return [
        [
            partition.error_code,
            bool(partition.error_message),
            [
                (
                    known.producer_epoch,
                    known.last_sequence,
                    known.last_timestamp > 0,
                    known.coordinator_epoch,
                    known.current_txn_start_offset,
                )
                for known in sorted(partition.active_producers, key=lambda known: int(known.producer_id))
            ],
        ]
        for partition in sorted(answer.partitions, key=lambda partition: int(partition.partition_index))
    ]
