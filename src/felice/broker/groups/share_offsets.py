"""What is done to where a share group stands, from outside: it goes on somewhere else, or forgets topics (KIP-932)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from felice.broker.groups.share import ShareGroup
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["Forgotten", "alter", "forget"]

Starts = Mapping[bytes, Mapping[int, int]]
"""Start offsets by topic ID and partition. As in Kafka a topic without any is noted, too."""


class Forgotten(NamedTuple):
    """What became of a topic that was to be forgotten: its ID and no error, or an error and no ID."""

    topic: str
    topic_id: bytes | None = None
    refused: Refused | None = None


def alter(groups: "Groups", group_id: str, starts: Starts) -> dict[tuple[bytes, int], Refused]:
    """Have a group go on at other offsets; return which partitions that failed for, and why.

    A group that is not there is created; refuse with GROUP_ID_NOT_FOUND one of another kind, and with NON_EMPTY_GROUP
    one that has members.
    """
    found = groups.find(group_id)
    group = ShareGroup(group_id, groups) if found is None else groups.share(group_id)
    _check_empty(group)
    if not starts:
        return {}
    group.begin_state(starts)
    wrong = {}
    for topic_id, offsets in starts.items():
        for index, offset in offsets.items():
            try:
                groups.cluster.share_state.initialize(group_id, topic_id, index, group.epoch, offset)
            except Refused as refused:
                wrong[topic_id, index] = refused
    begun = {topic_id: offsets for topic_id, offsets in starts.items() if offsets}
    if begun and not wrong:
        group.finish_state(begun)
    return wrong


def forget(groups: "Groups", group_id: str, topics: Iterable[str]) -> list[Forgotten]:
    """Have a group forget where it stands in topics, and return what became of each: first those that are forgotten.

    Refuse with GROUP_ID_NOT_FOUND and with NON_EMPTY_GROUP.
    """
    group = groups.share(group_id)
    _check_empty(group)
    known = group.partitions
    going: dict[bytes, Iterable[int]] = {}
    wrong = []
    for name in topics:
        topic = groups.cluster.topics.get(name)
        if topic is not None and topic.id in known.initialized:
            going[topic.id] = known.initialized[topic.id].indexes
        elif topic is not None and topic.id in known.deleting:  # It failed the last time.
            going[topic.id] = range(len(topic.partitions))
        else:
            wrong.append(Forgotten(name, refused=_nothing(topic is not None)))
    group.begin_deletion(going)  # As on Kafka that is written down also where it is nothing.
    gone = [_forget_topic(groups, group_id, topic_id, sorted(partitions)) for topic_id, partitions in going.items()]
    done = [one.topic_id for one in gone if one.topic_id is not None]
    if done:
        group.finish_deletion(done)
    return sorted(gone, key=lambda one: one.refused is not None) + wrong


def _check_empty(group: ShareGroup) -> None:
    """Refuse to touch what members are busy with."""
    if not group.is_empty:
        raise Refused(ErrorCode.NON_EMPTY_GROUP, "The group is not empty.", shown=True)


def _forget_topic(groups: "Groups", group_id: str, topic_id: bytes, partitions: Iterable[int]) -> Forgotten:
    """Have the share coordinators forget a topic's partitions."""
    name = groups.cluster.topics_by_id[topic_id].name
    refused = None
    for index in partitions:
        try:
            groups.cluster.share_state.delete(group_id, topic_id, index)
        except Refused as found:
            refused = refused or found
    return Forgotten(name, topic_id) if refused is None else Forgotten(name, refused=refused)


def _nothing(exists: bool) -> Refused:
    """Return why there is nothing to forget."""
    why = "the group has not read this topic" if exists else "there is no such topic"
    return Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, why)
