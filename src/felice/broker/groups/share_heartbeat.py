"""ShareGroupHeartbeat: how members of share groups join, report, and leave (KIP-932)."""

from typing import TYPE_CHECKING

from felice.broker.groups.share import ShareGroup
from felice.broker.groups.share_member import LEAVING, NEW, ShareMember
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["check", "heartbeat"]


def check(request: ShareGroupHeartbeatRequest) -> None:
    """Refuse what is wrong whatever the group is, in Kafka's order. The member's ID was looked at before."""
    if not request.group_id:
        _refuse("GroupId can't be empty.")
    if request.rack_id == "":
        _refuse("RackId can't be empty.")
    if request.member_epoch == NEW:
        if not request.subscribed_topic_names:
            _refuse("SubscribedTopicNames must be set in first request.")
    elif request.member_epoch < LEAVING:
        _refuse("MemberEpoch is invalid.")


def heartbeat(
    groups: "Groups", request: ShareGroupHeartbeatRequest, client_id: str, client_host: str
) -> ShareGroupHeartbeatResponse:
    """Answer a request that is right in itself."""
    if request.member_epoch == LEAVING:
        group = groups.share(request.group_id)
        group.fence(group.present(request.member_id))
        return ShareGroupHeartbeatResponse(member_id=request.member_id, member_epoch=LEAVING)
    joins = request.member_epoch == NEW
    group = _group(groups, request.group_id, joins)
    group.check_room(request.member_id)
    present = _present(group, request.member_id, request.member_epoch)
    topics = request.subscribed_topic_names
    updated = present._replace(
        rack_id=present.rack_id if request.rack_id is None else request.rack_id,
        client_id=client_id,
        client_host=client_host,
        topics=present.topics if topics is None else frozenset(topics),
    )
    reached = group.step(present, updated)
    shown = joins or topics is not None or reached.assigned != present.assigned
    return ShareGroupHeartbeatResponse(
        member_id=reached.id,
        member_epoch=reached.epoch,
        heartbeat_interval_ms=group.setting("heartbeat.interval.ms"),
        assignment=_assignment(reached) if shown else None,
    )


def _refuse(message: str) -> None:
    """Refuse with INVALID_REQUEST."""
    raise Refused(ErrorCode.INVALID_REQUEST, message)


def _group(groups: "Groups", group_id: str, create: bool) -> ShareGroup:
    """Return the group; who joins creates it. No group of another kind becomes one."""
    if groups.find(group_id) is not None:
        return groups.share(group_id)
    if not create:
        raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Share group {group_id} not found.")
    return ShareGroup(group_id, groups)


def _present(group: ShareGroup, member_id: str, epoch: int) -> ShareMember:
    """Return the member as it was so far; refuse another epoch than its own, or the one before: its answer was lost."""
    if epoch == NEW:
        return group.members.get(member_id) or ShareMember(member_id)
    member = group.present(member_id)
    if epoch > member.epoch or epoch not in (member.epoch, member.previous_epoch):
        raise Refused(
            ErrorCode.FENCED_MEMBER_EPOCH,
            f"The share group member has epoch {epoch}, and the group coordinator has {member.epoch} for it.",
        )
    return member


def _assignment(member: ShareMember) -> ShareGroupHeartbeatResponse.Assignment:
    """Return what a member has."""
    return ShareGroupHeartbeatResponse.Assignment(
        topic_partitions=[
            ShareGroupHeartbeatResponse.Assignment.TopicPartitions(topic_id=topic, partitions=sorted(indexes))
            for topic, indexes in member.assigned.items()
        ]
    )
