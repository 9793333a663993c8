"""Where share groups stand, altered and forgotten, while share coordinators are there and while they are not."""

import pytest

from felice.broker.coordination import Kind
from felice.broker.groups.share import ShareGroup
from felice.broker.groups.share_offsets import Forgotten, alter, forget
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from virtual_cluster import virtual_cluster

GROUP, TOPIC, OTHER = "pickers", "letters", "parcels"


class Story:
    """Two nodes: the first coordinates groups, the second is the share coordinator."""

    def __init__(self) -> None:
        self.cluster = virtual_cluster(
            2,
            offsets_topic_num_partitions=1,
            offsets_topic_replication_factor=1,
            share_coordinator_state_topic_num_partitions=1,
            share_coordinator_state_topic_replication_factor=1,
        )
        for kind, node in ((Kind.GROUP, 1), (Kind.SHARE, 2)):
            self.cluster.move_leader(self.cluster.coordination.partitions(kind)[0], node)
        self.groups = self.cluster.groups
        self.ids = {name: self.cluster.create_topic(self.cluster.plan_topic(name, 2)).id for name in (TOPIC, OTHER)}

    @property
    def group(self) -> ShareGroup:
        """The group."""
        return self.groups.share(GROUP)

    def alter(self, topic: str = TOPIC, **starts: int) -> dict[tuple[bytes, int], ErrorCode]:
        """Alter partitions, which have a letter before their number; return what was refused."""
        offsets = {int(name[1:]): offset for name, offset in starts.items()}
        wrong = alter(self.groups, GROUP, {self.ids[topic]: offsets})
        return {where: refused.code for where, refused in wrong.items()}

    def forget(self, *topics: str) -> list[tuple[str, ErrorCode | None]]:
        """Have topics forgotten; return what became of them."""
        return [(one.topic, code(one)) for one in forget(self.groups, GROUP, topics)]

    def start(self, partition: int, topic: str = TOPIC) -> int:
        """Where the group stands."""
        return self.cluster.share_state.summary(GROUP, self.ids[topic], partition, -1).start_offset

    def share_coordinator(self, *, up: bool) -> None:
        """Stop or start the share coordinator."""
        node = self.cluster.nodes[2]
        if up:
            self.cluster.node_started(node)
        else:
            self.cluster.node_stopped(node)


def code(one: Forgotten) -> ErrorCode | None:
    """Return with which code a topic was refused."""
    return None if one.refused is None else one.refused.code


@pytest.fixture
def story() -> Story:
    """A cluster."""
    return Story()


def test_a_group_may_begin_with_altered_offsets(story: Story) -> None:
    """It has no members, and its epoch is the first."""
    assert story.alter(p0=5, p1=7) == {}
    assert (story.start(0), story.start(1)) == (5, 7)
    assert (story.group.is_empty, story.group.initialized) == (True, {story.ids[TOPIC]: {0, 1}})


def test_what_the_share_coordinator_does_not_take_is_told_and_can_be_tried_again(story: Story) -> None:
    """The group knows that it was begun, and not that it was done."""
    story.share_coordinator(up=False)
    assert story.alter(p0=5) == {(story.ids[TOPIC], 0): ErrorCode.COORDINATOR_NOT_AVAILABLE}
    assert story.group.initialized == {}
    assert story.ids[TOPIC] in story.group.partitions.initializing
    story.share_coordinator(up=True)
    assert story.alter(p0=6) == {}
    assert (story.start(0), story.group.initialized) == (6, {story.ids[TOPIC]: {0}})


def test_topics_are_forgotten_one_by_one(story: Story) -> None:
    """What is not known is refused, and told last."""
    story.alter(p0=5)
    story.alter(OTHER, p1=1)
    assert story.forget("nothing", OTHER, TOPIC) == [
        (OTHER, None),
        (TOPIC, None),
        ("nothing", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]
    assert (story.start(0), story.start(1, OTHER), story.group.initialized) == (-1, -1, {})
    assert story.forget(TOPIC) == [(TOPIC, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]


def test_what_the_share_coordinator_does_not_forget_can_be_forgotten_later(story: Story) -> None:
    """The group stands there no more; the state is deleted when there is somebody who does."""
    story.alter(p0=5)
    story.share_coordinator(up=False)
    assert story.forget(TOPIC) == [(TOPIC, ErrorCode.COORDINATOR_NOT_AVAILABLE)]
    assert (story.group.initialized, story.group.partitions.deleting) == ({}, {story.ids[TOPIC]})
    story.share_coordinator(up=True)
    assert story.start(0) == 5
    assert story.forget(TOPIC) == [(TOPIC, None)]
    assert (story.start(0), story.group.partitions.deleting) == (-1, set())


def test_nobody_else_may_be_a_share_group(story: Story) -> None:
    """A group of another kind is as good as none."""
    group = story.groups.for_join("readers", True)
    assert group.kind == "classic"
    for act in (lambda: alter(story.groups, "readers", {}), lambda: forget(story.groups, "readers", [TOPIC])):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code is ErrorCode.GROUP_ID_NOT_FOUND
