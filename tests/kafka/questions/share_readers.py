"""Members of share groups who fetch and acknowledge, for questions, and what they get, so that it can be compared."""

from collections.abc import Iterable, Sequence
from typing import Any

from asking import SILENCE, Asker, batch
from felice.wire.messages.share_acknowledge import ShareAcknowledgeRequest
from felice.wire.messages.share_fetch import ShareFetchRequest
from felice.wire.records import split
from questions.asked import eventually
from questions.share_members import Crew
from questions.share_store import Store

__all__ = ["ACCEPT", "GAP", "REJECT", "RELEASE", "RENEW", "Readers"]

GAP, ACCEPT, RELEASE, REJECT, RENEW = range(5)

SHORTLY = 50
"""Milliseconds to wait for records that are there: real Kafka may still be busy with the request before."""

Said = tuple[int, int, Sequence[int] | int]
"""Offsets from the first to the last, that included, with one type, or one for each."""


class Readers:
    """A share group that reads one topic from an offset on, and the requests of its members.

    It has no members by itself: leaders ask share coordinators only, and take anybody's word for being one.
    """

    def __init__(
        self,
        asker: Asker,
        *batches: int,
        partitions: int = 1,
        start: int = 0,
        topic: str | None = None,
        **configs: object,
    ) -> None:
        """Write batches of so many records to partition 0 of a new topic, and have a group begin at an offset.

        Unless it has to choose that offset itself, the leader has read the state by then: real Kafka does so behind
        the first request's back.
        """
        self.asker = asker
        self.topic = asker.topic(partitions=partitions) if topic is None else topic
        self.id = Crew(asker, **configs).id if configs else asker.name()
        self.store = Store(asker, self.topic_id, self.id)
        self.epochs: dict[str, int] = {}
        if start < 0:
            self.write(*batches)
        for index in range(partitions):
            self.begin(start, index)
        if start >= 0:
            eventually(lambda: len(self.open("first", *range(partitions), min_bytes=0)[2]) == partitions)
            self.close("first")
            self.write(*batches)

    @property
    def topic_id(self) -> bytes:
        """The topic's ID."""
        return self.asker.topic_ids[self.topic]

    def write(self, *batches: int, partition: int = 0, **options: Any) -> None:
        """Append batches of so many records."""
        for count in batches:
            answer = self.asker.produce(self.topic, batch(*[b"x"] * count, **options), partition=partition)
            assert answer.responses[0].partition_responses[0].error_code == 0, answer

    def begin(self, start: int, index: int = 0, epoch: int = 0) -> None:
        """Have the group begin at an offset, or where its settings say (-1)."""
        self.store.ready(index)
        eventually(lambda: self.store.code(self.store.initialize(index, epoch, start)) == 0)

    def state(self, index: int = 0) -> Any:
        """Return what is written of a partition: its start, how much is done, and batches with their states."""
        read, summary = self.store.looked_at(index)
        found, short = read["results"][0]["partitions"][0], summary["results"][0]["partitions"][0]
        return [
            found["error_code"],
            found["start_offset"],
            short["delivery_complete_count"],
            [tuple(batch.values()) for batch in found["state_batches"]],
        ]

    # --- requests ---

    def open(self, member: str, *indexes: int, **fields: Any) -> Any:
        """Open a session, and fetch."""
        self.epochs[member] = 0
        return self.fetch(member, *(indexes or (0,)), **fields)

    def fetch(
        self,
        member: str | None,
        *indexes: int,
        said: Iterable[Said] = (),
        forget: Sequence[int] = (),
        version: int = 2,
        epoch: int | None = None,
        asker: Asker | None = None,
        topic_id: bytes | None = None,
        **fields: Any,
    ) -> Any:
        """Fetch, in the session's epoch, with what is said of partition 0."""
        request = self.fetching(member, *indexes, said=said, forget=forget, epoch=epoch, topic_id=topic_id, **fields)
        return self.told(member, (asker or self.asker).ask(request, version))

    def fetching(
        self,
        member: str | None,
        *indexes: int,
        said: Iterable[Said] = (),
        forget: Sequence[int] = (),
        epoch: int | None = None,
        topic_id: bytes | None = None,
        **fields: Any,
    ) -> ShareFetchRequest:
        """Return a request."""
        said = list(said)
        named = {*indexes, 0} if said else set(indexes)
        partitions = [
            ShareFetchRequest.FetchPartition(
                partition_index=index,
                acknowledgement_batches=[
                    ShareFetchRequest.AcknowledgementBatch(**_batch(one)) for one in (said if index == 0 else ())
                ],
            )
            for index in sorted(named)
        ]
        which = self.topic_id if topic_id is None else topic_id
        forgotten = [ShareFetchRequest.ForgottenTopic(topic_id=which, partitions=list(forget))] if forget else []
        fields = {
            "max_wait_ms": SHORTLY,
            "min_bytes": 1,
            "max_bytes": 1 << 20,
            "max_records": 500,
            "batch_size": 500,
        } | fields
        fields.setdefault("group_id", self.id)
        return ShareFetchRequest(
            member_id=member,
            share_session_epoch=self.epochs.get(member, 0) if epoch is None else epoch,
            topics=[ShareFetchRequest.FetchTopic(topic_id=which, partitions=partitions)] if partitions else [],
            forgotten_topics_data=forgotten,
            **fields,
        )

    def say(
        self,
        member: str | None,
        *said: Said,
        index: int = 0,
        version: int = 2,
        epoch: int | None = None,
        asker: Asker | None = None,
        topic_id: bytes | None = None,
        **fields: Any,
    ) -> Any:
        """Acknowledge, in the session's epoch."""
        partition = ShareAcknowledgeRequest.AcknowledgePartition(
            partition_index=index,
            acknowledgement_batches=[ShareAcknowledgeRequest.AcknowledgementBatch(**_batch(one)) for one in said],
        )
        topic = ShareAcknowledgeRequest.AcknowledgeTopic(
            topic_id=self.topic_id if topic_id is None else topic_id, partitions=[partition]
        )
        fields.setdefault("group_id", self.id)
        request = ShareAcknowledgeRequest(
            member_id=member,
            share_session_epoch=self.epochs.get(member, 0) if epoch is None else epoch,
            topics=[topic],
            **fields,
        )
        answer = (asker or self.asker).ask(request, version)
        if answer == SILENCE:
            return answer
        if not answer.error_code:
            self.epochs[member] = self.epochs.get(member, 0) + 1
        return [
            (answer.error_code, bool(answer.error_message)),
            answer.acquisition_lock_timeout_ms,
            sorted(
                (one.partition_index, one.error_code, bool(one.error_message), one.current_leader.leader_epoch)
                for topic in answer.responses
                for one in topic.partitions
            ),
            len(answer.node_endpoints),
        ]

    def close(self, member: str, **fields: Any) -> Any:
        """Close a session."""
        return self.fetch(member, epoch=-1, **fields)

    def told(self, member: str, answer: Any) -> Any:
        """Return what a fetch was answered."""
        if answer == SILENCE:
            return answer
        if not answer.error_code:
            self.epochs[member] = self.epochs.get(member, 0) + 1
        return [
            (answer.error_code, bool(answer.error_message)),
            answer.acquisition_lock_timeout_ms,
            sorted(_partition(one) for topic in answer.responses for one in topic.partitions),
            len(answer.node_endpoints),
        ]


def _batch(said: Said) -> dict[str, Any]:
    """Return the fields of what is said."""
    first, last, types = said
    types = [types] if isinstance(types, int) else list(types)
    return {"first_offset": first, "last_offset": last, "acknowledge_types": types}


def _partition(one: Any) -> Any:
    """Return what is told of a partition: codes, the batches by their offsets, and what was acquired of them."""
    return (
        one.partition_index,
        (one.error_code, bool(one.error_message)),
        (one.acknowledge_error_code, bool(one.acknowledge_error_message)),
        (one.current_leader.leader_id, one.current_leader.leader_epoch),
        [(header.base_offset, header.next_offset - 1) for header, _ in split(one.records or b"")],
        [(each.first_offset, each.last_offset, each.delivery_count) for each in one.acquired_records],
    )
