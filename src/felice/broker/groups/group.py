"""What groups of all kinds share: an ID, committed offsets, a state, and who may commit, fetch and delete."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar, NamedTuple, TypeAlias

from felice.broker.groups.joining import Applicant
from felice.broker.groups.offsets import Committed, Offsets
from felice.broker.groups.view import GroupView
from felice.broker.groups.waiting import WaitingJoin, WaitingSync
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["CheckPartition", "Claim", "Group", "Record"]

NO_EPOCH = -1

Record: TypeAlias = tuple[bytes, bytes | None]
"""Key and value of a record of `__consumer_offsets`; without a value it deletes."""

CheckPartition: TypeAlias = Callable[[str, int], None]
"""Refuses a commit to a partition, given its topic's name and its index."""


class Claim(NamedTuple):
    """Who a request says that it comes from."""

    member_id: str = ""
    instance_id: str | None = None
    epoch: int = NO_EPOCH
    """The generation of a classic group, or the member's epoch (KIP-848)."""


class Group(ABC):
    """A group."""

    kind: ClassVar[str]
    """"classic", "consumer", "share" or "streams", as ListGroups has it in lower case."""

    def __init__(self, group_id: str, offsets: Offsets | None = None) -> None:
        self.id = group_id
        self.offsets = Offsets() if offsets is None else offsets
        """What was committed. A group of another kind that takes this one's place takes it over."""

    def __repr__(self) -> str:
        """Return ID and state."""
        return f"<{self.kind} group {self.id!r}: {self.state}>"

    # --- what members of the classic protocol ask; some of the other groups know such members too ---

    def join(self, applicant: Applicant, waiting: WaitingJoin) -> None:
        """Let somebody join; `waiting` is answered now or later."""
        waiting.refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "")

    def sync(
        self,
        claim: Claim,
        protocol: tuple[str | None, str | None],
        assignments: Mapping[str, bytes],
        waiting: WaitingSync,
    ) -> None:
        """Tell a member what it is assigned, now or later; `protocol` is the type and the name that it believes in."""
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)

    def doubt(self, member_id: str, generation: int) -> None:  # noqa: B027 only groups whose members assign doubt them
        """Hear that it is not sure that what a member has assigned in a generation is written down."""

    def heartbeat(self, claim: Claim) -> None:
        """Hear that a member is alive, and refuse where it has something to do."""
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)

    def leave(self, leaving: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
        """Remove members, each by its ID or its instance's ID; return how that went for each."""
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)

    # --- what it is ---

    @property
    @abstractmethod
    def state(self) -> str:
        """The state by Kafka's name."""

    @property
    @abstractmethod
    def protocol_type(self) -> str:
        """What the group is for, "consumer" mostly; empty where no member ever told."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no members, so that it may be deleted."""
        return self.state == "Empty"

    @property
    def expires(self) -> bool:
        """Whether it goes by itself when it has neither members nor offsets."""
        return True

    def view(self) -> GroupView:
        """Return the group for a test to look at; groups that have an epoch and members add them."""
        offsets = {(topic, partition): committed for topic, partition, committed in self.offsets}
        return GroupView(self.id, self.kind, self.state, 0, (), offsets)

    @abstractmethod
    def check_commit(self, claim: Claim, *, transactional: bool, version: int) -> CheckPartition | None:
        """Refuse a commit by somebody who may not, in a request of this version.

        What is returned, if anything, is asked for each partition too.
        """

    @abstractmethod
    def check_fetch(self, member_id: str | None, epoch: int) -> None:
        """Refuse to tell the committed offsets; `member_id` is None for who does not say that it is a member."""

    @abstractmethod
    def check_offset_delete(self) -> None:
        """Refuse to delete offsets."""

    @abstractmethod
    def check_delete(self) -> None:
        """Refuse to delete the group."""

    @abstractmethod
    def subscribes(self, topic: str) -> bool:
        """Tell whether a member reads a topic, so that its offsets are in use."""

    @abstractmethod
    def retained_since(self, committed: Committed) -> int | None:
        """Return from when on, in milliseconds since 1970, a commit's retention counts; None while it does not."""

    @abstractmethod
    def tombstones(self) -> Collection[Record]:
        """Return the records that delete the group, its offsets aside."""

    def drop_state(self) -> bool:
        """Drop what is kept of it elsewhere, before it is deleted; return whether there was any.

        It is refused where that cannot be.
        """
        return False

    def topic_deleted(self, topic_id: bytes) -> bool:
        """Forget what is known of a topic that is gone, offsets aside; return whether there was any."""
        return False

    @abstractmethod
    def committed(self, claim: Claim) -> None:
        """Hear that a member committed: in the classic protocol that is a sign of life."""

    @abstractmethod
    def moved(self, led: bool) -> "Group | None":
        """Hear that another node is the coordinator now, or (not `led`) none.

        Whoever waits for an answer is sent away. Return the group as the new coordinator reads it from the log, or
        None where there is nothing to read. While there is no coordinator nothing happens by itself.
        """

    @abstractmethod
    def removed(self) -> None:
        """Hear that the group is gone: nothing of it may happen any more."""
