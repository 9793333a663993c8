"""Questions about groups of the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup."""

from typing import Any

from asking import Asker
from felice.wire.messages.heartbeat import HeartbeatRequest
from felice.wire.messages.join_group import JoinGroupRequest
from felice.wire.messages.leave_group import LeaveGroupRequest
from felice.wire.messages.sync_group import SyncGroupRequest
from questions.asked import question
from questions.members import OTHER_WISHES, Member, Room, leave


def stable(room: Room, *members: Member) -> list[Any]:
    """Make a generation of these, the first one leading; return all answers."""
    answers = [members[0].enter()]
    for number, other in enumerate(members[1:], 1):
        other.begin_to_join()
        room.wait_for("PreparingRebalance", number + 1)
        for present in members[:number]:
            present.begin_to_join()
        answers += [member.joined() for member in (*members[1 : number + 1], members[0])]
    answers.append(members[0].sync(*members))
    return answers + [member.sync() for member in members[1:]]


@question
def join_in_all_versions(asker: Asker) -> Any:
    """A lone member's life, from JoinGroup to LeaveGroup, in all versions."""
    answers = []
    for version in range(10):
        with Room(asker) as room:
            member = room.member(version=version)
            said = ("consumer", "range") if version >= 5 else None
            answers += [member.join(), member.join() if version >= 4 else None]
            answers += [member.sync(member, version=min(version, 5), said=said), member.beat(min(version, 4))]
            leaving = LeaveGroupRequest(group_id=room.id)
            if version < 3:
                leaving.member_id = member.id
            else:
                leaving.members = [LeaveGroupRequest.MemberIdentity(member_id=member.id)]
            answers += [room.plain(room.asker.ask(leaving, min(version, 5))), room.state()]
    return answers


@question
def join_refused(asker: Asker) -> Any:
    """What nobody can join with."""
    answers = []
    for options in (
        {"session": 5999},
        {"session": 1_800_001},
        {"protocols": ()},
        {"type": ""},
        {"type": "", "protocols": ()},
    ):
        for version in (3, 9):
            with Room(asker) as room:
                answers.append(room.member(version=version, **options).join())
    return answers


@question
def join_a_group_without_a_name(asker: Asker) -> Any:
    """The empty group ID names no group, and an unknown member's group is not made."""
    with Room(asker) as room:
        stranger = room.member(version=5)
        stranger.id = "somebody"
        unknown = [stranger.join(), room.state()]
        timid = room.member(version=5, session=1)
        timid.id = "somebody"
        unknown.append(timid.join())
        room.id = ""
        return [*unknown, room.member(version=3).join(), stranger.sync(), stranger.beat(), leave(room, ("a", None))]


@question
def join_with_other_protocols(asker: Asker) -> Any:
    """Another type of protocols, or none in common, does not fit into a group with members."""
    with Room(asker) as room:
        answers = stable(room, room.member())
        answers += [
            room.member(type="connect").join(),
            room.member(protocols=("roundrobin",)).join(),
            room.member(protocols=("roundrobin",), instance="a").join(),
        ]
        stranger = room.member()
        stranger.id = "somebody"
        answers.append(stranger.join())
        stranger.instance = "b"
        return [*answers, stranger.join(), room.plain(room.described())]


@question
def a_protocol_with_two_entries(asker: Asker) -> Any:
    """A protocol that is named twice cannot be elected."""
    with Room(asker) as room:
        return room.member(version=3, protocols=("range", "range", "other")).join()


@question
def a_generation_of_three(asker: Asker) -> Any:
    """Members that come one by one; only the leader hears of the others."""
    with Room(asker) as room:
        members = [room.member(version=version) for version in (5, 7, 9)]
        return [*stable(room, *members), room.plain(room.described())]


@question
def a_rebalance_as_members_see_it(asker: Asker) -> Any:
    """What those hear who are members while others join."""
    with Room(asker) as room:
        first, second = room.member(), room.member()
        answers = stable(room, first)
        second.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers += [first.beat(), first.beat(generation=0), first.sync(), room.plain(room.described())]
        answers += [first.join(), second.joined(), room.plain(room.described())]
        second.begin_to_sync()
        answers += [first.beat(), first.sync(first, second), second.synced(), first.sync(), second.beat()]
        return [*answers, room.plain(room.described())]


@question
def join_again(asker: Asker) -> Any:
    """Followers that join again hear the same, unless something changed; a leader makes a new generation."""
    with Room(asker) as room:
        first, second = room.member(), room.member()
        answers = stable(room, first, second)
        answers += [second.join(), room.state()]
        second.metadata = OTHER_WISHES
        second.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers += [first.join(), second.joined()]
        answers += [second.join(), first.join(), room.state()]  # nobody has asked for assignments yet
        answers += [first.sync(first, second), second.sync()]
        first.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        return [*answers, second.join(), first.joined()]


@question
def join_again_with_other_wishes_while_assigning(asker: Asker) -> Any:
    """Who waits for an assignment is sent back to join, when another member changes its mind."""
    with Room(asker) as room:
        first, second = room.member(), room.member()
        first.enter()
        second.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers = [first.join(), second.joined()]
        second.begin_to_sync()
        first.metadata = OTHER_WISHES
        first.begin_to_join()
        answers += [second.synced(), second.join(), first.joined()]
        return [*answers, room.state()]


@question
def sync_refused(asker: Asker) -> Any:
    """Assignments that are asked for in vain."""
    with Room(asker) as room:
        member = room.member()
        answers = [member.sync(), room.state()]
        answers += stable(room, member)
        for version in range(3, 5):
            answers += [member.sync(version=version, generation=number) for number in (-1, 0, 2)]
        for said in ((None, None), ("consumer", None), ("connect", "range"), ("consumer", "sticky")):
            answers.append(member.sync(version=5, said=said))
        stranger = room.member()
        answers += [stranger.sync(generation=1), stranger.sync()]
        stranger.id = "somebody"
        answers += [stranger.sync(generation=1), stranger.sync(version=5, said=("connect", "x"))]
        leave(room, (member.id, None))
        return [*answers, member.sync()]


@question
def assignments_for_strangers(asker: Asker) -> Any:
    """What the leader assigns to strangers is lost, and whom it leaves out has nothing."""
    with Room(asker) as room:
        first, second, stranger = room.member(), room.member(), room.member()
        first.enter()
        second.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers = [first.join(), second.joined()]
        stranger.id = "somebody"
        return [*answers, first.sync(stranger), second.sync(), room.plain(room.described())]


@question
def heartbeats(asker: Asker) -> Any:
    """Heartbeats in all versions, right and wrong."""
    with Room(asker) as room:
        member = room.member()
        answers: list[Any] = [member.beat(), member.enter(), member.beat(), member.sync(member)]
        for version in range(5):
            answers += [
                member.beat(version),
                member.beat(version, 0),
                member.beat(version, 2),
                member.beat(version, -1),
            ]
        known = member.id
        for stranger, instance in (("somebody", None), ("", None), (known, "a")):
            request = HeartbeatRequest(
                group_id=room.id, generation_id=1, member_id=stranger, group_instance_id=instance
            )
            answers.append(asker.ask(request, 4).error_code)
        leave(room, (member.id, None))
        return [*answers, member.beat()]


@question
def leaving(asker: Asker) -> Any:
    """Members leave in all versions; some of them are not there."""
    answers: list[Any] = []
    with Room(asker) as room:
        for version in range(3):
            answers.append(room.plain(asker.ask(LeaveGroupRequest(group_id=room.id, member_id="x"), version)))
        for version in range(3, 6):
            answers.append(leave(room, ("x", None), ("", "a"), ("", None), version=version))
        member = room.member()
        answers += stable(room, member)
        for version in range(3):
            answers.append(room.plain(asker.ask(LeaveGroupRequest(group_id=room.id, member_id="x"), version)))
        answers += [leave(room, (member.id, "a")), leave(room), room.state()]
        answers += [leave(room, ("x", None), (member.id, None), (member.id, None), version=5), room.state()]
        return [*answers, leave(room, (member.id, None)), member.enter()]


@question
def leaving_makes_a_rebalance(asker: Asker) -> Any:
    """Those who stay have to join again."""
    with Room(asker) as room:
        first, second, third = room.member(), room.member(), room.member()
        answers = stable(room, first, second, third)
        answers += [first.leave(), room.state(), second.beat(), third.beat()]
        second.begin_to_join()
        answers += [third.leave(), second.joined(), room.state()]
        return answers


@question
def leaving_while_joining(asker: Asker) -> Any:
    """Who is removed while its request waits hears that it is unknown; who has an ID only can go too."""
    with Room(asker) as room:
        first, second, guest = room.member(), room.member(), room.member()
        answers = stable(room, first)
        second.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers += [guest.join(), guest.leave(), second.leave(), second.joined(), room.state()]
        return [*answers, first.join()]


@question
def leaving_while_assigning(asker: Asker) -> Any:
    """Who leaves in the second half makes all begin anew."""
    with Room(asker) as room:
        first, second = room.member(), room.member()
        first.enter()
        second.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers = [first.join(), second.joined()]
        second.begin_to_sync()
        return [*answers, first.leave(), second.synced(), second.beat(), second.join(), room.state()]


@question
def a_guest_holds_up_a_rebalance(asker: Asker) -> Any:
    """Who was given an ID is waited for, until it is taken away (KIP-394)."""
    with Room(asker) as room:
        first, guest = room.member(), room.member()
        answers = [*stable(room, first), guest.join()]
        first.begin_to_join()
        room.wait_for("PreparingRebalance", 1)
        return [*answers, guest.leave(), first.joined(), guest.join()]


@question
def static_members(asker: Asker) -> Any:
    """A static member needs no second request, and has its instance's name (KIP-345)."""
    answers = []
    for version in range(5, 10):
        with Room(asker) as room:
            answers += stable(room, room.member(instance="a", version=version), room.member(instance="b"))
            answers.append(room.plain(room.described()))
    return answers


@question
def static_members_come_back(asker: Asker) -> Any:
    """A static member that starts again has its assignment still; a leader does not assign (KIP-814)."""
    answers = []
    for version in (5, 7, 8, 9):
        with Room(asker) as room:
            first, second = room.member(instance="a"), room.member(instance="b")
            answers += stable(room, first, second)
            for instance in ("b", "a"):
                again = room.member(instance=instance, version=version)
                answers += [again.join(), again.beat(), again.sync(), room.plain(room.described())]
    return answers


@question
def static_members_are_fenced(asker: Asker) -> Any:
    """The former self of a static member can do nothing any more."""
    with Room(asker) as room:
        old, other, new = room.member(instance="a"), room.member(), room.member(instance="a")
        answers = [*stable(room, other, old), new.join(), old.beat(), old.sync(), old.join()]
        answers += [leave(room, (old.id, "a")), leave(room, (old.id, None))]
        old.instance = None
        answers += [old.beat(), old.sync(), old.join(), new.beat()]
        new.instance = None  # a static member that does not say so
        answers += [new.beat(), new.sync(), new.join()]
        new.instance = "c"
        return [*answers, new.beat(), new.sync(), leave(room, (new.id, "c")), room.plain(room.described())]


@question
def static_members_come_back_while_joining(asker: Asker) -> Any:
    """The request that waits is answered with FENCED_INSTANCE_ID, and the new one waits."""
    with Room(asker) as room:
        first, old, new = room.member(), room.member(instance="a"), room.member(instance="a")
        answers = stable(room, first)
        old.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        new.begin_to_join()
        return [*answers, old.joined(), first.join(), new.joined(), room.state()]


@question
def static_members_come_back_while_assigning(asker: Asker) -> Any:
    """The leader's assignment would be for an ID that is gone, so all join again."""
    with Room(asker) as room:
        first, old, new = room.member(), room.member(instance="a"), room.member(instance="a")
        first.enter()
        old.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers = [first.join(), old.joined()]
        old.begin_to_sync()
        new.begin_to_join()
        answers += [old.synced(), first.sync(first, old), first.join(), new.joined()]
        return [*answers, room.state()]


@question
def static_members_with_another_protocol(asker: Asker) -> Any:
    """A static member that comes back with other wishes changes nothing, unless the vote goes another way."""
    with Room(asker) as room:
        first = room.member(instance="a", protocols=("range", "sticky"))
        answers = stable(room, first)
        again = room.member(instance="a", protocols=("range", "sticky"), metadata=OTHER_WISHES, version=9)
        answers += [again.join(), room.plain(room.described())]
        other = room.member(instance="a", protocols=("sticky", "range"), version=9)
        return [*answers, other.join(), other.sync(other), room.plain(room.described())]


@question
def static_members_are_removed(asker: Asker) -> Any:
    """An admin removes static members by their instance IDs alone."""
    with Room(asker) as room:
        first, second = room.member(instance="a"), room.member(instance="b")
        answers = stable(room, first, second)
        answers += [leave(room, ("", "a"), ("", "nobody"), ("", "a")), room.state(), second.beat(), second.join()]
        return [*answers, leave(room, (second.id, "b")), room.state()]


@question
def votes(asker: Asker) -> Any:
    """Each member votes for what it likes best of what all know; ties are broken in the same way."""
    elected = []
    ballots = [
        (("range", "sticky"), ("sticky", "range")),
        (("a", "b", "c"), ("b", "a"), ("b", "c", "a")),
        (("a", "b"), ("b", "a"), ("c", "a", "b")),
        (("one", "two", "three", "four"), ("four", "three", "two", "one")),
        (("one", "two", "three", "four"), ("three", "four", "two", "one")),
        (("cooperative-sticky", "range"), ("range", "cooperative-sticky")),
        (("roundrobin", "range"), ("range", "roundrobin")),
        (("roundrobin", "cooperative-sticky"), ("cooperative-sticky", "roundrobin")),
    ]
    for ballot in ballots:
        with Room(asker) as room:
            members = [room.member(protocols=protocols) for protocols in ballot]
            stable(room, *members)
            elected.append(room.described().groups[0].protocol_data)
    return elected


@question
def timeouts_of_version_0(asker: Asker) -> Any:
    """The oldest JoinGroup and SyncGroup have what they have."""
    with Room(asker) as room:
        request = JoinGroupRequest(
            group_id=room.id,
            session_timeout_ms=6000,
            protocol_type="other",
            protocols=[JoinGroupRequest.Protocol(name="x", metadata=b"")],
        )
        answer = asker.ask(request, 0)
        sync = SyncGroupRequest(group_id=room.id, generation_id=1, member_id=answer.member_id)
        return [room.plain(answer), room.plain(asker.ask(sync, 0)), room.plain(room.described())]
