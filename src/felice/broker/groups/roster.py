"""The members of a classic group, who leads them, and which protocol they vote for. Pure: no clock, no log."""

from collections import Counter
from collections.abc import Iterator, Mapping

from felice.broker.groups.member import Member
from felice.broker.java import bucket
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["Roster"]


class Roster:
    """Members by ID, in the order in which they came.

    `invited` are the IDs that were given to members who have yet to join with them (KIP-394), and `unsynced` those of
    members who were told of the present generation and have yet to ask for their assignment.
    """

    __slots__ = ("_static", "invited", "leader", "members", "unsynced")

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.leader: str | None = None
        self.invited: set[str] = set()
        self.unsynced: set[str] = set()
        self._static: dict[str, str] = {}

    def __iter__(self) -> Iterator[Member]:
        """Give all members; they may be removed meanwhile."""
        return iter(tuple(self.members.values()))

    def __len__(self) -> int:
        """Return how many members there are."""
        return len(self.members)

    def __contains__(self, member_id: object) -> bool:
        """Tell whether somebody is a member."""
        return member_id in self.members

    # --- who is who ---

    def static_member(self, instance_id: str | None) -> str | None:
        """Return the ID that a static member has at present (KIP-345)."""
        return None if instance_id is None else self._static.get(instance_id)

    def check(self, member_id: str, instance_id: str | None) -> Member:
        """Return a member; refuse strangers, and the former self of a static member."""
        if instance_id is not None:
            present = self._static.get(instance_id)
            if present is None:
                raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"nobody is the instance {instance_id!r}")
            if present != member_id:
                raise Refused(ErrorCode.FENCED_INSTANCE_ID, f"the instance {instance_id!r} is {present!r} now")
        found = self.members.get(member_id)
        if found is None:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"{member_id!r} is no member")
        return found

    def add(self, member: Member) -> None:
        """Take a member in; the first one leads."""
        self.members[member.id] = member
        self.invited.discard(member.id)
        if member.instance_id is not None:
            self._static[member.instance_id] = member.id
        if self.leader is None:
            self.leader = member.id

    def remove(self, member_id: str) -> Member | None:
        """Take a member out, or withdraw an invitation; where it led, another one does."""
        member = self.members.pop(member_id, None)
        if member is not None and member.instance_id is not None:
            del self._static[member.instance_id]
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)
        self.invited.discard(member_id)
        self.unsynced.discard(member_id)
        return member

    def rename(self, member: Member, member_id: str) -> None:
        """Give a static member that came back its new ID; its place and what it was assigned remain."""
        assert member.instance_id is not None
        self.members = {member_id if known == member.id else known: someone for known, someone in self.members.items()}
        self._static[member.instance_id] = member_id
        self.unsynced.discard(member.id)
        if self.leader == member.id:
            self.leader = member_id
        member.id = member_id

    # --- who is there ---

    @property
    def joined(self) -> int:
        """How many wait for the next generation."""
        return sum(member.joining is not None for member in self.members.values())

    @property
    def all_joined(self) -> bool:
        """Whether nobody is missing for the next generation."""
        return not self.invited and all(member.joining is not None for member in self.members.values())

    @property
    def rebalance_timeout(self) -> int:
        """The longest time, in milliseconds, that a member grants to all for joining again."""
        return max((member.rebalance_timeout for member in self.members.values()), default=0)

    def elect(self) -> bool:
        """See to it that the leader is one who has joined; return False where nobody has."""
        leader = self.members.get(self.leader or "")
        if leader is None:
            return False
        if leader.joining is None:
            found = next((member.id for member in self if member.joining is not None), None)
            if found is None:
                return False
            self.leader = found
        return True

    # --- the vote ---

    def candidates(self) -> set[str]:
        """Return the protocols that all members know."""
        names = [set(member.protocols) for member in self.members.values()]
        return set.intersection(*names) if names else set()

    def supports(self, protocols: Mapping[str, bytes]) -> bool:
        """Tell whether somebody with these protocols has one in common with all members."""
        return bool(protocols) and (not self.members or not self.candidates().isdisjoint(protocols))

    def elected_protocol(self) -> str:
        """Return the protocol that most members like best.

        Among equals it is the one that Java's `HashMap` happens to give first.
        """
        candidates = self.candidates()
        votes = Counter(member.vote(candidates) for member in self.members.values())
        return min(votes, key=lambda name: (-votes[name], bucket(name)))
