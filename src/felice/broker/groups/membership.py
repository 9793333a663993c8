"""What members of a classic group ask besides joining: their assignment, whether all is well, and to leave."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from felice.broker.groups.group import Claim
from felice.broker.groups.member import Member
from felice.broker.groups.phase import Phase
from felice.broker.groups.waiting import WaitingSync
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.groups.classic import ClassicGroup

__all__ = ["heartbeat", "leave", "sync"]


def sync(
    group: "ClassicGroup",
    claim: Claim,
    protocol: tuple[str | None, str | None],
    assignments: Mapping[str, bytes],
    waiting: WaitingSync,
) -> None:
    """Tell a member what it is assigned, as soon as that is known; the leader's request says it.

    `protocol` is what the member takes for the group's type and protocol, None where it does not say (KIP-559).
    """
    member = _present(group, claim)
    for said, known in zip(protocol, (group.type, group.protocol), strict=True):
        if said is not None and said != known:
            raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if group.phase is Phase.PREPARING:
        raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)
    group.synced(member)
    if group.phase is Phase.STABLE:
        waiting.answer(group.assignment_of(member))
        return
    member.syncing = waiting
    if group.roster.leader == member.id:
        group.assign(assignments)


def heartbeat(group: "ClassicGroup", claim: Claim) -> None:
    """Keep a member's session alive; refuse with REBALANCE_IN_PROGRESS where it has to join again."""
    member = _present(group, claim)
    group.keep_alive(member)
    if group.phase is Phase.PREPARING:
        raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)


def leave(group: "ClassicGroup", leaving: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
    """Remove members, named by their IDs, or by their instance IDs alone; return how that went for each."""
    if group.phase is Phase.DEAD:
        raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    codes = [_remove(group, member_id, instance_id) for member_id, instance_id in leaving]
    if ErrorCode.NONE in codes:
        group.members_left()
    return codes


def _remove(group: "ClassicGroup", member_id: str, instance_id: str | None) -> ErrorCode:
    """Remove one member."""
    roster = group.roster
    if member_id in roster.invited:
        roster.remove(member_id)
        return ErrorCode.NONE
    try:
        group.remove(roster.check(member_id or roster.static_member(instance_id) or "", instance_id))
    except Refused as refused:
        return refused.code
    return ErrorCode.NONE


def _present(group: "ClassicGroup", claim: Claim) -> Member:
    """Return a member of the present generation, or refuse."""
    if group.phase is Phase.DEAD:
        raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    member = group.roster.check(claim.member_id, claim.instance_id)
    group.check_generation(claim.epoch)
    return member
