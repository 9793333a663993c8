"""Members of share groups (KIP-932) over sockets: confluent-kafka's, and requests one by one."""

from collections.abc import Iterator

import pytest
from confluent_kafka import ShareConsumer
from confluent_kafka.admin import AdminClient

from asking import Asker
from felice.broker import Broker
from felice.errors import ErrorCode
from felice.wire.messages.share_group_describe import ShareGroupDescribeRequest
from felice.wire.messages.share_group_heartbeat import ShareGroupHeartbeatRequest
from felice.wire.messages.update_features import UpdateFeaturesRequest

TOPIC, GROUP = "tasks", "workers"
PARTITIONS = 2
QUICK = {
    "group.share.min.heartbeat.interval.ms": 50,
    "group.share.heartbeat.interval.ms": 100,
    "group.share.assignment.interval.ms": 0,
}


class Crew:
    """The members of a group, by name."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.members: dict[str, ShareConsumer] = {}

    def __enter__(self) -> "Crew":
        """Return it."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Have all leave."""
        for name in list(self.members):
            self.leave(name)

    def join(self, *names: str) -> None:
        """Have members subscribe."""
        for name in names:
            settings = {"bootstrap.servers": self.broker.bootstrap_servers, "group.id": GROUP, "client.id": name}
            self.members[name] = ShareConsumer(settings)
            self.members[name].subscribe([TOPIC])

    def leave(self, name: str) -> None:
        """Have a member leave."""
        self.members.pop(name).close()

    def has(self) -> dict[str, int]:
        """How many partitions each member has, by its client's name."""
        return {member.client_id: len(member.partitions) for member in self.broker.groups[GROUP].members}


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker whose share groups' members report often."""
    with Broker({TOPIC: PARTITIONS}, nodes=3, configs=QUICK) as made:
        yield made


def test_members_come_and_go(broker: Broker) -> None:
    """Of three members at two partitions each has one, and as many have one partition as the other."""
    with Crew(broker) as crew:
        crew.join("a")
        broker.wait_until(lambda: crew.has() == {"a": 2})
        crew.join("b")
        broker.wait_until(lambda: crew.has() == {"a": 1, "b": 1})
        crew.join("c")
        broker.wait_until(lambda: sorted(crew.has().values()) == [1, 1, 2])
        crew.leave("a")
        broker.wait_until(lambda: crew.has() == {"b": 1, "c": 1})
        crew.leave("b")
        broker.wait_until(lambda: crew.has() == {"c": 2})
    group = broker.groups[GROUP]
    assert (group.kind, group.state, group.members) == ("share", "Empty", ())


def test_a_group_goes_on_when_its_coordinator_stops(broker: Broker) -> None:
    """Another node takes over, with what was written; and who comes then is assigned partitions too."""
    with Crew(broker) as crew:
        crew.join("a")
        broker.wait_until(lambda: crew.has() == {"a": 2})
        epoch = broker.groups[GROUP].epoch
        broker.stop(broker.coordinator(group=GROUP))
        assert broker.groups[GROUP].epoch == epoch
        crew.join("b")
        broker.wait_until(lambda: crew.has() == {"a": 1, "b": 1})


def test_a_group_is_deleted_when_its_members_are_gone(broker: Broker) -> None:
    """Not before; and who comes then makes a new one."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    with Crew(broker) as crew:
        crew.join("a")
        broker.wait_until(lambda: crew.has() == {"a": 2})
        with pytest.raises(Exception, match="NON_EMPTY_GROUP"):
            admin.delete_consumer_groups([GROUP])[GROUP].result()
        crew.leave("a")
        admin.delete_consumer_groups([GROUP])[GROUP].result()
        assert GROUP not in broker.groups
        crew.join("b")
        broker.wait_until(lambda: crew.has() == {"b": 2})
        assert broker.groups[GROUP].epoch == 3


def test_there_are_no_members_where_share_groups_are_off() -> None:
    """Members are refused while the cluster has not agreed on `share.version`, and go on when it has again."""
    beat = ShareGroupHeartbeatRequest(group_id=GROUP, member_id="m", subscribed_topic_names=[TOPIC])
    describe = ShareGroupDescribeRequest(group_ids=[GROUP])
    with Broker({TOPIC: 1}) as broker, Asker(broker.bootstrap_servers, "off") as asker:

        def agree(level: int) -> None:
            update = UpdateFeaturesRequest.FeatureUpdateKey(
                feature="share.version", max_version_level=level, upgrade_type=2
            )
            assert asker.ask(UpdateFeaturesRequest(feature_updates=[update]), 1).error_code == 0

        assert asker.ask(beat, 1).error_code == ErrorCode.NONE
        agree(0)
        assert asker.ask(beat, 1).error_code == ErrorCode.UNSUPPORTED_VERSION
        assert asker.ask(describe, 1).groups[0].error_code == ErrorCode.UNSUPPORTED_VERSION
        agree(1)
        assert asker.ask(beat, 1).error_code == ErrorCode.NONE
        assert asker.ask(describe, 1).groups[0].group_state == "Stable"


def test_another_node_is_not_the_coordinator(broker: Broker) -> None:
    """Heartbeats are for the group's coordinator alone."""
    beat = ShareGroupHeartbeatRequest(group_id=GROUP, member_id="m", subscribed_topic_names=[TOPIC])
    addresses = broker.bootstrap_servers.split(",")
    codes = []
    for address in addresses:
        with Asker(address, "elsewhere") as asker:
            codes.append(asker.ask(beat, 1).error_code)
    assert sorted(codes) == [ErrorCode.NONE, ErrorCode.NOT_COORDINATOR, ErrorCode.NOT_COORDINATOR]
