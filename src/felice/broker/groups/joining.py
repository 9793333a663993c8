"""The ways into a classic group: new members, members who come again, and static ones who take their place back."""

import random
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from felice.broker.groups.member import Member
from felice.broker.groups.phase import Phase
from felice.broker.groups.waiting import WaitingJoin
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.groups.classic import ClassicGroup

__all__ = ["Applicant", "join"]

INVITED_FROM = 4
SKIPS_ASSIGNMENT_FROM = 9

NOBODY = ""


class Applicant(NamedTuple):
    """Who wants to join: what the request says, and who sent it. Times are in milliseconds."""

    member_id: str
    """Empty where it has none yet."""
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout: int
    rebalance_timeout: int
    protocol_type: str
    protocols: Mapping[str, bytes]

    def new_member_id(self, chance: random.Random) -> str:
        """Return an ID that nobody has, and that tells whose it is."""
        name = self.client_id if self.instance_id is None else self.instance_id
        return f"{name}-{uuid.UUID(bytes=chance.randbytes(16), version=4)}"

    def as_member(self, member_id: str) -> Member:
        """Return it as a member."""
        return Member(
            member_id,
            self.instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            rebalance_timeout=self.rebalance_timeout,
            session_timeout=self.session_timeout,
            protocols=self.protocols,
        )


def join(group: "ClassicGroup", applicant: Applicant, waiting: WaitingJoin) -> None:
    """Let somebody join; `waiting` is answered now or later."""
    member_id = applicant.member_id
    if not _has_room(group, member_id):
        expelled = group.roster.remove(member_id)
        if expelled is not None:
            expelled.end_session()
        waiting.refuse(ErrorCode.GROUP_MAX_SIZE_REACHED, NOBODY)
    elif group.phase is Phase.DEAD:
        waiting.refuse(ErrorCode.COORDINATOR_NOT_AVAILABLE, member_id)
    elif not group.supports(applicant.protocol_type, applicant.protocols):
        waiting.refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, member_id)
    elif not member_id:
        _join_anew(group, applicant, waiting)
    elif member_id in group.roster.invited:
        _take_in(group, applicant, member_id, waiting)
    else:
        _join_again(group, applicant, waiting)


def _has_room(group: "ClassicGroup", member_id: str) -> bool:
    """Tell whether the group may have one more, or has this one already.

    While all are joining, only those who wait count: the group may be too large because the limit was lowered, and
    then the last ones to come are those who have to go.
    """
    most = group.settings.number("group.max.size")
    member = group.roster.members.get(member_id)
    match group.phase:
        case Phase.PREPARING:
            return (member is not None and member.joining is not None) or group.roster.joined < most
        case Phase.COMPLETING | Phase.STABLE:
            return member is not None or len(group.roster) < most
        case _:
            return True


def _join_anew(group: "ClassicGroup", applicant: Applicant, waiting: WaitingJoin) -> None:
    """Give somebody an ID, and take it in; who is able to ask again with that ID has to do so first (KIP-394)."""
    member_id = applicant.new_member_id(group.chance)
    present = group.roster.static_member(applicant.instance_id)
    if present is not None:
        _take_place_back(group, group.roster.members[present], applicant, member_id, waiting)
    elif applicant.instance_id is None and waiting.version >= INVITED_FROM:
        group.invite(member_id, applicant.session_timeout)
        waiting.refuse(ErrorCode.MEMBER_ID_REQUIRED, member_id)
    else:
        _take_in(group, applicant, member_id, waiting)


def _take_in(group: "ClassicGroup", applicant: Applicant, member_id: str, waiting: WaitingJoin) -> None:
    """Have a new member."""
    member = applicant.as_member(member_id)
    member.joining = waiting
    group.add(member, applicant.protocol_type)
    group.rebalance()


def _join_again(group: "ClassicGroup", applicant: Applicant, waiting: WaitingJoin) -> None:
    """Let a member join again; all have to do so where something changed, or where the leader wants to assign anew."""
    try:
        member = group.roster.check(applicant.member_id, applicant.instance_id)
    except Refused as refused:
        waiting.refuse(refused.code, applicant.member_id)
        return
    same = member.offers(applicant.protocols)
    leads = group.roster.leader == member.id
    if (group.phase is Phase.COMPLETING and same) or (group.phase is Phase.STABLE and same and not leads):
        # It may have missed the answer. A leader that asks in the first half gets the list of members again.
        waiting.answer(group.generation_for(member))
        return
    _update(member, applicant, waiting)
    group.rebalance()


def _take_place_back(
    group: "ClassicGroup", member: Member, applicant: Applicant, member_id: str, waiting: WaitingJoin
) -> None:
    """Let a static member come back, as it does when its process starts again (KIP-345).

    While the group is stable nobody else notices, unless the protocol changes: the member goes on with what it was
    assigned. One of an older version is told that somebody leads who is gone, and so it does not assign; since KIP-814
    a leader is told that it leads, and that it is not to assign.
    """
    roster = group.roster
    leader = roster.leader
    if member.joining is not None:
        member.joining.refuse(ErrorCode.FENCED_INSTANCE_ID, member.id)
    if member.syncing is not None:
        member.syncing.refuse(ErrorCode.FENCED_INSTANCE_ID)
        member.syncing = None
    roster.rename(member, member_id)
    group.keep_alive(member)
    _update(member, applicant, waiting)
    if group.phase is Phase.COMPLETING:
        group.prepare()  # The leader may be about to assign to an ID that is gone.
    elif group.phase is not Phase.STABLE:
        group.complete_if_all_joined()
    elif roster.elected_protocol() != group.protocol:
        group.prepare()
    else:
        group.write({other.id: other.assignment for other in roster})
        response = group.generation_for(member)
        if waiting.version >= SKIPS_ASSIGNMENT_FROM:
            response.skip_assignment = roster.leader == member_id
        else:
            response.leader, response.members = leader or "", []
        group.answer_join(member, response)


def _update(member: Member, applicant: Applicant, waiting: WaitingJoin) -> None:
    """Take over what a member says anew, and have it wait for the next generation."""
    member.protocols = dict(applicant.protocols)
    member.rebalance_timeout = applicant.rebalance_timeout
    member.session_timeout = applicant.session_timeout
    member.joining = waiting
