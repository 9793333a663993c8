"""Members of classic groups, for questions: each with a connection of its own."""

import re
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from asking import SILENCE, Asker, comparable
from felice.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from felice.wire.messages.describe_groups import DescribeGroupsRequest
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.heartbeat import HeartbeatRequest
from felice.wire.messages.join_group import JoinGroupRequest
from felice.wire.messages.leave_group import LeaveGroupRequest
from felice.wire.messages.offset_fetch import OffsetFetchRequest
from felice.wire.messages.sync_group import SyncGroupRequest
from questions.asked import eventually

__all__ = ["OTHER_WISHES", "WISHES", "Member", "Room", "coordinated", "leave"]

WISHES = ConsumerProtocolSubscription(topics=["nothing"]).pack(0)
OTHER_WISHES = ConsumerProtocolSubscription(topics=["something"]).pack(0)
"""What members subscribe to: real Kafka never answers where it cannot read this for its sizes."""
SESSION = 30_000
REBALANCE = 30_000
WAITING = (14, 15, 16)
"""A coordinator that loads, is not available, or is not the one."""

_made_id = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|^[A-Za-z0-9_-]{22}$")


def coordinated(asker: Asker, group: str) -> str:
    """Return a group's ID, when its coordinator is up: real Kafka creates a topic for it first."""

    def ready() -> bool:
        found = asker.ask(FindCoordinatorRequest(coordinator_keys=[group], key_type=0), 4)
        if found.coordinators[0].error_code:
            return False
        asked = [OffsetFetchRequest.Group(group_id=group, topics=[])]
        return asker.ask(OffsetFetchRequest(groups=asked), 8).groups[0].error_code not in WAITING

    eventually(ready)
    return group


class Room:
    """A group and those who want to be its members."""

    def __init__(self, asker: Asker, group: str | None = None) -> None:
        self.asker = asker
        self.id = coordinated(asker, asker.name() if group is None else group)
        self._askers: list[Asker] = []
        self._names: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up for all."""
        for asker in self._askers:
            asker.hang_up()

    def member(self, **options: Any) -> "Member":
        """Return somebody who may join; see `Member`."""
        asker = self.asker.beside()
        self._askers.append(asker)
        return Member(self, asker, **options)

    def plain(self, answer: Any) -> Any:
        """Return an answer that can be compared: IDs made up by the broker are numbered, members are sorted."""
        return self._renamed(comparable(answer))

    def described(self, version: int = 5) -> Any:
        """Describe the group."""
        answer = self.asker.ask(DescribeGroupsRequest(groups=[self.id]), version)
        for group in answer.groups:
            group.members.sort(key=lambda member: member.member_id)
        return answer

    def state(self) -> tuple[str, int]:
        """Return the group's state, and how many members it has."""
        group = self.described().groups[0]
        return group.group_state, len(group.members)

    def wait_for(self, state: str, members: int) -> None:
        """Wait until the group is in a state, with so many members."""
        eventually(lambda: self.state() == (state, members))

    def name_of(self, made_id: str) -> str:
        """Return what an ID is called in answers."""
        return self._names.setdefault(made_id, f"<{len(self._names) + 1}>")

    def _renamed(self, value: Any) -> Any:
        """Return a value with other IDs."""
        if isinstance(value, dict):
            return {name: self._renamed(item) for name, item in value.items()}
        if isinstance(value, list):
            return (
                sorted((self._renamed(item) for item in value), key=repr)
                if _members(value)
                else [self._renamed(item) for item in value]
            )
        if isinstance(value, str):
            return _made_id.sub(lambda found: self.name_of(found[0]), value)
        return value


def _members(value: Iterable[Any]) -> bool:
    """Tell whether this is a list of members, whose order means nothing."""
    return any(
        isinstance(item, dict) and ({"metadata", "member_metadata", "subscription"} & item.keys()) for item in value
    )


class Member:
    """Somebody who asks as members do. Its ID and generation are those of its last answer to JoinGroup."""

    def __init__(
        self,
        room: Room,
        asker: Asker,
        *,
        instance: str | None = None,
        protocols: Sequence[str] = ("range",),
        type: str = "consumer",
        metadata: bytes = WISHES,
        session: int = SESSION,
        rebalance: int = REBALANCE,
        version: int = 5,
    ) -> None:
        self.room = room
        self.asker = asker
        self.instance = instance
        self.protocols = protocols
        self.type = type
        self.metadata = metadata
        self.session = session
        self.rebalance = rebalance
        self.version = version
        self.id = ""
        self.generation = -1

    def request(self) -> JoinGroupRequest:
        """Return the request to join."""
        return JoinGroupRequest(
            group_id=self.room.id,
            session_timeout_ms=self.session,
            rebalance_timeout_ms=self.rebalance if self.version else -1,
            member_id=self.id,
            group_instance_id=self.instance,
            protocol_type=self.type,
            protocols=[JoinGroupRequest.Protocol(name=name, metadata=self.metadata) for name in self.protocols],
        )

    def join(self) -> Any:
        """Join, once."""
        return self._joined(self.asker.ask(self.request(), self.version))

    def enter(self) -> Any:
        """Join; where an ID is handed out first, with that."""
        answer = self.join()
        return self.join() if self.instance is None and self.version >= 4 else answer

    def begin_to_join(self) -> None:
        """Join, without waiting for the generation."""
        if self.instance is None and self.version >= 4 and not self.id:
            self.join()
        self.asker.begin(self.request(), self.version)

    def joined(self) -> Any:
        """Return the answer to the join that was begun."""
        return self._joined(self.asker.finish(JoinGroupRequest, self.version))

    def sync_request(
        self, *shares: "Member", generation: int | None = None, said: tuple[str | None, str | None] | None = None
    ) -> SyncGroupRequest:
        """Return the request for an assignment, with shares for others where this one leads."""
        given = [SyncGroupRequest.Assignment(member_id=other.id, assignment=b"share") for other in shares]
        request = SyncGroupRequest(
            group_id=self.room.id,
            generation_id=self.generation if generation is None else generation,
            member_id=self.id,
            group_instance_id=self.instance,
            assignments=given,
        )
        if said is not None:
            request.protocol_type, request.protocol_name = said
        return request

    def sync(
        self,
        *shares: "Member",
        version: int = 4,
        generation: int | None = None,
        said: tuple[str | None, str | None] | None = None,
    ) -> Any:
        """Ask for an assignment."""
        request = self.sync_request(*shares, generation=generation, said=said)
        return self.room.plain(self.asker.ask(request, version))

    def begin_to_sync(self) -> None:
        """Ask for an assignment, without waiting for it."""
        self.asker.begin(self.sync_request(), 4)

    def synced(self) -> Any:
        """Return the answer to the request that was begun."""
        return self.room.plain(self.asker.finish(SyncGroupRequest, 4))

    def beat(self, version: int = 4, generation: int | None = None) -> int:
        """Send a heartbeat and return the code."""
        request = HeartbeatRequest(
            group_id=self.room.id,
            generation_id=self.generation if generation is None else generation,
            member_id=self.id,
            group_instance_id=self.instance if version >= 3 else None,
        )
        return int(self.asker.ask(request, version).error_code)

    def leave(self) -> Any:
        """Leave, from a connection that waits for nothing."""
        return leave(self.room, (self.id, None))

    def _joined(self, answer: Any) -> Any:
        """Take over what an answer says of this member."""
        if answer == SILENCE:
            return answer
        if answer.member_id:
            self.id = answer.member_id
        if answer.error_code == 0:
            self.generation = answer.generation_id
        return self.room.plain(answer)


def leave(room: Room, *members: tuple[str, str | None], version: int = 4) -> Any:
    """Remove members, by their IDs and instance IDs."""
    leaving = [LeaveGroupRequest.MemberIdentity(member_id=name, group_instance_id=place) for name, place in members]
    return room.plain(room.asker.ask(LeaveGroupRequest(group_id=room.id, members=leaving), version))
