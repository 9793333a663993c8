"""Who may do what, by entries and settings."""

from typing import Any

import pytest

from felice.broker.acls import Acl, Acls, Pattern
from felice.broker.authorization import EVERY_BIT, REFUSALS, SUPPORTED, Authorizer, Operation, Resource
from felice.broker.setting import Settings
from felice.broker.setting_tables import BROKER_SETTINGS

DENY, ALLOW = 2, 3
HERE, THERE = "127.0.0.1", "10.0.0.1"
PREFIXED = Pattern.PREFIXED


def entry(operation: Operation, name: str = "letters", **parts: Any) -> Acl:
    """An entry that allows everybody something with a topic."""
    made = Acl(Resource.TOPIC, name, Pattern.LITERAL, "User:*", "*", operation, ALLOW)
    return made._replace(**parts)


def authorizer(*entries: Acl, **settings: str) -> Authorizer:
    """One with entries and settings."""
    acls = Acls()
    for one in entries:
        acls.add(one)
    return Authorizer(
        acls, Settings(BROKER_SETTINGS, {name.replace("_", "."): text for name, text in settings.items()})
    )


def may(guard: Authorizer, operation: Operation, name: str = "letters", host: str = HERE) -> bool:
    """Tell whether something may be done with a topic."""
    return guard.allows(host, operation, Resource.TOPIC, name)


def test_without_entries_nobody_may_do_anything() -> None:
    """Unless it is set that everybody may, or that they are above all entries."""
    opened = {"allow_everyone_if_no_acl_found": "true"}
    assert not may(authorizer(), Operation.READ)
    assert may(authorizer(**opened), Operation.READ)
    assert may(authorizer(super_users="User:me;User:ANONYMOUS"), Operation.READ)
    assert not may(authorizer(super_users="User:me"), Operation.READ)


def test_super_users_are_above_entries() -> None:
    """What is denied to all is not denied to them."""
    denied = entry(Operation.ALL, permission=DENY)
    assert may(authorizer(denied, super_users="User:ANONYMOUS"), Operation.READ)


def test_a_resource_that_entries_speak_of_is_open_to_nobody_else() -> None:
    """Whomever and whatever they are for, `allow.everyone.if.no.acl.found` is not for it any more."""
    guard = authorizer(entry(Operation.READ, principal="User:me"), allow_everyone_if_no_acl_found="true")
    assert not may(guard, Operation.READ)
    assert not may(guard, Operation.WRITE)
    assert may(guard, Operation.READ, "parcels")
    assert guard.allows(HERE, Operation.READ, Resource.GROUP, "letters")


@pytest.mark.parametrize("first", [DENY, ALLOW])
def test_denying_wins_in_any_order(first: int) -> None:
    """Also where what allows is more exact."""
    entries = [entry(Operation.READ), entry(Operation.ALL, "*", permission=DENY)]
    guard = authorizer(*(entries if first == ALLOW else reversed(entries)))
    assert not may(guard, Operation.READ)


@pytest.mark.parametrize(
    ("named", "pattern", "covered"),
    [
        ("letters", Pattern.LITERAL, {"letters"}),
        ("let", Pattern.LITERAL, {"let"}),
        ("let", PREFIXED, {"letters", "let"}),
        ("*", Pattern.LITERAL, {"letters", "let", "parcels"}),
        ("*", PREFIXED, set()),
    ],
)
def test_patterns(named: str, pattern: Pattern, covered: set[str]) -> None:
    """Literal names, prefixes, and the literal `*` for all names (KIP-290)."""
    guard = authorizer(entry(Operation.READ, named, pattern_type=pattern))
    assert {name for name in ("letters", "let", "parcels") if may(guard, Operation.READ, name)} == covered


@pytest.mark.parametrize(
    ("allowed", "implied"),
    [
        (Operation.READ, {Operation.READ, Operation.DESCRIBE}),
        (Operation.WRITE, {Operation.WRITE, Operation.DESCRIBE}),
        (Operation.DELETE, {Operation.DELETE, Operation.DESCRIBE}),
        (Operation.ALTER, {Operation.ALTER, Operation.DESCRIBE}),
        (Operation.CREATE, {Operation.CREATE}),
        (Operation.DESCRIBE, {Operation.DESCRIBE}),
        (Operation.ALTER_CONFIGS, {Operation.ALTER_CONFIGS, Operation.DESCRIBE_CONFIGS}),
        (Operation.DESCRIBE_CONFIGS, {Operation.DESCRIBE_CONFIGS}),
        (Operation.ALL, set(SUPPORTED[Resource.TOPIC])),
    ],
)
def test_implied_operations(allowed: Operation, implied: set[Operation]) -> None:
    """What is allowed allows to see what it is about."""
    guard = authorizer(entry(allowed))
    assert {operation for operation in SUPPORTED[Resource.TOPIC] if may(guard, operation)} == implied


def test_denying_implies_nothing() -> None:
    """Who may not read may still describe, and who may not describe may read."""
    guard = authorizer(entry(Operation.ALL), entry(Operation.READ, permission=DENY))
    assert may(guard, Operation.DESCRIBE)
    guard = authorizer(entry(Operation.ALL), entry(Operation.DESCRIBE, permission=DENY))
    assert may(guard, Operation.READ)


def test_hosts_and_principals() -> None:
    """An entry is for whoever comes from its host, and for its user only; IPv6 is written in full, as in Java."""
    guard = authorizer(entry(Operation.READ, host=HERE), entry(Operation.WRITE, principal="User:ANONYMOUS", host="*"))
    assert may(guard, Operation.READ)
    assert not may(guard, Operation.READ, host=THERE)
    assert may(guard, Operation.WRITE, host=THERE)
    assert may(authorizer(entry(Operation.READ, host="0:0:0:0:0:0:0:1")), Operation.READ, host="::1")


def test_entries_count_as_soon_as_they_are_there() -> None:
    """And no longer."""
    acls, denied = Acls(), entry(Operation.READ, permission=DENY)
    guard = Authorizer(acls, Settings(BROKER_SETTINGS, {"allow.everyone.if.no.acl.found": "true"}))
    assert may(guard, Operation.READ)
    acls.add(denied)
    assert not may(guard, Operation.READ)
    acls.remove([denied])
    assert may(guard, Operation.READ)


@pytest.mark.parametrize(
    ("entries", "some"),
    [
        ([], False),
        ([entry(Operation.WRITE)], True),
        ([entry(Operation.ALL)], True),
        ([entry(Operation.READ)], False),
        ([entry(Operation.WRITE, principal="User:me")], False),
        ([entry(Operation.WRITE, host=THERE)], False),
        ([entry(Operation.WRITE), entry(Operation.WRITE, permission=DENY)], False),
        ([entry(Operation.WRITE), entry(Operation.WRITE, "parcels", permission=DENY)], True),
        ([entry(Operation.WRITE), entry(Operation.ALL, "*", permission=DENY)], False),
        ([entry(Operation.WRITE), entry(Operation.WRITE, "let", pattern_type=PREFIXED, permission=DENY)], False),
        ([entry(Operation.WRITE, "le", pattern_type=PREFIXED), entry(Operation.WRITE, "let", pattern_type=PREFIXED,
          permission=DENY)], True),
        ([entry(Operation.WRITE, pattern_type=PREFIXED), entry(Operation.WRITE, permission=DENY)], True),
        ([entry(Operation.WRITE, "*"), entry(Operation.WRITE, "a", pattern_type=PREFIXED, permission=DENY)], True),
    ],
)  # fmt: skip
def test_something_with_any_resource(entries: list[Acl], some: bool) -> None:
    """One name is enough that is allowed and not denied altogether (KIP-679)."""
    assert authorizer(*entries).allows_some(HERE, Operation.WRITE, Resource.TOPIC) is some


def test_what_can_be_done_at_all() -> None:
    """The bits are those of KIP-430, and every kind of resource has a code of its own."""
    assert EVERY_BIT[Resource.TOPIC] == 0b1101_1111_1000
    assert EVERY_BIT[Resource.CLUSTER] == 0b1_1111_1010_0000
    assert EVERY_BIT[Resource.GROUP] == 0b1101_0100_1000
    assert set(REFUSALS) == set(Resource)
