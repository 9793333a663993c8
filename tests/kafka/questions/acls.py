"""Questions about ACLs: of a broker without an authorizer, and of one that has one and lets everybody in."""

import itertools
from typing import Any

from asking import SILENCE, Asker, comparable
from felice.wire.messages.create_acls import CreateAclsRequest
from felice.wire.messages.delete_acls import DeleteAclsRequest
from felice.wire.messages.describe_acls import DescribeAclsRequest
from questions.asked import eventually, guarded, question

ANY, MATCH, LITERAL, PREFIXED = 1, 2, 3, 4
TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID, TOKEN, USER = 2, 3, 4, 5, 6, 7
READ, WRITE, CREATE = 3, 4, 5
DENY, ALLOW = 2, 3

Acl = tuple[int, str, int, str, str, int, int]
"""Resource type, name, pattern type, principal, host, operation, permission."""


def acl(
    name: str, kind: int = TOPIC, pattern: int = LITERAL, principal: str = "User:me", host: str = "*",
    operation: int = READ, permission: int = ALLOW,
) -> Acl:  # fmt: skip
    """An entry, which may be read by one user unless it says otherwise."""
    return kind, name, pattern, principal, host, operation, permission


def create(asker: Asker, *acls: Acl, version: int = 3) -> Any:
    """Create entries."""
    creations = [
        CreateAclsRequest.AclCreation(
            resource_type=kind, resource_name=name, resource_pattern_type=pattern, principal=principal, host=host,
            operation=operation, permission_type=permission,
        )
        for kind, name, pattern, principal, host, operation, permission in acls
    ]  # fmt: skip
    return comparable(asker.ask(CreateAclsRequest(creations=creations), version))


def filters(
    kind: int = ANY, name: str | None = None, pattern: int = ANY, principal: str | None = None,
    host: str | None = None, operation: int = ANY, permission: int = ANY,
) -> dict[str, Any]:  # fmt: skip
    """A filter, for everything unless it says otherwise."""
    return {
        "resource_type_filter": kind, "resource_name_filter": name, "pattern_type_filter": pattern,
        "principal_filter": principal, "host_filter": host, "operation": operation, "permission_type": permission,
    }  # fmt: skip


def describe(asker: Asker, version: int = 3, **wanted: Any) -> Any:
    """Describe entries; their order does not matter."""
    answer = comparable(asker.ask(DescribeAclsRequest(**filters(**wanted)), version))
    if answer == SILENCE:
        return answer
    for resource in answer["resources"]:
        resource["acls"].sort(key=str)
    answer["resources"].sort(key=str)
    return answer


def delete(asker: Asker, *wanted: dict[str, Any], version: int = 3) -> Any:
    """Delete entries; their order does not matter."""
    asked = [DeleteAclsRequest.DeleteAclsFilter(**one) for one in wanted]
    answer = comparable(asker.ask(DeleteAclsRequest(filters=asked), version))
    if answer == SILENCE:
        return answer
    for result in answer["filter_results"]:
        result["matching_acls"].sort(key=str)
    return answer


def seen(asker: Asker, count: int, **wanted: Any) -> None:
    """Wait until there are as many entries."""
    eventually(lambda: sum(len(found["acls"]) for found in describe(asker, **wanted)["resources"]) == count)


@question
def acls_without_an_authorizer(asker: Asker) -> Any:
    """Nothing can be asked of who is not there."""
    return [
        answer
        for version in range(1, 4)
        for answer in (
            create(asker, acl("a"), acl("b"), version=version),
            describe(asker, version, pattern=LITERAL),
            delete(asker, filters(), filters(name="a", kind=TOPIC), version=version),
        )
    ]


@guarded
def acls_in_all_versions(asker: Asker) -> Any:
    """Entries are created, found and deleted; twice is no error."""
    answers = []
    for version in range(1, 4):
        name = asker.name()
        answers.append(create(asker, acl(name), acl(name, operation=WRITE, permission=DENY), version=version))
        seen(asker, 2, kind=TOPIC, name=name)
        answers.append(create(asker, acl(name), version=version))
        answers.append(describe(asker, version, kind=TOPIC, name=name))
        answers.append(delete(asker, filters(kind=TOPIC, name=name), version=version))
        seen(asker, 0, kind=TOPIC, name=name)
        answers.append(delete(asker, filters(kind=TOPIC, name=name), version=version))
    return answers


@guarded
def acls_by_all_filters(asker: Asker) -> Any:
    """Each part of a filter, each pattern type, alone and together."""
    name = asker.name()
    mine = f"User:{name}"
    entries = [
        acl(name, principal=mine), acl(name, operation=WRITE, host="10.0.0.1", principal=mine),
        acl(name, permission=DENY, principal=mine), acl(f"{name}-a", principal=mine),
        acl(name[:-1], pattern=PREFIXED, principal=mine), acl(name, pattern=PREFIXED, principal=mine),
        acl("*", principal=mine), acl(name, GROUP, principal=mine), acl("kafka-cluster", CLUSTER, principal=mine,
        operation=CREATE), acl(name, TRANSACTIONAL_ID, operation=WRITE, principal=mine),
        acl(name, TOKEN, operation=8, principal=mine), acl(mine, USER, operation=13, principal=mine),
        acl(name, operation=2, principal=mine),
    ]  # fmt: skip
    answers = [create(asker, *entries)]
    seen(asker, len(entries), principal=mine)
    for pattern, asked in itertools.product(
        (ANY, MATCH, LITERAL, PREFIXED), (name, f"{name}-a", f"{name}x", "*", "q", None)
    ):
        answers.append(describe(asker, kind=TOPIC, name=asked, pattern=pattern, principal=mine))
    answers += [
        describe(asker, principal=mine, **wanted)
        for wanted in (
            {}, {"host": "*"}, {"host": "10.0.0.1"}, {"host": "10.0.0.2"}, {"operation": READ}, {"operation": 2},
            {"operation": WRITE, "permission": ALLOW}, {"permission": DENY}, {"kind": GROUP}, {"kind": USER},
            {"kind": CLUSTER}, {"kind": TOKEN, "version": 2}, {"pattern": MATCH}, {"version": 1}, {"kind": 99},
            {"kind": 0}, {"operation": 0}, {"operation": 99}, {"permission": 0}, {"permission": 99}, {"pattern": 0},
            {"pattern": 99}, {"version": 2},
        )
    ]  # fmt: skip
    answers.append(describe(asker, kind=TOPIC, principal="User:nobody-is-called-this"))
    answers.append(delete(asker, filters(kind=TOPIC, name=name, pattern=MATCH, principal=mine)))
    seen(asker, 6, principal=mine)
    answers.append(describe(asker, principal=mine))
    answers.append(delete(asker, filters(principal=mine), filters(principal=mine, kind=USER)))
    seen(asker, 0, principal=mine)
    return answers


@guarded
def acls_that_cannot_be(asker: Asker) -> Any:
    """Entries and filters with what there is not."""
    name = asker.name()
    wrong = [
        acl(name, 0), acl(name, ANY), acl(name, 99), acl("", TOPIC), acl(name, pattern=ANY), acl(name, pattern=MATCH),
        acl(name, pattern=0), acl(name, pattern=99), acl(name, principal="me"), acl(name, principal=""),
        acl(name, principal="User:"), acl(name, principal=":me"), acl(name, host=""), acl(name, operation=0),
        acl(name, operation=1), acl(name, operation=99), acl(name, permission=0), acl(name, permission=1),
        acl(name, permission=99), acl("other-cluster", CLUSTER), acl(name, CLUSTER), acl("kafka-cluster", CLUSTER,
        pattern=PREFIXED), acl("wrong name"), acl(name, operation=15), acl(name, GROUP, operation=CREATE),
        acl(name, host="not an address"), acl("*", pattern=PREFIXED), acl("not:a:user", USER, operation=13),
        acl("nobody", USER, operation=13),
    ]  # fmt: skip
    answers = [create(asker, entry) for entry in wrong]
    answers.append(create(asker))
    answers.append(create(asker, acl(f"{name}-2"), acl("")))
    answers.append(create(asker, acl(name, USER, operation=13), version=2))
    answers += [
        delete(asker, filters(name=name, **wanted))
        for wanted in (
            {"kind": 0},
            {"kind": 99},
            {"pattern": 0},
            {"operation": 0},
            {"permission": 0},
            {"permission": 99},
        )
    ]
    answers.append(delete(asker))
    answers.append(delete(asker, filters(kind=0), filters(kind=TOPIC, name=name)))
    asker.ask(DeleteAclsRequest(filters=[DeleteAclsRequest.DeleteAclsFilter(**filters(principal="User:me"))]), 3)
    seen(asker, 0, principal="User:me")
    return answers
