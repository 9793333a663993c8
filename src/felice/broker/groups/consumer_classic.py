"""Members of the classic protocol in a consumer group: their requests, translated (KIP-848).

They join with what they can do, and are told no leader and no others: the broker assigns. A generation is the member's
epoch. Where a member has something to give up, or something new to get, its heartbeats are answered
REBALANCE_IN_PROGRESS, and it joins again with what it still has.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from felice.broker.groups.consumer_member import (
    NEW,
    ClassicSide,
    ConsumerMember,
    Entry,
    MemberState,
    new_member_id,
    without_epochs,
)
from felice.broker.groups.consumer_timers import Wait
from felice.broker.groups.downgrade import downgrade, may_downgrade, packed_assignment
from felice.broker.groups.group import Claim
from felice.broker.groups.joining import INVITED_FROM, Applicant
from felice.broker.groups.subscriptions import CONSUMER
from felice.broker.groups.waiting import WaitingJoin, WaitingSync
from felice.broker.refusal import Refused
from felice.errors import ErrorCode, WireError
from felice.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from felice.wire.messages.join_group import JoinGroupResponse
from felice.wire.messages.sync_group import SyncGroupResponse

if TYPE_CHECKING:
    from felice.broker.groups.consumer import ConsumerGroup

__all__ = ["heartbeat", "join", "leave", "sync"]


def join(group: "ConsumerGroup", applicant: Applicant, waiting: WaitingJoin) -> None:
    """Let a member join, anew or again."""
    if str(group.cluster.settings["group.consumer.migration.policy"]).lower() == "disabled":
        raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    group.check_room(applicant.member_id)
    if not _supports(group, applicant.protocol_type, applicant.protocols):
        raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    member_id = applicant.member_id or new_member_id(group.cluster.chance)
    if not applicant.member_id and applicant.instance_id is None and waiting.version >= INVITED_FROM:
        waiting.refuse(ErrorCode.MEMBER_ID_REQUIRED, member_id)
        return
    entry = _entry(group, applicant, member_id)
    # Where it takes the place of the last member of the consumer protocol, only members of the classic one are left.
    before = entry.replaces
    downgrades = before is not None and before.classic is None and may_downgrade(group, {before.id}, joining=1)
    try:
        subscription = ConsumerProtocolSubscription.unpack(next(iter(applicant.protocols.values())))
    except WireError:
        raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR) from None
    member = group.step(
        entry, _updated(entry.member, applicant, subscription), _owned(group, subscription), aims=not downgrades
    )
    if downgrades:
        downgrade(group, (), rebalance=group.target.epoch < group.epoch)
    else:
        group.timers.cancel(member.id, Wait.JOIN)
        group.timers.keep_alive(member)
        group.timers.expect(member, Wait.SYNC)
    waiting.answer(
        JoinGroupResponse(
            member_id=member.id,
            generation_id=member.epoch,
            protocol_type=CONSUMER,
            protocol_name=next(iter(applicant.protocols)),
        )
    )


def sync(group: "ConsumerGroup", claim: Claim, protocol: tuple[str | None, str | None], waiting: WaitingSync) -> None:
    """Tell a member what it has."""
    member, classic = _present(group, claim)
    name, metadata = classic.protocols[0]
    for said, known in zip(protocol, (CONSUMER, name), strict=True):
        if said is not None and said != known:
            raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if member.epoch < group.target.epoch and member.state is not MemberState.UNREVOKED_PARTITIONS:
        group.timers.expect(member, Wait.JOIN)
        raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)
    group.timers.cancel(member.id, Wait.SYNC)
    group.timers.keep_alive(member)
    waiting.answer(
        SyncGroupResponse(
            protocol_type=protocol[0],
            protocol_name=protocol[1],
            assignment=packed_assignment(group, without_epochs(member.assigned), metadata),
        )
    )


def heartbeat(group: "ConsumerGroup", claim: Claim) -> None:
    """Keep a member's session alive; refuse with REBALANCE_IN_PROGRESS where it has to join again."""
    member, _ = _present(group, claim)
    group.timers.keep_alive(member)
    if (
        member.epoch < group.target.epoch
        or member.state is MemberState.UNREVOKED_PARTITIONS
        or (member.state is MemberState.UNRELEASED_PARTITIONS and not _waits_for_others(group, member))
    ):
        group.timers.expect(member, Wait.JOIN)
        raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)


def leave(group: "ConsumerGroup", leaving: Sequence[tuple[str, str | None]]) -> list[ErrorCode]:
    """Remove members, named by their IDs, or by their instance IDs alone; return how that went for each."""
    found: dict[str, ConsumerMember] = {}
    codes = []
    for member_id, instance_id in leaving:
        try:
            known = group.static_member(instance_id)
            member = group.present(known.id if known is not None and not member_id else member_id, instance_id)
        except Refused as refused:
            codes.append(refused.code)
        else:
            codes.append(ErrorCode.NONE)
            found[member.id] = member
    group.fence(tuple(found.values()))
    return codes


def _supports(group: "ConsumerGroup", protocol_type: str, protocols: Mapping[str, bytes]) -> bool:
    """Tell whether all members of the classic protocol have one of these in common."""
    others = [{name for name, _ in one.classic.protocols} for one in group.members.values() if one.classic is not None]
    return protocol_type == CONSUMER and any(all(name in known for known in others) for name in protocols)


def _entry(group: "ConsumerGroup", applicant: Applicant, member_id: str) -> Entry:
    """Return the member as it was so far."""
    instance_id = applicant.instance_id
    if instance_id is None:
        return Entry(group.members.get(member_id) or ConsumerMember(member_id))
    if applicant.member_id:
        return Entry(group.present(member_id, instance_id))
    before = group.static_member(instance_id)
    if before is None:
        return Entry(ConsumerMember(member_id, instance_id=instance_id))
    return Entry(before._replace(id=member_id, epoch=NEW, previous_epoch=NEW), replaces=before)


def _updated(
    member: ConsumerMember, applicant: Applicant, subscription: ConsumerProtocolSubscription
) -> ConsumerMember:
    """Return the member with what it says anew."""
    return member._replace(
        rack_id=subscription.rack_id or member.rack_id,
        rebalance_timeout_ms=applicant.rebalance_timeout,
        client_id=applicant.client_id,
        client_host=applicant.client_host,
        topics=frozenset(subscription.topics),
        regex="",
        classic=ClassicSide(applicant.session_timeout, tuple(applicant.protocols.items())),
    )


def _owned(group: "ConsumerGroup", subscription: ConsumerProtocolSubscription) -> dict[bytes, list[int]]:
    """Return the partitions that a member says it has."""
    topics = group.cluster.topics
    return {
        topics[entry.topic].id: entry.partitions for entry in subscription.owned_partitions if entry.topic in topics
    }


def _present(group: "ConsumerGroup", claim: Claim) -> tuple[ConsumerMember, ClassicSide]:
    """Return a member of the classic protocol in its present epoch, or refuse."""
    member = group.present(claim.member_id, claim.instance_id)
    if member.classic is None:
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID)
    if claim.epoch != member.epoch:
        raise Refused(ErrorCode.ILLEGAL_GENERATION)
    return member, member.classic


def _waits_for_others(group: "ConsumerGroup", member: ConsumerMember) -> bool:
    """Tell whether somebody else still has what the member shall have."""
    return any(
        group.is_owned(topic, index)
        for topic, indexes in group.target.of(member.id).items()
        for index in indexes - member.assigned.get(topic, {}).keys()
    )
