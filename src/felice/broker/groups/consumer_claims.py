"""Who may commit and fetch offsets of a consumer group: its members, in the right epochs (KIP-848, KIP-1251)."""

from collections.abc import Mapping
from functools import partial

from felice.broker.groups.consumer_member import ConsumerMember
from felice.broker.groups.group import CheckPartition, Claim
from felice.broker.refusal import Refused
from felice.broker.topics import Topic
from felice.errors import ErrorCode

__all__ = ["check_commit", "check_fetch"]

EPOCHS_FROM = 9
"""The version of OffsetCommit from which on it has the member's epoch."""


def check_commit(
    claim: Claim,
    members: Mapping[str, ConsumerMember],
    topics: Mapping[str, Topic],
    *,
    transactional: bool,
    version: int,
) -> CheckPartition | None:
    """Let members of the present epoch commit, and anybody while there are none.

    From an older epoch a member may commit the partitions that it had then already and still has.
    """
    if claim.epoch < 0 and not members:
        return None
    if transactional and claim == Claim():
        return None
    member = members.get(claim.member_id)
    if member is None:
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)
    if not transactional and member.classic is None and version < EPOCHS_FROM:
        raise Refused(ErrorCode.UNSUPPORTED_VERSION)
    if claim.epoch == member.epoch:
        return None
    if claim.epoch > member.epoch:
        raise Refused(_stale(member))
    return partial(_check_assigned, member, claim.epoch, topics)


def check_fetch(members: Mapping[str, ConsumerMember], member_id: str | None, epoch: int) -> None:
    """Let members of the present epoch fetch, and everybody who does not say that it is a member."""
    if member_id is None:
        if epoch < 0:
            return
        raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR, "an epoch without a member")
    member = members.get(member_id)
    if member is None:
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)
    if epoch != member.epoch:
        raise Refused(_stale(member))


def _check_assigned(member: ConsumerMember, epoch: int, topics: Mapping[str, Topic], topic: str, index: int) -> None:
    """Refuse a partition that the member did not have in this epoch."""
    since = member.assigned_in(topics[topic].id, index) if topic in topics else None
    if since is None or epoch < since:
        raise Refused(_stale(member))


def _stale(member: ConsumerMember) -> ErrorCode:
    """Return the code for a wrong epoch, by the member's protocol."""
    return ErrorCode.STALE_MEMBER_EPOCH if member.classic is None else ErrorCode.ILLEGAL_GENERATION
