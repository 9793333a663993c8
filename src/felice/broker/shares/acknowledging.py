"""What members of share groups say of the records that they got, in ShareFetch and in ShareAcknowledge (KIP-932)."""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call
from felice.broker.features import SHARE_GROUPS
from felice.broker.groups.share_member import LONGEST_MEMBER_ID
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.shares.handout import RENEW, Acknowledged
from felice.broker.shares.sessions import Place
from felice.broker.shares.share_partition import SharePartition
from felice.errors import ErrorCode

__all__ = ["MemberRequest", "Verdicts", "acknowledge", "check_member", "known_partition"]

RENEWS_IN: Final = 2
"""The version in which locks can be renewed (KIP-1222)."""

Verdicts = dict[Place, Refused | None]
"""What was said of each partition is done, or refused."""


class Batch(Protocol):
    """Offsets, and what became of them."""

    first_offset: int
    last_offset: int
    acknowledge_types: list[int]


class NamedPartition(Protocol):
    """A partition that a request names."""

    partition_index: int

    @property
    def acknowledgement_batches(self) -> Sequence[Batch]:
        """What is said of its records."""
        ...


class NamedTopic(Protocol):
    """A topic that a request names."""

    topic_id: bytes

    @property
    def partitions(self) -> Sequence[NamedPartition]:
        """Those of its partitions that it names."""
        ...


class MemberRequest(Protocol):
    """What both requests have in common."""

    group_id: str | None
    member_id: str | None
    is_renew_ack: bool

    @property
    def topics(self) -> Sequence[NamedTopic]:
        """What it is about."""
        ...


def check_member(call: Call, request: MemberRequest) -> tuple[str, str]:
    """Return the group's and the member's IDs, or refuse what is none, or not for this client."""
    code = call.error()
    if code:
        raise Refused(code)
    call.cluster.features.check(SHARE_GROUPS)
    group_id, member_id = request.group_id, request.member_id
    if group_id is None:
        raise Refused(ErrorCode.INVALID_REQUEST)
    call.authorize(Operation.READ, Resource.GROUP, group_id)
    if not member_id or len(member_id) > LONGEST_MEMBER_ID:
        raise Refused(ErrorCode.INVALID_REQUEST)
    return group_id, member_id


def known_partition(call: Call, name: str, index: int) -> Partition:
    """Return a partition that the client may read, or refuse."""
    call.authorize(Operation.READ, Resource.TOPIC, name)
    return call.cluster.partition(name, index)


def acknowledge(call: Call, request: MemberRequest, group_id: str, member_id: str) -> Verdicts:
    """Do what a member says, partition by partition; where it says nothing of any, only what is wrong is answered."""
    verdicts: Verdicts = {}
    silent = True
    for topic in request.topics:
        for asked in topic.partitions:
            place, said = (topic.topic_id, asked.partition_index), asked.acknowledgement_batches
            try:
                key = _checked(call, request, group_id, place, said)
                if said:
                    silent = False
                    batches = [Acknowledged(one.first_offset, one.last_offset, one.acknowledge_types) for one in said]
                    call.cluster.share_leaders.acknowledge(call.node, key, member_id, batches)
                verdicts[place] = None
            except Refused as refused:
                verdicts[place] = refused
    return {place: refused for place, refused in verdicts.items() if refused is not None or not silent}


def _checked(call: Call, request: MemberRequest, group_id: str, place: Place, said: Sequence[Batch]) -> SharePartition:
    """Return what a member speaks of, or refuse."""
    topic = call.cluster.topic_by_id(place[0])
    if call.faults:
        call.check_faults(topic.name, place[1])
    _check(said, can_renew=call.version >= RENEWS_IN, renews=request.is_renew_ack)
    known_partition(call, topic.name, place[1])
    return SharePartition(group_id, *place)


def _check(said: Iterable[Batch], *, can_renew: bool, renews: bool) -> None:
    """Refuse with INVALID_REQUEST what makes no sense whatever is in flight."""
    behind = -1
    for batch in said:
        types = batch.acknowledge_types
        if (
            not behind <= batch.first_offset <= batch.last_offset
            or len(types) not in (1, batch.last_offset - batch.first_offset + 1)
            or not all(0 <= kind <= (RENEW if can_renew else RENEW - 1) for kind in types)
            or (RENEW in types and not renews)
        ):
            raise Refused(ErrorCode.INVALID_REQUEST)
        behind = batch.last_offset
