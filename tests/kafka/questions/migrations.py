"""Questions about groups that change their kind, and members of both protocols in one group (KIP-848)."""

from typing import Any

from asking import Asker
from felice.wire.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from felice.wire.messages.delete_groups import DeleteGroupsRequest
from felice.wire.messages.list_groups import ListGroupsRequest
from felice.wire.messages.offset_delete import OffsetDeleteRequest
from felice.wire.messages.sync_group import SyncGroupRequest
from questions.asked import question
from questions.consumer_members import Band, Owned
from questions.members import Member, Room, leave


def subscription(*topics: str, owned: Owned | None = None, version: int = 2) -> bytes:
    """What a member of the classic protocol tells the others."""
    parts = [
        ConsumerProtocolSubscription.TopicPartition(topic=topic, partitions=list(indexes))
        for topic, indexes in (owned or {}).items()
    ]
    return ConsumerProtocolSubscription(topics=list(topics), owned_partitions=parts).pack(version)


def synced(room: Room, member: Member, *, shares: dict[str, Owned] | None = None, version: int = 5, **said: Any) -> Any:
    """Ask for an assignment, or give some as a leader; return the partitions."""
    given = [
        SyncGroupRequest.Assignment(member_id=name, assignment=assignment(owned))
        for name, owned in (shares or {}).items()
    ]
    request = SyncGroupRequest(
        group_id=room.id,
        generation_id=said.pop("generation", member.generation),
        member_id=member.id,
        group_instance_id=member.instance,
        **{"protocol_type": "consumer", "protocol_name": member.protocols[0], **said},
        assignments=given,
    )
    answer = member.asker.ask(request, version)
    found = ConsumerProtocolAssignment.unpack(answer.assignment).assigned_partitions if answer.assignment else ()
    parts = {entry.topic: sorted(entry.partitions) for entry in found}
    return answer.error_code, answer.protocol_type, answer.protocol_name, parts, bytes(answer.assignment[:2])


def assignment(owned: Owned) -> bytes:
    """What a leader of the classic protocol assigns."""
    return ConsumerProtocolAssignment(
        assigned_partitions=[
            ConsumerProtocolAssignment.TopicPartition(topic=topic, partitions=list(indexes))
            for topic, indexes in owned.items()
        ]
    ).pack(1)


def a_classic_group(room: Room, topic: str, **options: Any) -> Member:
    """Have a lone member of the classic protocol, with all four partitions of a topic."""
    member = room.member(metadata=subscription(topic), version=9, **options)
    member.enter()
    synced(room, member, shares={member.id: {topic: [0, 1, 2, 3]}})
    return member


def kind_of(room: Room) -> Any:
    """What ListGroups says of the group."""
    groups = room.asker.ask(ListGroupsRequest(), 5).groups
    return [(one.group_type, one.group_state, one.protocol_type) for one in groups if one.group_id == room.id]


def named(room: Room, band: Band, member: Member) -> Any:
    """Describe the group; members with made-up IDs are known by what they are."""
    found = band.described()
    for described in found["members"]:
        if described["member_id"] == member.id:
            described["member_id"] = "<classic>"
    found["members"].sort(key=lambda one: one["member_id"])
    return found


@question
def a_classic_group_is_upgraded_and_downgraded(asker: Asker) -> Any:
    """A member of the consumer protocol comes to one of the classic one, shares with it, and goes again."""
    topic = asker.topic(4)
    with Room(asker) as room:
        band = Band(asker, room.id)
        old = a_classic_group(room, topic)
        answers: list[Any] = [band.commit(old.id, old.generation, (topic, 0), version=8), kind_of(room)]
        answers += [band.beat("new", member_epoch=1), band.join("new", topic), kind_of(room), named(room, band, old)]
        answers += [room.described(6).groups[0].error_code, old.beat(), band.committed(None, -1, (topic, 0))]
        answers += [band.commit(old.id, old.generation, (topic, 0), version=8), synced(room, old)]
        old.metadata = subscription(topic, owned={topic: [0, 1, 2, 3]})
        answers += [old.join(), named(room, band, old), synced(room, old), old.beat()]
        old.metadata = subscription(topic, owned={topic: [0, 1]})
        answers += [old.beat(), old.join(), synced(room, old), named(room, band, old), band.beat("new", {})]
        answers += [named(room, band, old), old.beat(), band.leave("new"), kind_of(room), room.state()]
        answers += [old.beat(), old.join(), old.beat(), synced(room, old, shares={old.id: {topic: [0, 1, 2, 3]}})]
        answers += [kind_of(room), band.committed(None, -1, (topic, 0)), old.leave(), kind_of(room)]
    return answers


@question
def a_classic_member_joins_a_consumer_group(asker: Asker) -> Any:
    """Its requests, right ones and wrong ones, are answered as a classic group would."""
    topic = asker.topic(4)
    with Room(asker) as room:
        band = Band(asker, room.id)
        answers: list[Any] = [band.join("new", topic), band.beat("new", {topic: [0, 1, 2, 3]})]
        old = room.member(metadata=subscription(topic), version=9)
        answers += [old.join(), old.join(), named(room, band, old), synced(room, old), old.beat()]
        answers += [band.beat("new", {topic: [0, 1, 2, 3]}), band.beat("new", {topic: [0, 1]}), old.beat()]
        answers += [old.join(), synced(room, old), old.beat(), old.beat(generation=99), synced(room, old, generation=1)]
        answers += [synced(room, old, protocol_type="connect"), synced(room, old, protocol_name="roundrobin")]
        for metadata, options in (
            (subscription(topic), {"type": "connect"}),
            (subscription(topic), {"protocols": ("sticky",)}),
            (subscription(topic), {"protocols": ()}),
            (b"", {}),
        ):
            answers.append(room.member(metadata=metadata, version=9, **options).enter())
        mistaken = room.member(metadata=subscription(topic), protocols=("sticky",))
        mistaken.id = "mistaken"
        answers.append(mistaken.join())
        stranger = room.member(metadata=subscription(topic))
        stranger.id, stranger.generation = "stranger", 1
        answers += [stranger.beat(), synced(room, stranger), leave(room, ("stranger", None), ("x", "y"))]
        converted = room.member(metadata=subscription(topic))
        converted.id, converted.generation = "new", band.epochs["new"]
        answers += [converted.beat(), synced(room, converted), named(room, band, old)["epochs"]]
        answers += [old.leave(), named(room, band, old)["members"], kind_of(room)]
    return answers


@question
def static_members_change_the_protocol(asker: Asker) -> Any:
    """One that comes back with the other protocol takes its own place; the last one takes the group with it."""
    topic = asker.topic(4)
    with Room(asker) as room:
        band = Band(asker, room.id)
        old = a_classic_group(room, topic, instance="one")
        answers: list[Any] = [band.join("new", topic, instance_id="one"), kind_of(room), named(room, band, old)]
        answers += [old.beat(), band.beat("new", {topic: [0, 1, 2, 3]}, instance_id="one")]
        again = room.member(metadata=subscription(topic), version=9, instance="one")
        answers += [again.join(), kind_of(room), again.beat(), synced(room, again), band.beat("new", instance_id="one")]
        answers += [leave(room, ("", "one")), kind_of(room)]
    return answers


@question
def groups_that_cannot_be_upgraded(asker: Asker) -> Any:
    """What others do with the classic protocol is no business of a consumer's."""
    topic = asker.topic(4)
    answers: list[Any] = []
    with Room(asker) as room:
        worker = room.member(type="connect", metadata=b"something")
        worker.enter()
        worker.sync(worker)
        answers += [Band(asker, room.id).join("new", topic), kind_of(room), worker.beat()]
    with Room(asker) as room:
        garbled = room.member(metadata=subscription(topic))
        garbled.enter()
        garbled.sync(garbled)
        answers += [Band(asker, room.id).join("new", topic)["error_code"] != 0, kind_of(room)]
    return answers


@question
def a_group_whose_members_are_about_to_change_the_protocol(asker: Asker) -> Any:
    """It cannot be upgraded while somebody who joins does not know the present one."""
    topic = asker.topic(4)
    with Room(asker) as room:
        band = Band(asker, room.id)
        old = a_classic_group(room, topic, protocols=("range", "roundrobin"))
        other = room.member(metadata=subscription(topic), protocols=("roundrobin",))
        other.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        return [band.join("new", topic), old.beat(), kind_of(room)]


@question
def empty_groups_are_what_one_joins(asker: Asker) -> Any:
    """Without members the kind changes, and what was committed stays."""
    topic = asker.topic(2)
    with Room(asker) as room:
        band = Band(asker, room.id)
        answers: list[Any] = [band.commit("", -1, (topic, 0)), kind_of(room), band.leave("a"), band.join("a", topic)]
        answers += [kind_of(room), band.committed(None, -1, (topic, 0)), delete(room), forget(room, topic)]
        answers += [band.leave("a"), kind_of(room), band.described()["epochs"], room.described(6).groups[0].error_code]
        old = room.member(metadata=subscription(topic))
        old.id = "somebody"
        answers += [old.join(), kind_of(room)]
        old.id = ""
        answers += [old.enter(), kind_of(room), band.committed(None, -1, (topic, 0)), band.described()["error_code"]]
        answers += [old.leave(), kind_of(room), band.join("a", topic), kind_of(room), band.leave("a")]
        answers += [band.commit("", -1, (topic, 0)), band.commit("a", 1, (topic, 0))]
        answers += [forget(room, topic), delete(room), kind_of(room), band.committed(None, -1, (topic, 0))]
    return answers


def delete(room: Room) -> Any:
    """Delete the group."""
    return room.asker.ask(DeleteGroupsRequest(groups_names=[room.id]), 2).results[0].error_code


def forget(room: Room, topic: str) -> Any:
    """Delete what is committed of a topic."""
    asked = OffsetDeleteRequest.Topic(name=topic, partitions=[OffsetDeleteRequest.Partition(partition_index=0)])
    return room.plain(room.asker.ask(OffsetDeleteRequest(group_id=room.id, topics=[asked]), 0))


@question
def groups_are_listed_by_kind(asker: Asker) -> Any:
    """ListGroups has types and states from versions 4 and 5 on."""
    with Room(asker) as room, Room(asker) as other:
        band = Band(asker, other.id)
        a_classic_group(room, asker.topic(4))
        band.join("a", asker.topic(1))
        mine = {room.id: "classic", other.id: "consumer"}
        answers = []
        for version, filters in (
            (3, {}),
            (4, {"states_filter": ["stable"]}),
            (5, {"types_filter": ["consumer"]}),
            (5, {"types_filter": ["Classic"], "states_filter": ["Stable", "Empty"]}),
            (5, {"types_filter": ["nothing"]}),
            (5, {"types_filter": ["consumer"], "states_filter": ["Dead"]}),
        ):
            found = asker.ask(ListGroupsRequest(**filters), version)
            listed = [
                (mine[one.group_id], one.group_state, one.group_type) for one in found.groups if one.group_id in mine
            ]
            answers.append((found.error_code, sorted(listed)))
        return answers
