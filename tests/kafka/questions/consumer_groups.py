"""Questions about consumer groups (KIP-848): joining, assignment, revocation, leaving, epochs, static members."""

from typing import Any

from asking import Asker
from felice.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from questions.asked import eventually, question
from questions.consumer_members import Band

SOME_TOPIC = ConsumerGroupHeartbeatRequest.TopicPartitions(topic_id=bytes(15) + b"\x07", partitions=[0])


@question
def heartbeats_that_are_wrong_in_themselves(asker: Asker) -> Any:
    """Each rule of the request alone, and two broken together, of which the first one counts."""
    band = Band(asker)
    first = {"member_id": "m", "member_epoch": 0, "rebalance_timeout_ms": 1000, "topic_partitions": [],
             "subscribed_topic_names": ["t"]}  # fmt: skip
    wrong: list[dict[str, Any]] = [
        {"member_id": ""},
        {"member_id": "", "member_epoch": 1},
        {"member_id": "", "member_epoch": -1},
        {"member_id": "", "member_epoch": -2, "instance_id": "i"},
        {"group_id": ""},
        {"instance_id": ""},
        {"rack_id": ""},
        {"rebalance_timeout_ms": -1},
        {"topic_partitions": None},
        {"topic_partitions": [SOME_TOPIC]},
        {"subscribed_topic_names": None},
        {"member_epoch": -2},
        {"member_epoch": -3},
        {"member_epoch": -3, "group_id": ""},
        {"server_assignor": "mine"},
        {"server_assignor": ""},
        {"server_assignor": "mine", "rebalance_timeout_ms": -1},
        {"server_assignor": "mine", "member_epoch": 5},
        {"member_epoch": 5},
        {"member_epoch": -1},
        {"member_epoch": -1, "instance_id": "i"},
        {"member_epoch": -2, "instance_id": "i"},
    ]
    answers = [band.send(version, **{**first, **fields}) for fields in wrong for version in (0, 1)]
    return answers, band.described()


@question
def a_lone_members_life(asker: Asker) -> Any:
    """From joining over full, partial and repeated heartbeats to leaving, in both versions."""
    answers = []
    topic = asker.topic(3)
    for version in (0, 1):
        band = Band(asker)
        member = "" if version == 0 else "member"
        answers.append(band.join(member, topic, version=version, rack_id="here"))
        member = member or next(iter(band.epochs))
        answers += [
            band.described(version, operations=True),
            band.beat(member),
            band.beat(member, {topic: [0, 1, 2]}),
            band.beat(member, {topic: [0, 1, 2]}, rebalance_timeout_ms=1000, subscribed_topic_names=[topic]),
            band.beat(member, {}),
            band.beat(member, subscribed_topic_names=[topic, topic]),
            band.beat(member, server_assignor="range"),
            band.described(version),
            band.join(member, topic),
            band.leave(member),
            band.described(version),
            band.beat(member),
            band.leave(member),
            band.join(member, topic),
            band.described(version),
        ]
    return answers


@question
def epochs_that_are_not_the_members(asker: Asker) -> Any:
    """An epoch ahead is fenced; the one before is let in for who has nothing that it should not have."""
    topic = asker.topic(2)
    band = Band(asker)
    answers = [band.join("a", topic), band.join("b", topic)]
    answers += band.settle("a", "b")
    present = band.epochs["a"]
    mine = band.described()["members"][0]["assignment"]
    all_of_it = {topic: [0, 1]}
    for epoch in (present + 1, present - 1, present - 2, 99):
        for owned in (None, {}, mine, all_of_it):
            answers.append(band.beat("a", owned, member_epoch=epoch))
    return answers, band.described()


@question
def members_share_partitions(asker: Asker) -> Any:
    """Three members come one by one: what they are told at each step, and that nothing has two owners."""
    topic = asker.topic(6)
    band = Band(asker)
    answers = [band.join("a", topic), band.beat("a", {topic: [0, 1, 2, 3, 4, 5]})]
    answers += [band.join("b", topic), band.described(), band.beat("b", {}), band.described()]
    answers += [band.beat("a"), band.described(), band.beat("b", {}), band.beat("a", {topic: [0, 1, 2, 3, 4, 5]})]
    kept = band.described()["members"][0]["target"]
    answers += [kept, band.beat("a", kept), band.beat("b", {}), band.described(), band.beat("b")]
    answers += [band.join("c", topic)]
    answers += [sorted(map(len, (parts[topic] for parts in band.settle("a", "b", "c"))))]
    answers += [band.described()["epochs"], band.leave("b"), band.described()["epochs"]]
    answers += [sorted(map(len, (parts[topic] for parts in band.settle("a", "c"))))]
    return answers, band.described()["epochs"]


@question
def a_member_leaves_in_the_middle(asker: Asker) -> Any:
    """What a member had is free for the others when it leaves, although it was to give up only a part."""
    topic = asker.topic(4)
    band = Band(asker)
    answers = [band.join("a", topic), band.join("b", topic), band.beat("a"), band.beat("b", {})]
    answers += [band.leave("a"), band.described(), band.beat("b", {}), band.beat("b", {topic: [0, 1, 2, 3]})]
    return answers, band.described()


@question
def members_want_different_topics(asker: Asker) -> Any:
    """Subscriptions that differ, change, and name topics that do not exist."""
    one, two = asker.topic(3), asker.topic(2)
    band = Band(asker)
    answers = [band.join("a", one, "nowhere"), band.described()]
    answers += [band.join("b", one, two), band.described()]
    answers += band.settle("a", "b")
    answers += [band.beat("b", subscribed_topic_names=[two]), band.described()]
    answers += band.settle("a", "b")
    answers += [band.beat("a", subscribed_topic_names=[]), band.described(), band.beat("a", {}), band.described()]
    answers += [band.join("c"), band.described()]
    return answers


@question
def a_topic_appears_and_goes(asker: Asker) -> Any:
    """A member reads a topic before it is there; it comes, and is deleted."""
    from felice.wire.messages.delete_topics import DeleteTopicsRequest

    band = Band(asker)
    name = asker.name()
    following = f"{name[: name.rindex('-')]}-{int(name.rpartition('-')[2]) + 1}"
    answers = [band.join("a", following), band.described()]
    topic = asker.topic(2)
    assert topic == following
    eventually(lambda: band.beat("a")["assignment"] is not None)
    answers.append(band.described())
    state = DeleteTopicsRequest.DeleteTopicState(name=topic)
    answers.append(asker.ask(DeleteTopicsRequest(topics=[state], timeout_ms=5000), 6).responses[0].error_code)
    eventually(lambda: band.beat("a")["assignment"] is not None)
    answers.append(band.described())
    return answers


@question
def a_topic_grows(asker: Asker) -> Any:
    """More partitions of a topic are handed out too."""
    from felice.wire.messages.create_partitions import CreatePartitionsRequest

    topic = asker.topic(1)
    band = Band(asker)
    answers = [band.join("a", topic)]
    more = CreatePartitionsRequest.CreatePartitionsTopic(name=topic, count=3, assignments=None)
    answers.append(asker.ask(CreatePartitionsRequest(topics=[more], timeout_ms=5000), 3).results[0].error_code)
    eventually(lambda: band.beat("a")["assignment"] is not None)
    return answers, band.described()


@question
def assignors_are_voted_for(asker: Asker) -> Any:
    """Most wishes win; without any the broker's first assignor does it."""
    one, two = asker.topic(4), asker.topic(2)
    band = Band(asker)
    answers = [
        band.join("a", one, two, server_assignor="range"),
        band.join("b", one, two),
        band.described()["assignor"],
    ]
    answers += band.settle("a", "b")
    answers += [band.join("c", one, two, server_assignor="uniform"), band.join("d", one, two, server_assignor="range")]
    answers += [band.described()["assignor"], *band.settle("a", "b", "c", "d")]
    answers += [band.beat("d", server_assignor="uniform"), band.described()["assignor"], band.leave("a")]
    answers += [band.described()["assignor"]]
    return answers


@question
def static_members(asker: Asker) -> Any:
    """They go for a while and come back to what they had; others cannot be them meanwhile, or may be."""
    topic = asker.topic(4)
    band = Band(asker)
    answers = [band.join("a", topic, instance_id="one"), band.join("b", topic, instance_id="two"), band.described()]
    answers += [band.beat("a", {}, instance_id="one"), band.beat("b", {}, instance_id="two"), band.described()]
    answers += [
        band.join("c", topic, instance_id="one"),
        band.beat("a", instance_id="other"),
        band.beat("x", instance_id="one"),
        band.beat("a"),
        band.leave("x", instance_id="one", member_epoch=-2),
        band.leave("x", instance_id="other", member_epoch=-2),
        band.leave("x", instance_id="one"),
        band.leave("a", instance_id="one", member_epoch=-2),
        band.described(),
        band.beat("a", instance_id="one"),
        band.beat("b", instance_id="two"),
        band.join("c", topic, instance_id="one"),
        band.described(),
        band.beat("c", {}, instance_id="one"),
        band.beat("a", instance_id="one"),
        band.leave("c", instance_id="one", member_epoch=-2),
        band.join("d", instance_id="one"),
        band.described(),
        band.leave("d", instance_id="one"),
        band.leave("b"),
        band.described(),
    ]
    return answers


@question
def commits_of_members(asker: Asker) -> Any:
    """Who may commit and fetch, in which epoch, and of which partitions."""
    topic = asker.topic(2)
    band = Band(asker)
    here, there = (topic, 0), (topic, 1)
    answers = [band.commit("a", 1, here), band.commit("", -1, here), band.committed(None, -1, here)]
    answers += [band.join("a", topic), band.beat("a", {topic: [0, 1]})]
    for version in (8, 9, 10):
        answers += [
            band.commit(*who, here, version=version)
            for who in (("a", band.epochs["a"]), ("a", 99), ("a", 0), ("a", -1), ("x", 1), ("", -1), ("", 1))
        ]
    for version in (8, 9, 10):
        answers += [
            band.committed(*who, here, there, version=version)
            for who in ((None, -1), ("a", band.epochs["a"]), ("a", 99), ("a", -1), ("x", 1), ("", -1), (None, 1))
            if version >= 9 or who == (None, -1)
        ]
    answers += [band.join("b", topic), band.beat("a", {topic: [0, 1]})]
    [kept] = band.described()["members"][0]["target"].values()
    answers += [band.beat("a", {topic: kept}), band.beat("b", {})]
    for epoch in (band.epochs["a"], band.epochs["a"] - 1, band.epochs["b"]):
        for member in ("a", "b"):
            answers += [band.commit(member, epoch, (topic, index)) for index in (*kept, 1 - kept[0])]
            answers.append(band.commit(member, epoch, here, there))
    return answers


@question
def groups_that_are_none(asker: Asker) -> Any:
    """ConsumerGroupDescribe of nothing, of no name, and in both versions."""
    band = Band(asker)
    answers = [band.described(version, operations=operations) for version in (0, 1) for operations in (False, True)]
    found = asker.ask(ConsumerGroupDescribeRequest(group_ids=["", band.id, band.id]), 1).groups
    return answers, sorted((group.group_id, group.error_code, group.group_state) for group in found)
