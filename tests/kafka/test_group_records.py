"""What the embedded broker writes of groups into `__consumer_offsets` is what real Kafka writes."""

import re
from collections.abc import Mapping

from cluster import KafkaCluster
from questions.asked import ALIKE, eventually
from questions.consumer_members import Band
from questions.members import Room
from questions.migrations import a_classic_group
from questions.share_members import Crew

from asking import Asker, new_run
from felice import Consumer
from felice.broker import Broker
from felice.wire.messages import offsets_topic
from felice.wire.messages.delete_groups import DeleteGroupsRequest
from felice.wire.messages.delete_topics import DeleteTopicsRequest
from felice.wire.schema import unpack_key

PATTERN = "nothing.*"


def records(bootstrap_servers: str, group: str, names: Mapping[str, str]) -> list[str]:
    """Return a group's records; what each broker makes up for itself gets the same name."""
    found = []
    with Consumer[bytes, bytes](bootstrap_servers, "__consumer_offsets") as reading:
        ends = reading.end_offsets()
        while any(reading.position(tp) < end for tp, end in ends.items()):
            for message in reading.poll(0.2):
                assert message.key is not None
                key = unpack_key(offsets_topic.KEYS, message.key)
                if group in (getattr(key, "group_id", None), getattr(key, "group", None)):
                    assert key is not None
                    value = None if message.value is None else key.value.unpack(message.value)
                    found.append(repr((key, value)))
    for text, name in names.items():
        found = [record.replace(text, name) for record in found]
    return [re.sub(r"(timestamp|version|metadata_hash)=-?\d+", r"\1=<some>", record) for record in found]


def a_consumer_group(asker: Asker, bootstrap_servers: str) -> list[str]:
    """Have a group come and go, with two members, of which one is static, and an expression."""
    topic = asker.topic(2)
    band = Band(asker)
    band.join("a", topic)
    band.join("b", topic, instance_id="i")
    band.beat("a", {topic: [0, 1]})
    band.beat("a", {topic: [0]})
    band.beat("b", {})
    band.leave("b", instance_id="i", member_epoch=-2)
    band.join("c", topic, instance_id="i")
    band.beat("a", {topic: [0]}, subscribed_topic_names=[], subscribed_topic_regex=PATTERN)
    eventually(lambda: any("RegularExpressionValue" in one for one in records(bootstrap_servers, band.id, {})))
    band.beat("a", {})
    band.leave("a")
    band.leave("c")
    asker.ask(DeleteGroupsRequest(groups_names=[band.id]), 2)
    return records(bootstrap_servers, band.id, {repr(asker.topic_ids[topic]): "<topic>"})


def a_group_of_both_kinds(asker: Asker, bootstrap_servers: str) -> list[str]:
    """Have a classic group be upgraded and downgraded; records of members come in the order of their IDs' hashes."""
    topic = asker.topic(4)
    with Room(asker) as room:
        band = Band(asker, room.id)
        member = a_classic_group(room, topic)
        band.join("new", topic)
        band.leave("new")
        member.leave()
    names = {repr(asker.topic_ids[topic]): "<topic>", member.id: "<classic>"}
    return sorted(records(bootstrap_servers, room.id, names))


def a_share_group(asker: Asker, bootstrap_servers: str) -> list[str]:
    """Have a share group come and go, with two members; one topic is deleted, and one not read any more."""
    first, second = asker.topic(2), asker.topic(1)
    crew = Crew(asker)

    def told() -> list[str]:
        names = {repr(asker.topic_ids[topic]): f"<{topic}>" for topic in (first, second)}
        return records(bootstrap_servers, crew.id, names)

    crew.join("a", first, rack_id="here")
    crew.settle("a", partitions=2)
    asker.ask(DeleteTopicsRequest(topics=[DeleteTopicsRequest.DeleteTopicState(name=first)], timeout_ms=5000), 6)
    eventually(lambda: told()[-1].endswith("ShareGroupStatePartitionMetadataValue())"))
    eventually(lambda: crew.beat("a")["assignment"] == {})
    crew.beat("a", subscribed_topic_names=[second])
    crew.settle("a", partitions=1)
    crew.join("b", second)
    crew.beat("a")
    crew.leave("b")
    crew.leave("a")
    asker.ask(DeleteGroupsRequest(groups_names=[crew.id]), 2)
    return told()


def test_a_group_leaves_the_same_records(kafka: KafkaCluster) -> None:
    """Equal keys and values, but for what depends on the clock, and the hash of topics whose IDs are random."""
    run = new_run()
    told = []
    with Broker(auto_create=False, configs=ALIKE) as ours:
        for bootstrap_servers in (kafka.bootstrap_servers, ours.bootstrap_servers):
            with Asker(bootstrap_servers, run) as asker:
                told.append(
                    [
                        a_consumer_group(asker, bootstrap_servers),
                        a_group_of_both_kinds(asker, bootstrap_servers),
                        a_share_group(asker, bootstrap_servers),
                    ]
                )
    assert len(told[0][0]) > 30
    assert len(told[0][2]) > 30
    assert told[1] == told[0]
