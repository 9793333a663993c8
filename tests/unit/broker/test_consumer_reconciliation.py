"""How a member of a consumer group comes from what it has to what it shall have, step by step."""

import random

from felice.broker.groups.assignors import Assignment
from felice.broker.groups.consumer_member import ConsumerMember, Held, MemberState
from felice.broker.groups.consumer_reconciliation import Reported, reconcile

TOPIC, OTHER = b"t" * 16, b"o" * 16
STABLE, UNREVOKED, UNRELEASED = MemberState.STABLE, MemberState.UNREVOKED_PARTITIONS, MemberState.UNRELEASED_PARTITIONS


def step(
    member: ConsumerMember,
    epoch: int,
    target: Assignment,
    *,
    reported: Reported | None = None,
    owned: frozenset[tuple[bytes, int]] = frozenset(),
    topics: frozenset[bytes] = frozenset((TOPIC, OTHER)),
    resubscribed: bool = False,
) -> ConsumerMember:
    """Take one step towards a target."""
    return reconcile(
        member,
        epoch,
        target,
        topics,
        reported=reported,
        is_owned=lambda topic, index: (topic, index) in owned,
        resubscribed=resubscribed,
    )


def having(partitions: Held, epoch: int = 3, **fields: object) -> ConsumerMember:
    """A member that has some partitions."""
    return ConsumerMember("m", epoch, epoch - 1, assigned=partitions)._replace(**fields)


def test_a_member_that_has_what_it_shall_have_is_left_alone():
    member = having({TOPIC: {0: 3}})
    assert step(member, 3, {TOPIC: frozenset((0, 1))}) is member


def test_free_partitions_are_added_at_once_and_keep_the_epoch_in_which_they_came():
    found = step(having({TOPIC: {0: 2}}), 4, {TOPIC: frozenset((0, 1)), OTHER: frozenset((5,))})
    assert (found.state, found.epoch, found.previous_epoch) == (STABLE, 4, 3)
    assert found.assigned == {TOPIC: {0: 2, 1: 4}, OTHER: {5: 4}}


def test_what_shall_go_is_given_up_before_the_new_epoch_begins():
    target = {TOPIC: frozenset((1, 2))}
    member = having({TOPIC: {0: 1, 1: 1}})
    told = step(member, 4, target)
    assert (told.state, told.epoch, told.assigned, told.revoking) == (UNREVOKED, 3, {TOPIC: {1: 1}}, {TOPIC: {0: 1}})
    assert step(told, 4, target) is told
    assert step(told, 4, target, reported={TOPIC: [0, 1]}) is told
    done = step(told, 4, target, reported={TOPIC: [1]})
    assert (done.state, done.epoch, done.assigned, done.revoking) == (STABLE, 4, {TOPIC: {1: 1, 2: 4}}, {})


def test_who_says_that_it_has_given_up_already_need_not_be_told():
    found = step(having({TOPIC: {0: 1}}), 4, {TOPIC: frozenset((1,))}, reported={TOPIC: []})
    assert (found.state, found.epoch, found.assigned) == (STABLE, 4, {TOPIC: {1: 4}})


def test_what_others_have_comes_when_it_is_free():
    target = {TOPIC: frozenset((0, 1))}
    waiting = step(having({}), 4, target, owned=frozenset(((TOPIC, 1),)))
    assert (waiting.state, waiting.epoch, waiting.assigned) == (UNRELEASED, 4, {TOPIC: {0: 4}})
    assert step(waiting, 4, target, owned=frozenset(((TOPIC, 1),))).state is UNRELEASED
    done = step(waiting, 4, target)
    assert (done.state, done.epoch, done.assigned) == (STABLE, 4, {TOPIC: {0: 4, 1: 4}})


def test_what_a_member_gave_up_just_now_can_come_back_to_it():
    member = having({}, state=UNREVOKED, revoking={TOPIC: {0: 1}})
    found = step(member, 5, {TOPIC: frozenset((0,))}, reported={}, owned=frozenset(((TOPIC, 0),)))
    assert (found.state, found.assigned, found.revoking) == (STABLE, {TOPIC: {0: 5}}, {})


def test_a_topic_that_is_read_no_more_goes_before_there_is_a_new_target():
    member = having({TOPIC: {0: 1}, OTHER: {0: 1}})
    target = {TOPIC: frozenset((0,)), OTHER: frozenset((0,))}
    found = step(member, 3, target, topics=frozenset((TOPIC,)), resubscribed=True)
    assert (found.state, found.epoch, found.revoking) == (UNREVOKED, 3, {OTHER: {0: 1}})
    unread = step(member, 3, target, topics=frozenset((TOPIC,)), reported={TOPIC: [0]}, resubscribed=True)
    assert (unread.state, unread.assigned, unread.revoking) == (STABLE, {TOPIC: {0: 1}}, {})


def test_no_partition_ever_has_two_owners_and_all_members_get_there():
    """Members who are slow, and targets that change on the way: by seed, 200 groups of up to five members."""
    for seed in range(200):
        chance = random.Random(seed)
        names = [f"m{number}" for number in range(chance.randrange(1, 6))]
        members = {name: ConsumerMember(name) for name in names}
        holding: dict[str, set[int]] = {name: set() for name in names}
        epoch, target = 0, dict.fromkeys(names, frozenset[int]())
        for turn in range(120):
            if turn < 60 and chance.random() < 0.2:
                epoch += 1
                shares = [chance.choice(names) for _ in range(8)]
                target = {name: frozenset(i for i in range(8) if shares[i] == name) for name in names}
            name = chance.choice(names)
            owned = frozenset(part for other in members.values() for part in other.partitions())
            wanted = {TOPIC: target[name]} if target[name] else {}
            members[name] = step(members[name], epoch, wanted, reported={TOPIC: sorted(holding[name])}, owned=owned)
            if chance.random() < 0.7 or turn >= 60:
                holding[name] = set(members[name].assigned.get(TOPIC, {}))
            everything = [part for member in members.values() for part in member.partitions()]
            assert len(everything) == len(set(everything)), seed
            held = [index for had in holding.values() for index in had]
            assert len(held) == len(set(held)), seed
        for name in [*names, *names, *names]:
            owned = frozenset(part for other in members.values() for part in other.partitions())
            wanted = {TOPIC: target[name]} if target[name] else {}
            members[name] = step(members[name], epoch, wanted, reported={TOPIC: sorted(holding[name])}, owned=owned)
            holding[name] = set(members[name].assigned.get(TOPIC, {}))
        assert {name: frozenset(holding[name]) for name in names} == target, seed
