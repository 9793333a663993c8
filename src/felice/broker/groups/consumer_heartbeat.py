"""ConsumerGroupHeartbeat: how members of the consumer protocol join, report, and leave (KIP-848)."""

from typing import TYPE_CHECKING

from felice.broker.groups.consumer import ConsumerGroup
from felice.broker.groups.consumer_member import AWAY, LEAVING, NEW, ConsumerMember, Entry, new_member_id
from felice.broker.groups.consumer_reconciliation import Reported
from felice.broker.groups.upgrade import upgraded
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["check", "heartbeat"]

OWN_ID_FROM = 1
"""The version from which on members make up their IDs (KIP-1082)."""

NOT_SAID = -1


def check(request: ConsumerGroupHeartbeatRequest, version: int, assignors: tuple[str, ...]) -> None:
    """Refuse what is wrong whatever the group is, in Kafka's order."""
    first = request.member_epoch == NEW
    if not request.member_id and (version >= OWN_ID_FROM or not (first or request.member_epoch < LEAVING)):
        _refuse("MemberId can't be empty.")
    if not request.group_id:
        _refuse("GroupId can't be empty.")
    if request.instance_id == "":
        _refuse("InstanceId can't be empty.")
    if request.rack_id == "":
        _refuse("RackId can't be empty.")
    if first:
        if request.rebalance_timeout_ms == NOT_SAID:
            _refuse("RebalanceTimeoutMs must be provided in first request.")
        if request.topic_partitions is None or request.topic_partitions:
            _refuse("TopicPartitions must be empty when (re-)joining.")
        if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
            _refuse("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
    elif request.member_epoch == AWAY:
        if request.instance_id is None:
            _refuse("InstanceId can't be null.")
    elif request.member_epoch < AWAY:
        _refuse("MemberEpoch is invalid.")
    if request.server_assignor is not None and request.server_assignor not in assignors:
        raise Refused(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {request.server_assignor} is not supported. Supported assignors: {', '.join(assignors)}.",
        )


def heartbeat(
    groups: "Groups", request: ConsumerGroupHeartbeatRequest, client_id: str, client_host: str
) -> ConsumerGroupHeartbeatResponse:
    """Answer a request that is right in itself."""
    if request.member_epoch in (LEAVING, AWAY):
        return _leave(groups, request)
    group = _group(groups, request.group_id, request.member_epoch == NEW)
    group.check_room(request.member_id)
    reported = _reported(request)
    entry = _entry(group, request, reported)
    member = group.step(entry, _updated(entry.member, request, client_id, client_host), reported)
    group.timers.keep_alive(member)
    shown = request.member_epoch == NEW or _is_full(request) or member.assigned != entry.member.assigned
    return ConsumerGroupHeartbeatResponse(
        member_id=member.id,
        member_epoch=member.epoch,
        heartbeat_interval_ms=group.setting("heartbeat.interval.ms"),
        assignment=_assignment(member) if shown else None,
    )


def _refuse(message: str) -> None:
    """Refuse with INVALID_REQUEST."""
    raise Refused(ErrorCode.INVALID_REQUEST, message)


def _group(groups: "Groups", group_id: str, create: bool) -> ConsumerGroup:
    """Return the group; who joins creates it, or makes it a consumer group if it can be one."""
    found = groups.find(group_id)
    if isinstance(found, ConsumerGroup):
        return found
    if found is None:
        if not create:
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Consumer group {group_id} not found.")
        return ConsumerGroup(group_id, groups)
    made = upgraded(found, groups) if create else None
    if made is None:
        raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a consumer group.")
    return made


def _entry(group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest, reported: Reported | None) -> Entry:
    """Return the member as it was so far, or refuse it."""
    member_id, joins = request.member_id, request.member_epoch == NEW
    if joins:
        member_id = member_id or new_member_id(group.cluster.chance)
        if request.instance_id is None:
            return Entry(group.members.get(member_id) or ConsumerMember(member_id))
        before = group.static_member(request.instance_id)
        if before is None:
            return Entry(group.members.get(member_id) or ConsumerMember(member_id, instance_id=request.instance_id))
        if before.epoch != AWAY and before.classic is None:
            raise Refused(
                ErrorCode.UNRELEASED_INSTANCE_ID,
                f"Static member {member_id} with instance id {request.instance_id} cannot join the group because the "
                f"instance id is owned by member {before.id}.",
            )
        return Entry(before._replace(id=member_id, epoch=NEW, previous_epoch=NEW), replaces=before)
    member = group.present(member_id, request.instance_id)
    _check_epoch(member, request.member_epoch, reported)
    return Entry(member)


def _check_epoch(member: ConsumerMember, epoch: int, reported: Reported | None) -> None:
    """Refuse another epoch than the member's.

    The one before is let in if the member has nothing that it should not have: the last answer was lost.
    """
    if epoch == member.epoch:
        return
    owns_no_more = reported is not None and all(
        index in member.assigned.get(topic, {}) for topic, indexes in reported.items() for index in indexes
    )
    if epoch > member.epoch or epoch != member.previous_epoch or not owns_no_more:
        raise Refused(
            ErrorCode.FENCED_MEMBER_EPOCH,
            f"The consumer group member has epoch {epoch}, and the group coordinator has {member.epoch} for it.",
        )


def _updated(
    member: ConsumerMember, request: ConsumerGroupHeartbeatRequest, client_id: str, client_host: str
) -> ConsumerMember:
    """Return the member with what the request says anew."""
    topics, timeout = request.subscribed_topic_names, request.rebalance_timeout_ms
    return member._replace(
        instance_id=member.instance_id if request.instance_id is None else request.instance_id,
        rack_id=member.rack_id if request.rack_id is None else request.rack_id,
        rebalance_timeout_ms=member.rebalance_timeout_ms if timeout == NOT_SAID else timeout,
        client_id=client_id,
        client_host=client_host,
        topics=member.topics if topics is None else frozenset(topics),
        regex=member.regex if request.subscribed_topic_regex is None else request.subscribed_topic_regex,
        assignor=member.assignor if request.server_assignor is None else request.server_assignor,
        classic=None,
    )


def _leave(groups: "Groups", request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse:
    """Let a member leave; a static one may say that it will come back."""
    group = groups.get(request.group_id)
    if not isinstance(group, ConsumerGroup):
        raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {request.group_id} is not a consumer group.")
    member = group.present(request.member_id, request.instance_id)
    if request.member_epoch == AWAY:
        group.send_away(member)
    else:
        group.fence([member])
    return ConsumerGroupHeartbeatResponse(member_id=request.member_id, member_epoch=request.member_epoch)


def _reported(request: ConsumerGroupHeartbeatRequest) -> Reported | None:
    """Return the partitions that the member says it has."""
    if request.topic_partitions is None:
        return None
    found: dict[bytes, list[int]] = {}
    for entry in request.topic_partitions:
        found.setdefault(entry.topic_id, []).extend(entry.partitions)
    return found


def _is_full(request: ConsumerGroupHeartbeatRequest) -> bool:
    """Tell whether a request says everything: so do members that are not sure what the broker knows of them."""
    subscribes = request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None
    return request.rebalance_timeout_ms != NOT_SAID and subscribes and request.topic_partitions is not None


def _assignment(member: ConsumerMember) -> ConsumerGroupHeartbeatResponse.Assignment:
    """Return what a member has."""
    return ConsumerGroupHeartbeatResponse.Assignment(
        topic_partitions=[
            ConsumerGroupHeartbeatResponse.Assignment.TopicPartitions(topic_id=topic, partitions=sorted(indexes))
            for topic, indexes in member.assigned.items()
        ]
    )
