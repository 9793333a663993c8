"""Members of share groups, for questions: what they send, and what they are told in a form that can be compared."""

from collections.abc import Iterable
from typing import Any

from asking import SILENCE, Asker
from felice.wire.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from felice.wire.messages.share_group_describe import ShareGroupDescribeRequest
from felice.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from questions.asked import eventually
from questions.members import coordinated

__all__ = ["Crew"]

GROUP_CONFIGS = 32


class Crew:
    """A share group, and the requests of its members; each member's last epoch is remembered.

    The group is set up so that it may be assigned anew at every heartbeat, and not once a second.
    """

    def __init__(self, asker: Asker, group: str | None = None, **configs: object) -> None:
        self.asker = asker
        self.id = coordinated(asker, asker.name() if group is None else group)
        self.epochs: dict[str, int] = {}
        self.configure(**{"share_assignment_interval_ms": 0, **configs})

    def configure(self, **configs: object) -> None:
        """Set configurations of the group."""
        resource = IncrementalAlterConfigsRequest.AlterConfigsResource(
            resource_type=GROUP_CONFIGS,
            resource_name=self.id,
            configs=[
                IncrementalAlterConfigsRequest.AlterableConfig(name=key.replace("_", "."), value=str(value))
                for key, value in configs.items()
            ],
        )
        [answer] = self.asker.ask(IncrementalAlterConfigsRequest(resources=[resource]), 1).responses
        assert answer.error_code == 0, answer

    def send(self, **fields: Any) -> Any:
        """Send a heartbeat as it is."""
        fields.setdefault("group_id", self.id)
        return self.told(self.asker.ask(ShareGroupHeartbeatRequest(**fields), 1))

    def join(self, member: str, *topics: str, **fields: Any) -> Any:
        """Join, or join again."""
        fields.setdefault("subscribed_topic_names", list(topics))
        return self.send(member_id=member, member_epoch=0, **fields)

    def beat(self, member: str, **fields: Any) -> Any:
        """Send a heartbeat in the member's epoch."""
        fields.setdefault("member_epoch", self.epochs.get(member, 0))
        return self.send(member_id=member, **fields)

    def leave(self, member: str, **fields: Any) -> Any:
        """Leave."""
        return self.send(**{"member_id": member, "member_epoch": -1, **fields})

    def settle(self, *members: str, partitions: int) -> Any:
        """Have members beat until this many partitions are assigned and all are in the group's epoch; describe it."""

        def settled() -> bool:
            for member in members:
                self.beat(member)
            group = self.described()
            assigned = {
                (topic, index)
                for member in group["members"]
                for topic, indexes in member["assignment"].items()
                for index in indexes
            }
            epochs = {*group["epochs"], *(member["member_epoch"] for member in group["members"])}
            return len(assigned) == partitions and len(epochs) == 1

        eventually(settled)
        return self.described()

    def described(self, *, operations: bool = False) -> Any:
        """Describe the group."""
        request = ShareGroupDescribeRequest(group_ids=[self.id], include_authorized_operations=operations)
        [group] = self.asker.ask(request, 1).groups
        return {
            "error_code": group.error_code,
            "message": bool(group.error_message),
            "group_id": group.group_id,
            "group_state": group.group_state,
            "epochs": (group.group_epoch, group.assignment_epoch),
            "assignor": group.assignor_name,
            "operations": group.authorized_operations,
            "members": [self._member(member) for member in sorted(group.members, key=lambda one: str(one.member_id))],
        }

    def told(self, answer: Any) -> Any:
        """Return what a heartbeat was answered, in a form that can be compared."""
        if answer == SILENCE:
            return answer
        if answer.error_code == 0 and answer.member_id:
            self.epochs[answer.member_id] = answer.member_epoch
        return {
            "error_code": answer.error_code,
            "message": bool(answer.error_message),
            "member_id": answer.member_id,
            "member_epoch": answer.member_epoch,
            "interval": answer.heartbeat_interval_ms,
            "assignment": None if answer.assignment is None else self._parts(answer.assignment.topic_partitions),
        }

    def _member(self, member: Any) -> Any:
        """Return a described member."""
        return {
            "member_id": member.member_id,
            "member_epoch": member.member_epoch,
            "who": (member.rack_id, member.client_id, member.client_host),
            "reads": sorted(member.subscribed_topic_names),
            "assignment": self._parts(member.assignment.topic_partitions),
        }

    def _parts(self, entries: Iterable[Any]) -> dict[str, list[int]]:
        """Return partitions by topic."""
        names = {topic_id: name for name, topic_id in self.asker.topic_ids.items()}
        found = {names.get(entry.topic_id, "<another>"): sorted(entry.partitions) for entry in entries}
        return dict(sorted(found.items()))
