"""What a share group's state is asked by, for questions: the requests that brokers send to share coordinators."""

import base64
from typing import Any

from asking import SILENCE, Asker, comparable
from felice.wire.messages.delete_share_group_state import DeleteShareGroupStateRequest
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.initialize_share_group_state import InitializeShareGroupStateRequest
from felice.wire.messages.read_share_group_state import ReadShareGroupStateRequest
from felice.wire.messages.read_share_group_state_summary import ReadShareGroupStateSummaryRequest
from felice.wire.messages.write_share_group_state import WriteShareGroupStateRequest
from felice.wire.schema import Request
from questions.asked import eventually

__all__ = ["NOT_YET", "Batch", "Store", "told"]

Batch = tuple[int, int, int, int]
"""First offset, last offset, delivery state, delivery count."""

NOT_YET = {14, 15, 16}
"""A coordinator that is loading, one that is nowhere, and not the right one: real Kafka makes its topic first."""


class Store:
    """A share group's state in one topic."""

    def __init__(self, asker: Asker, topic_id: bytes, group: str | None = None) -> None:
        self.asker = asker
        self.topic_id = topic_id
        self.group = asker.name() if group is None else group

    def ready(self, *partitions: int) -> "Store":
        """Wait until there are coordinators for the partitions."""
        text = base64.urlsafe_b64encode(self.topic_id).decode().rstrip("=")
        keys = [f"{self.group}:{text}:{partition}" for partition in partitions or (0,)]

        def found() -> bool:
            answer = self.asker.ask(FindCoordinatorRequest(key_type=2, coordinator_keys=keys), 6)
            return all(one.error_code == 0 for one in answer.coordinators) and all(
                self.code(self.read(partition, leader_epoch=-1)) not in NOT_YET for partition in partitions or (0,)
            )

        eventually(found)
        return self

    def code(self, answer: Any) -> int:
        """Return the code of an answer for one partition."""
        return int(answer["results"][0]["partitions"][0]["error_code"])

    def initialize(self, partition: int = 0, state_epoch: int = 1, start_offset: int = 0) -> Any:
        """Begin."""
        return self._one(
            InitializeShareGroupStateRequest.InitializeStateData,
            InitializeShareGroupStateRequest,
            0,
            partition=partition,
            state_epoch=state_epoch,
            start_offset=start_offset,
        )

    def read(self, partition: int = 0, leader_epoch: int = 0) -> Any:
        """Read as the partition's leader."""
        return self._one(
            ReadShareGroupStateRequest.ReadStateData,
            ReadShareGroupStateRequest,
            0,
            partition=partition,
            leader_epoch=leader_epoch,
        )

    def summary(self, partition: int = 0, leader_epoch: int = -1, version: int = 1) -> Any:
        """Read in short."""
        return self._one(
            ReadShareGroupStateSummaryRequest.ReadStateSummaryData,
            ReadShareGroupStateSummaryRequest,
            version,
            partition=partition,
            leader_epoch=leader_epoch,
        )

    def write(
        self,
        *batches: Batch,
        partition: int = 0,
        state_epoch: int = 1,
        leader_epoch: int = 0,
        start_offset: int = 0,
        complete: int = 0,
        version: int = 1,
    ) -> Any:
        """Write as the partition's leader."""
        return self._one(
            WriteShareGroupStateRequest.WriteStateData,
            WriteShareGroupStateRequest,
            version,
            partition=partition,
            state_epoch=state_epoch,
            leader_epoch=leader_epoch,
            start_offset=start_offset,
            delivery_complete_count=complete,
            state_batches=[
                WriteShareGroupStateRequest.StateBatch(
                    first_offset=first, last_offset=last, delivery_state=state, delivery_count=count
                )
                for first, last, state, count in batches
            ],
        )

    def delete(self, partition: int = 0) -> Any:
        """Forget."""
        return self._one(
            DeleteShareGroupStateRequest.DeleteStateData, DeleteShareGroupStateRequest, 0, partition=partition
        )

    def looked_at(self, partition: int = 0) -> Any:
        """Return what is known now, without changing anything."""
        return self.read(partition, leader_epoch=-1), self.summary(partition)

    def _one(self, data: Any, request: type[Request[Any]], version: int, **fields: Any) -> Any:
        """Ask about one partition."""
        topic = data(topic_id=self.topic_id, partitions=[data.PartitionData(**fields)])
        return told(self.asker.ask(request(group_id=self.group, topics=[topic]), version))


def told(answer: Any) -> Any:
    """Return an answer in a form that can be compared."""
    return answer if answer == SILENCE else comparable(answer)
