"""A heartbeat that changes nothing looks at its own member; what others change is noticed all the same."""

from typing import Any

import pytest

from felice.broker.cluster import Cluster
from felice.broker.groups.consumer import ConsumerGroup
from felice.broker.groups.consumer_heartbeat import heartbeat
from felice.broker.groups.consumer_member import ConsumerMember
from felice.broker.groups.topic_look import TopicLook
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse
from virtual_cluster import virtual_cluster

GROUP, TOPIC = "readers", "letters"
MANY = 40


class Crowd:
    """A stable group of many members, each of which has one partition."""

    def __init__(self) -> None:
        self.cluster: Cluster = virtual_cluster(3, group_consumer_assignment_interval_ms=0)
        for node, rack in zip(self.cluster.nodes.values(), ("north", "south", "west"), strict=True):
            node.rack = rack
        self.topic = self.cluster.create_topic(self.cluster.plan_topic(TOPIC, MANY, 1))
        self.epochs = {f"m{number}": 0 for number in range(MANY)}
        for member_id in self.epochs:
            self.beat(member_id, rebalance_timeout_ms=30_000, topic_partitions=[], subscribed_topic_names=[TOPIC])
        self.settle()

    @property
    def group(self) -> ConsumerGroup:
        """The group."""
        found = self.cluster.groups.get(GROUP)
        assert isinstance(found, ConsumerGroup)
        return found

    def beat(self, member_id: str, **fields: Any) -> ConsumerGroupHeartbeatResponse:
        """Send a heartbeat in the member's epoch."""
        request = ConsumerGroupHeartbeatRequest(
            group_id=GROUP, member_id=member_id, member_epoch=self.epochs[member_id], **fields
        )
        answer = heartbeat(self.cluster.groups, request, "client", "/here")
        self.epochs[member_id] = answer.member_epoch
        return answer

    def settle(self) -> None:
        """Let all members reach the group's epoch; they give up what they shall not keep."""
        while self.group.state != "Stable":
            for member_id in self.epochs:
                kept = self.group.members[member_id].assigned
                self.beat(
                    member_id,
                    topic_partitions=[
                        ConsumerGroupHeartbeatRequest.TopicPartitions(topic_id=topic, partitions=list(indexes))
                        for topic, indexes in kept.items()
                    ],
                )


@pytest.fixture
def crowd() -> Crowd:
    """A group of many."""
    return Crowd()


def test_a_steady_heartbeat_looks_at_no_other_member_and_at_no_partition(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So what it costs does not depend on how large the group is."""
    looked_at: list[str] = []
    topics_of, at = ConsumerGroup.topics_of, TopicLook._at

    def noted(group: ConsumerGroup, member: ConsumerMember) -> frozenset[str]:
        looked_at.append(member.id)
        return topics_of(group, member)

    def looked(look: TopicLook, names: Any) -> tuple[object, ...]:
        looked_at.append("topics")
        return at(look, names)

    monkeypatch.setattr(ConsumerGroup, "topics_of", noted)
    monkeypatch.setattr(TopicLook, "_at", looked)
    epoch = crowd.group.epoch
    for _ in range(2):
        crowd.beat("m7")
    assert set(looked_at) == {"m7"}
    crowd.beat("m8", subscribed_topic_names=[TOPIC, "others"])
    assert {"m7", "m8", "m39"} <= set(looked_at)
    assert crowd.group.epoch == epoch + 1


@pytest.mark.parametrize("change", ["partitions", "rack", "deleted", "created anew", "reader left"])
def test_what_happens_to_topics_is_noticed(crowd: Crowd, change: str) -> None:
    """With the next heartbeat of any member."""
    epoch, cluster, partition = crowd.group.epoch, crowd.cluster, crowd.topic.partitions[0]
    if change == "partitions":
        cluster.add_partitions(crowd.topic, [[1]])
    elif change == "rack":
        cluster.reassign(partition, [next(node for node in cluster.nodes if node != partition.leader)])
    elif change in ("deleted", "created anew"):
        cluster.delete_topic(crowd.topic)
        if change == "created anew":
            cluster.create_topic(cluster.plan_topic(TOPIC, MANY, 1))
    else:
        crowd.group.fence([crowd.group.members["m3"]])
    crowd.beat("m7")
    assert crowd.group.epoch == epoch + 1
    crowd.beat("m8")
    assert crowd.group.epoch == epoch + 1


def test_a_replica_that_moves_within_its_rack_changes_nothing(crowd: Crowd) -> None:
    """Members are not assigned anew for it."""
    epoch = crowd.group.epoch
    for node in crowd.cluster.nodes.values():
        node.rack = "north"
    crowd.cluster.add_partitions(crowd.topic, [[1]])
    crowd.beat("m7")
    assert crowd.group.epoch == epoch + 1
    crowd.cluster.reassign(crowd.topic.partitions[-1], [2])
    crowd.beat("m8")
    assert crowd.group.epoch == epoch + 1
