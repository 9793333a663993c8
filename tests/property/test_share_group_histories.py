"""Share groups through generated histories: what the log tells is what is, and partitions are shared evenly.

`FELICE_FUZZ_ROUNDS` multiplies the histories.
"""

import os
import random
from collections import Counter

import pytest

from felice.broker.cluster import Cluster
from felice.broker.coordination import Kind
from felice.broker.groups.reading import read_groups
from felice.broker.groups.share import ShareGroup
from felice.broker.groups.share_heartbeat import heartbeat
from felice.broker.refusal import Refused
from felice.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from virtual_cluster import virtual_cluster

GROUP = "workers"
ROUNDS = int(os.environ.get("FELICE_FUZZ_ROUNDS", "1"))
STEPS = 120


class History:
    """A group of members who join, report, change what they read, and leave, as topics come, grow and go."""

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)
        self.cluster: Cluster = virtual_cluster(
            2, offsets_topic_num_partitions=1, group_share_assignment_interval_ms=self.chance.choice([0, 1000])
        )
        self.epochs: dict[str, int] = {}

    @property
    def group(self) -> ShareGroup | None:
        """The group, or None."""
        found = self.cluster.groups.find(GROUP)
        assert found is None or isinstance(found, ShareGroup)
        return found

    def step(self) -> None:
        """Let something happen."""
        deeds = [self.join, self.beat, self.beat, self.beat, self.leave, self.wait, self.change_topics, self.move]
        self.chance.choice(deeds)()

    def join(self) -> None:
        """Have somebody join, perhaps again."""
        name = f"m{self.chance.randrange(8)}"
        names = self.chance.choice([["t0"], ["t0", "t1"], ["t1", "t2", "nowhere"]])
        self._send(name, 0, names)

    def beat(self) -> None:
        """Have somebody report, perhaps with another wish."""
        if self.epochs:
            name = self.chance.choice(list(self.epochs))
            self._send(name, self.epochs[name], self.chance.choice([None, None, ["t1"], []]))

    def leave(self) -> None:
        """Have somebody leave, the last one seldom; an empty group may be deleted."""
        if self.epochs and self.chance.random() < 0.5:
            name = self.chance.choice(list(self.epochs))
            self._send(name, -1, None)
            self.epochs.pop(name, None)
        group = self.group
        if group is not None and group.is_empty and self.chance.random() < 0.5:
            self.cluster.groups.delete(group)

    def wait(self) -> None:
        """Let time pass: sessions may end."""
        self.cluster.clock.advance(self.chance.choice([0.5, 5.0, 30.0]))

    def change_topics(self) -> None:
        """Have a topic come, grow, or go."""
        name = f"t{self.chance.randrange(3)}"
        topic = self.cluster.topics.get(name)
        if topic is None:
            self.cluster.create_topic(self.cluster.plan_topic(name, self.chance.randrange(1, 6)))
        elif self.chance.random() < 0.5:
            self.cluster.add_partitions(topic, [[1]])
        else:
            self.cluster.delete_topic(topic)

    def move(self) -> None:
        """Have the other node coordinate."""
        home = self.cluster.coordination.partition(Kind.GROUP, GROUP)
        self.cluster.move_leader(home, self.chance.choice(home.replicas))

    def _send(self, name: str, epoch: int, names: list[str] | None) -> None:
        """Send a heartbeat; a stranger is refused."""
        request = ShareGroupHeartbeatRequest(
            group_id=GROUP, member_id=name, member_epoch=epoch, subscribed_topic_names=names
        )
        try:
            self.epochs[name] = heartbeat(self.cluster.groups, request, name, "/here").member_epoch
        except Refused:
            self.epochs.pop(name, None)


def told(group: ShareGroup | None) -> object:
    """All that a group's records tell."""
    if group is None:
        return None
    target, partitions = group.target, group.partitions
    known = [{topic: (some.name, some.indexes) for topic, some in part.items()}
             for part in (partitions.initializing, partitions.initialized)]  # fmt: skip
    return (group.epoch, target.epoch, target.time, dict(target.assignments), dict(group.members), known,
            set(partitions.deleting), group.state)  # fmt: skip


@pytest.mark.parametrize("seed", range(20 * ROUNDS))
def test_the_log_tells_what_is(seed: int) -> None:
    """After every step the group that is read from the log is the one that there is."""
    history = History(f"told {seed}")
    home = history.cluster.coordination.partition(Kind.GROUP, GROUP)
    seen = set()
    for _ in range(STEPS):
        history.step()
        found = next(read_groups(home.log, history.cluster.groups), None)
        assert found is None or isinstance(found, ShareGroup)
        assert told(found) == told(history.group)
        seen.add(None if found is None else found.state)
    assert "Stable" in seen


@pytest.mark.parametrize("seed", range(20 * ROUNDS))
def test_all_that_is_read_is_shared_evenly(seed: int) -> None:
    """When it has settled: each partition has as many members as any other, give or take one, and nobody idles."""
    history = History(f"even {seed}")
    for _ in range(STEPS):
        history.step()
    history.cluster.topics.get("t0") or history.cluster.create_topic(history.cluster.plan_topic("t0", 4))
    names = list(history.epochs) or ["m0"]
    for name in names:
        history._send(name, 0, ["t0"])
    for _ in range(3):
        history.cluster.clock.advance(1.0)
        for name in names:
            history._send(name, history.epochs[name], None)
    group = history.group
    assert group is not None
    size = len(history.cluster.topics["t0"].partitions)
    loads = [sum(map(len, member.assigned.values())) for member in group.members.values()]
    owners = Counter(index for member in group.members.values() for _, index in member.partitions())
    assert sorted(owners) == list(range(size))
    assert min(loads) >= 1
    assert max(loads) - min(loads) <= 1
    assert max(owners.values()) - min(owners.values()) <= 1
