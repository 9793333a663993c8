"""A member of a share group who fetches and acknowledges over a bare socket."""

from collections.abc import Sequence
from typing import Any

from asking import Asker
from felice.broker import Broker
from felice.wire.messages.share_acknowledge import ShareAcknowledgeRequest
from felice.wire.messages.share_fetch import ShareFetchRequest, ShareFetchResponse

__all__ = ["ShareMember", "begin_share"]

GROUP = "group"
PATIENT = 10_000
"""Milliseconds to wait for records that come in time."""


def begin_share(broker: Broker, topic: str, index: int = 0) -> None:
    """Have the group begin to read a partition from its first record on."""
    topic_id = broker.topic_id(topic)
    broker._run(lambda: broker._cluster.share_state.initialize(GROUP, topic_id, index, 1, 0))


class ShareMember:
    """One member with a connection and a session of its own."""

    def __init__(self, servers: str, topic_id: bytes, name: str = "one") -> None:
        self.asker = Asker(servers, name)
        self.name = name
        self.topic_id = topic_id
        self.epoch = 0

    def __enter__(self) -> "ShareMember":
        """Return it."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Hang up."""
        self.asker.hang_up()

    def fetch(self, *indexes: int, **fields: Any) -> Any:
        """Fetch, and return the code, and what is told of each partition."""
        self.begin(*indexes, **fields)
        return self.finish()

    def begin(self, *indexes: int, wait: int = 0, said: Sequence[tuple[int, int, int]] = (), **fields: Any) -> None:
        """Send a fetch that is answered later."""
        batches = [
            ShareFetchRequest.AcknowledgementBatch(first_offset=first, last_offset=last, acknowledge_types=[kind])
            for first, last, kind in said
        ]
        named = indexes or ((0,) if said or not self.epoch else ())
        partitions = [
            ShareFetchRequest.FetchPartition(partition_index=index, acknowledgement_batches=batches) for index in named
        ]
        fields = {"min_bytes": 1, "max_bytes": 1 << 20, "max_records": 500, "batch_size": 500} | fields
        request = ShareFetchRequest(
            group_id=GROUP,
            member_id=self.name,
            share_session_epoch=self.epoch,
            max_wait_ms=wait,
            topics=[ShareFetchRequest.FetchTopic(topic_id=self.topic_id, partitions=partitions)] if named else [],
            **fields,
        )
        self.asker.begin(request, 2)

    def answered(self) -> ShareFetchResponse:
        """Return the answer to what was begun, as it is."""
        answer: ShareFetchResponse = self.asker.finish(ShareFetchRequest, 2)
        if not answer.error_code:
            self.epoch += 1
        return answer

    def finish(self) -> Any:
        """Return the answer: its code, and for each partition its code, and what was acquired of it."""
        answer = self.answered()
        return [
            answer.error_code,
            *sorted(
                (
                    one.partition_index,
                    one.error_code,
                    [(each.first_offset, each.last_offset, each.delivery_count) for each in one.acquired_records],
                )
                for topic in answer.responses
                for one in topic.partitions
            ),
        ]

    def say(self, first: int, last: int, kind: int, index: int = 0) -> int:
        """Acknowledge; return the partition's code, or that of the whole answer."""
        batch = ShareAcknowledgeRequest.AcknowledgementBatch(
            first_offset=first, last_offset=last, acknowledge_types=[kind]
        )
        asked = ShareAcknowledgeRequest.AcknowledgePartition(partition_index=index, acknowledgement_batches=[batch])
        topic = ShareAcknowledgeRequest.AcknowledgeTopic(topic_id=self.topic_id, partitions=[asked])
        request = ShareAcknowledgeRequest(
            group_id=GROUP, member_id=self.name, share_session_epoch=self.epoch, topics=[topic]
        )
        answer = self.asker.ask(request, 2)
        if answer.error_code:
            return int(answer.error_code)
        self.epoch += 1
        return int(answer.responses[0].partitions[0].error_code)
