"""Members of consumer groups, for questions: what they send, and what they are told in a form that can be compared."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asking import SILENCE, Asker
from felice.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from felice.wire.messages.offset_commit import OffsetCommitRequest
from felice.wire.messages.offset_fetch import OffsetFetchRequest
from questions.asked import eventually
from questions.members import coordinated

__all__ = ["Band", "Owned"]

Owned = Mapping[str, Sequence[int]]
"""Partitions by topic."""

REBALANCE = 30_000


class Band:
    """A consumer group, and the requests of its members; each member's last epoch is remembered."""

    def __init__(self, asker: Asker, group: str | None = None) -> None:
        self.asker = asker
        self.id = coordinated(asker, asker.name() if group is None else group)
        self.epochs: dict[str, int] = {}
        self._made: dict[str, str] = {}

    def send(self, version: int = 1, **fields: Any) -> Any:
        """Send a heartbeat as it is."""
        fields.setdefault("group_id", self.id)
        return self.told(self.asker.ask(ConsumerGroupHeartbeatRequest(**fields), version))

    def join(self, member: str, *topics: str, version: int = 1, **fields: Any) -> Any:
        """Join, or join again."""
        fields.setdefault("subscribed_topic_names", list(topics))
        fields.setdefault("topic_partitions", [])
        fields.setdefault("rebalance_timeout_ms", REBALANCE)
        return self.send(version, member_id=member, member_epoch=0, **fields)

    def beat(self, member: str, owned: Owned | None = None, **fields: Any) -> Any:
        """Send a heartbeat in the member's epoch, with what it has where that is to be said."""
        fields.setdefault("member_epoch", self.epochs.get(member, 0))
        if owned is not None:
            fields["topic_partitions"] = [
                ConsumerGroupHeartbeatRequest.TopicPartitions(topic_id=self.asker.topic_ids[topic], partitions=parts)
                for topic, parts in owned.items()
            ]
        return self.send(member_id=member, **fields)

    def leave(self, member: str, **fields: Any) -> Any:
        """Leave."""
        return self.send(**{"member_id": member, "member_epoch": -1, **fields})

    def settle(self, *members: str) -> list[Any]:
        """Have members report what they have, again and again, until the group is stable; return what each has then."""
        owned: dict[str, dict[str, list[int]]] = {member: {} for member in members}

        def stable() -> bool:
            for member in members:
                told = self.beat(member, owned[member], rebalance_timeout_ms=REBALANCE)
                if told["assignment"] is not None:
                    owned[member] = told["assignment"]
            return bool(self.described()["group_state"] == "Stable")

        eventually(stable)
        return [owned[member] for member in members]

    def described(self, version: int = 1, *, operations: bool = False) -> Any:
        """Describe the group."""
        request = ConsumerGroupDescribeRequest(group_ids=[self.id], include_authorized_operations=operations)
        [group] = self.asker.ask(request, version).groups
        return {
            "error_code": group.error_code,
            "message": bool(group.error_message),
            "group_id": group.group_id,
            "group_state": group.group_state,
            "epochs": (group.group_epoch, group.assignment_epoch),
            "assignor": group.assignor_name,
            "operations": group.authorized_operations,
            "members": [
                self._member(member) for member in sorted(group.members, key=lambda one: self._name(one.member_id))
            ],
        }

    def commit(self, member: str, epoch: int, *partitions: tuple[str, int], version: int = 9) -> Any:
        """Commit some offset of partitions."""
        topics = [
            OffsetCommitRequest.Topic(
                name=topic,
                topic_id=self.asker.topic_ids[topic],
                partitions=[OffsetCommitRequest.Topic.Partition(partition_index=index, committed_offset=epoch + 7)],
            )
            for topic, index in partitions
        ]
        request = OffsetCommitRequest(
            group_id=self.id, member_id=member, generation_id_or_member_epoch=epoch, topics=topics
        )
        answer = self.asker.ask(request, version)
        return [[found.error_code for found in topic.partitions] for topic in answer.topics]

    def committed(self, member: str | None, epoch: int, *partitions: tuple[str, int], version: int = 9) -> Any:
        """Fetch what is committed."""
        topics = [
            OffsetFetchRequest.Group.Topics(name=topic, topic_id=self.asker.topic_ids[topic], partition_indexes=[index])
            for topic, index in partitions
        ]
        asked = OffsetFetchRequest.Group(group_id=self.id, member_id=member, member_epoch=epoch, topics=topics)
        [group] = self.asker.ask(OffsetFetchRequest(groups=[asked]), version).groups
        return group.error_code, [[found.committed_offset for found in topic.partitions] for topic in group.topics]

    def told(self, answer: Any) -> Any:
        """Return what a heartbeat was answered, in a form that can be compared."""
        if answer == SILENCE:
            return answer
        if answer.error_code == 0 and answer.member_id:
            self.epochs[answer.member_id] = answer.member_epoch
        return {
            "error_code": answer.error_code,
            "message": bool(answer.error_message),
            "member_id": answer.member_id and self._name(answer.member_id),
            "member_epoch": answer.member_epoch,
            "interval": answer.heartbeat_interval_ms,
            "assignment": None if answer.assignment is None else self._parts(answer.assignment.topic_partitions),
        }

    def _member(self, member: Any) -> Any:
        """Return a described member."""
        return {
            "member_id": self._name(member.member_id),
            "member_epoch": member.member_epoch,
            "who": (member.instance_id, member.rack_id, member.client_id, member.client_host, member.member_type),
            "reads": (sorted(member.subscribed_topic_names), member.subscribed_topic_regex),
            "assignment": self._parts(member.assignment.topic_partitions),
            "target": self._parts(member.target_assignment.topic_partitions),
        }

    def _parts(self, entries: Iterable[Any]) -> dict[str, list[int]]:
        """Return partitions by topic."""
        names = {topic_id: name for name, topic_id in self.asker.topic_ids.items()}
        found = {names.get(entry.topic_id, "<another>"): sorted(entry.partitions) for entry in entries}
        return dict(sorted(found.items()))

    def _name(self, member_id: str) -> str:
        """Return what a member is called in answers: IDs that a broker made up are numbered."""
        if len(member_id) != 22:
            return member_id
        return self._made.setdefault(member_id, f"<{len(self._made) + 1}>")
