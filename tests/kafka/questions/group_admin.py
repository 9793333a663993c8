"""Questions about DescribeGroups, ListGroups and DeleteGroups."""

from typing import Any

from asking import Asker, comparable
from felice.wire.messages.delete_groups import DeleteGroupsRequest
from felice.wire.messages.describe_groups import DescribeGroupsRequest
from felice.wire.messages.list_groups import ListGroupsRequest
from questions.asked import question
from questions.committed import commit, fetch, log_end, logged
from questions.groups import stable
from questions.members import Room, coordinated, leave


def describe(asker: Asker, *groups: str, version: int = 6, operations: bool = False) -> Any:
    """Describe groups."""
    request = DescribeGroupsRequest(groups=list(groups))
    if version >= 3:
        request.include_authorized_operations = operations
    return asker.ask(request, version)


def listed(asker: Asker, of: list[str], version: int = 5, **filters: list[str]) -> Any:
    """List some groups, those of this question."""
    answer = asker.ask(ListGroupsRequest(**filters), version)
    answer.groups = sorted((group for group in answer.groups if group.group_id in of), key=lambda group: group.group_id)
    return comparable(answer)


def delete(asker: Asker, *groups: str, version: int = 2) -> Any:
    """Delete groups; answers come in no order."""
    answer = asker.ask(DeleteGroupsRequest(groups_names=list(groups)), version)
    answer.results.sort(key=lambda result: result.group_id)
    return comparable(answer)


@question
def describe_groups(asker: Asker) -> Any:
    """All versions, a group in each state."""
    topic = asker.topic()
    simple, missing = coordinated(asker, asker.name()), asker.name()
    commit(asker, simple, (topic, 0))
    answers = []
    with Room(asker) as room:
        first, second = room.member(), room.member(instance="a")
        for act in (
            lambda: None,
            first.enter,
            lambda: first.sync(first),
            lambda: (second.begin_to_join(), room.wait_for("PreparingRebalance", 2)),
            lambda: (first.join(), second.joined()),
            lambda: (first.sync(first, second), second.sync()),
            lambda: leave(room, (first.id, None), (second.id, None)),
        ):
            act()
            for version in range(7):
                answers.append(room.plain(describe(asker, room.id, simple, missing, version=version)))
    return answers


@question
def describe_groups_strangely(asker: Asker) -> Any:
    """Nothing, the same one twice, the empty name; and what one is allowed to do."""
    group = coordinated(asker, asker.name())
    commit(asker, group, (asker.topic(), 0))
    answers = [comparable(describe(asker, version=version)) for version in range(7)]
    for version in range(7):
        answers.append(comparable(describe(asker, group, group, asker.name(), version=version, operations=True)))
    return answers


@question
def list_groups(asker: Asker) -> Any:
    """All versions, and filters of all kinds."""
    topic, simple = asker.topic(), coordinated(asker, asker.name())
    commit(asker, simple, (topic, 0))
    with Room(asker) as room, Room(asker) as other:
        of = [simple, room.id, other.id]
        stable(room, room.member())
        other.member(type="connect", version=3).join()
        answers = [listed(asker, of, version) for version in range(6)]
        for states in (["Stable"], ["stable"], ["Empty", "CompletingRebalance"], ["Dead"], ["nothing"], ["", "Stable"]):
            answers += [listed(asker, of, version, states_filter=states) for version in (4, 5)]
        for kinds in (["classic"], ["Classic"], ["consumer"], ["share", "classic"], ["nothing"], ["unknown"], [""]):
            answers.append(listed(asker, of, types_filter=kinds))
        return [*answers, listed(asker, of, types_filter=["classic"], states_filter=["Empty"])]


@question
def delete_groups(asker: Asker) -> Any:
    """All versions: groups without members, with members, without offsets, and none at all."""
    topic = asker.topic()
    answers = []
    for version in range(3):
        simple, missing = coordinated(asker, asker.name()), asker.name()
        commit(asker, simple, (topic, 0))
        with Room(asker) as room, Room(asker) as invited:
            stable(room, room.member())
            invited.member().join()
            answers += [
                delete(asker, simple, missing, room.id, invited.id, simple, version=version),
                delete(asker, simple, version=version),
                fetch(asker, simple, None),
                listed(asker, [simple, room.id, invited.id]),
                delete(asker, version=version),
            ]
    return answers


@question
def delete_groups_in_each_state(asker: Asker) -> Any:
    """While there are members a group stays; afterwards it can go, and come again from the first generation."""
    with Room(asker) as room:
        guest, first, second = room.member(), room.member(), room.member()
        answers = [guest.join(), delete(asker, room.id), guest.join(), first.enter(), delete(asker, room.id)]
        answers += [first.sync(first), delete(asker, room.id)]
        second.begin_to_join()
        room.wait_for("PreparingRebalance", 2)
        answers += [delete(asker, room.id), first.join(), second.joined()]
        leave(room, (first.id, None), (second.id, None))
        answers += [delete(asker, room.id), first.beat(), first.join(), room.state()]
        return [*answers, room.member(version=3).join()]


@question
def deleted_groups_in_the_log(asker: Asker) -> Any:
    """Tombstones of all that there was."""
    topic = asker.topic(3)
    with Room(asker) as room:
        start = log_end(asker)
        for partition in range(3):
            commit(asker, room.id, (topic, partition))
        member = room.member(version=3)
        member.join()
        leave(room, (member.id, None))
        delete(asker, room.id)
        return sorted(logged(asker, room, start), key=repr)
