"""What brokers keep for others: access control entries, quotas, SCRAM users."""

import math
from typing import Any

import pytest

from felice.broker.acls import Acl, AclFilter, Acls, Pattern
from felice.broker.quotas import Component, Quotas, entity
from felice.broker.refusal import Refused
from felice.broker.scram_users import Credential, Deletion, Mechanism, ScramUsers, Upsertion
from felice.errors import ErrorCode

TOPIC, READ, ALLOW, ANY = 2, 3, 3, 1
EXACT, DEFAULT, SPECIFIED = range(3)


def acl(name: str, pattern: int = Pattern.LITERAL, **parts: Any) -> Acl:
    """An entry for a topic."""
    return Acl(TOPIC, name, pattern, "User:me", "*", READ, ALLOW)._replace(**parts)


def wanted(**parts: Any) -> AclFilter:
    """A filter for all, but for its parts."""
    return AclFilter(ANY, None, Pattern.ANY, None, None, ANY, ANY)._replace(**parts)


@pytest.fixture
def acls() -> Acls:
    """Entries of all patterns."""
    made = Acls()
    for one in (acl("letters"), acl("*"), acl("let", Pattern.PREFIXED), acl("parcels"), acl("letters", operation=4)):
        made.add(one)
    return made


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        (Pattern.ANY, "letters", ["letters", "letters"]),
        (Pattern.LITERAL, "let", []),
        (Pattern.PREFIXED, "let", ["let"]),
        (Pattern.ANY, "let", ["let"]),
        (Pattern.MATCH, "letters", ["letters", "*", "let", "letters"]),
        (Pattern.MATCH, "parcel", ["*"]),
        (Pattern.LITERAL, None, ["letters", "*", "parcels", "letters"]),
        (Pattern.MATCH, None, ["letters", "*", "let", "parcels", "letters"]),
    ],
)
def test_filters_mean_names_by_their_pattern(acls: Acls, pattern: int, name: str | None, found: list[str]) -> None:
    """`MATCH` means all entries that cover a name; the others mean what was written (KIP-290)."""
    assert [one.resource_name for one in acls.find(wanted(pattern_type=pattern, resource_name=name))] == found


@pytest.mark.parametrize(
    "parts",
    [{"principal": "User:you"}, {"host": "10.0.0.1"}, {"operation": 9}, {"permission": 2}, {"resource_type": 3}],
)
def test_every_part_of_a_filter_counts(acls: Acls, parts: dict[str, Any]) -> None:
    """One part that does not fit is enough."""
    assert acls.find(wanted(**parts)) == []


def test_entries_are_kept_once_and_removed_once(acls: Acls) -> None:
    """Adding one again changes nothing, and so does removing it again."""
    acls.add(acl("letters"))
    assert len(list(acls)) == 5
    acls.remove([acl("letters"), acl("letters"), acl("nobody")])
    assert len(list(acls)) == 4


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"resource_name": ""}, ErrorCode.INVALID_REQUEST),
        ({"principal": "me"}, ErrorCode.INVALID_REQUEST),
        ({"resource_type": 4}, ErrorCode.INVALID_REQUEST),
        ({"operation": 99}, ErrorCode.INVALID_REQUEST),
        ({"operation": ANY}, ErrorCode.UNKNOWN_SERVER_ERROR),
        ({"pattern_type": Pattern.MATCH}, ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
def test_entries_that_cannot_be(acls: Acls, wrong: dict[str, Any], code: ErrorCode) -> None:
    """They are refused, and nothing is kept."""
    with pytest.raises(Refused) as refused:
        acls.add(acl("letters")._replace(**wrong))
    assert refused.value.code is code
    assert len(list(acls)) == 5


@pytest.fixture
def quotas() -> Quotas:
    """Quotas of users, clients, and both."""
    made = Quotas()
    everybody: list[list[tuple[str, str | None]]] = [
        [("user", "a")],
        [("user", None)],
        [("user", "a"), ("client-id", "c")],
        [("client-id", "c")],
    ]
    for number, pairs in enumerate(everybody, 1):
        made.change(entity(pairs), [("producer_byte_rate", float(number))])
    return made


@pytest.mark.parametrize(
    ("components", "strict", "found"),
    [
        ([], False, [1, 2, 3, 4]),
        ([], True, []),
        ([Component("user", EXACT, "a")], False, [1, 3]),
        ([Component("user", EXACT, "a")], True, [1]),
        ([Component("user", DEFAULT, None)], False, [2]),
        ([Component("user", SPECIFIED, None)], False, [1, 2, 3]),
        ([Component("user", SPECIFIED, None), Component("client-id", EXACT, "c")], True, [3]),
        ([Component("ip", SPECIFIED, None)], False, []),
    ],
)
def test_quotas_are_found_by_components(
    quotas: Quotas, components: list[Component], strict: bool, found: list[int]
) -> None:
    """All components must be there; with `strict` no other ones (KIP-546)."""
    values = [values["producer_byte_rate"] for _, values in quotas.find(components, strict=strict)]
    assert values == [float(number) for number in found]


def test_an_entity_without_quotas_is_forgotten(quotas: Quotas) -> None:
    """The last one that goes takes it along."""
    quotas.change(entity([("user", None)]), [("producer_byte_rate", None), ("unheard_of", None)])
    assert (("user", None),) not in dict(quotas)


@pytest.mark.parametrize(
    ("pairs", "key", "value"),
    [
        ([("user", "a")], "unheard_of", 1.0),
        ([("user", "a")], "producer_byte_rate", 0.5),
        ([("user", "a")], "producer_byte_rate", 0.0),
        ([("user", "a")], "producer_byte_rate", math.inf),
        ([("user", "a")], "connection_creation_rate", 1.0),
        ([("ip", "10.0.0.1")], "connection_creation_rate", 2.0**31),
        ([("ip", "10.0.0.1")], "producer_byte_rate", 1.0),
    ],
)
def test_quotas_that_cannot_be(pairs: list[tuple[str, str | None]], key: str, value: float) -> None:
    """Rates in bytes are whole numbers above 0, and each type has its own keys."""
    with pytest.raises(Refused) as refused:
        Quotas().check(entity(pairs), [(key, value)])
    assert refused.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("nobody", "a")],
        [("user", "")],
        [("user", "a"), ("user", "b")],
        [("ip", "x")],
        [("ip", None), ("user", None)],
    ],
)
def test_entities_that_cannot_be(pairs: list[tuple[str, str | None]]) -> None:
    """Types that there are not, or that do not go together."""
    with pytest.raises(Refused):
        entity(pairs)


PASSWORD = Credential(4096, b"salt", b"salted")


def test_scram_users_have_a_credential_a_mechanism() -> None:
    """The last one that goes takes the user along."""
    users = ScramUsers()
    assert users.alter([], [Upsertion("a", 1, PASSWORD)]) == {"a": None}
    assert users.alter([], [Upsertion("a", 2, PASSWORD)]) == {"a": None}
    assert set(users.credentials("a")) == {Mechanism.SCRAM_SHA_256, Mechanism.SCRAM_SHA_512}
    users.alter([Deletion("a", 1)], [])
    users.alter([Deletion("a", 2)], [])
    with pytest.raises(Refused) as refused:
        users.credentials("a")
    assert refused.value.code is ErrorCode.RESOURCE_NOT_FOUND


def test_a_user_is_changed_wholly_or_not_at_all() -> None:
    """Others in the request are none the worse."""
    users = ScramUsers()
    weak = Credential(1, b"salt", b"salted")
    results = users.alter([], [Upsertion("a", 1, PASSWORD), Upsertion("a", 2, weak), Upsertion("b", 1, PASSWORD)])
    assert {name: refused and refused.code for name, refused in results.items()} == {
        "a": ErrorCode.UNACCEPTABLE_CREDENTIAL,
        "b": None,
    }
    assert users.names() == ["b"]
