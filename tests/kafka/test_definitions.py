"""Kafka's own definitions, from the jar of its client, judge what we have written down and how rich the notation is."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from definitions import (
    TYPES,
    default_of,
    read_definitions,
    snake,
    span,
    stable,
    structs_of,
    translate,
    versions_of,
)

from felice.wire.messages.registry import API_NAMES, REQUESTS
from felice.wire.schema import Message, RecordKey, RecordValue, Request, Response
from message_values import each_version, for_all, values, written_down

JARS = ("kafka-clients", "kafka-group-coordinator", "kafka-transaction-coordinator", "kafka-share-coordinator")
"""Those of Kafka's jars whose messages clients and coordinators exchange or write into topics."""

EXAMPLES = 5
"""Values per definition and version; there are about seven hundred of these."""

SHARES = 8
"""Into how many tests the definitions are divided, so that they can run beside each other."""


@pytest.fixture(scope="session")
def definitions(kafka_libs: Path) -> dict[str, dict[str, Any]]:
    """All definitions in these jars that have a valid version."""
    return read_definitions(*(kafka_libs / f"{jar}-4.3.1.jar" for jar in JARS))


def keeps(version: int, value: Message) -> None:
    """What was written is what is read."""
    assert value.decode(b"".join(value.encode(version)), version) == value


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.timeout(300)
def test_every_definition_of_kafka_can_be_written_in_our_notation_and_keeps_its_values(
    definitions: dict[str, dict[str, Any]], share: int
) -> None:
    """Each one in the jars, translated by program, reads back what it wrote, in every valid version."""
    names = sorted(definitions)
    assert len(names) > 230
    for message, version in each_version([translate(definitions[name]) for name in names[share::SHARES]]):
        for_all(values(message, version), partial(keeps, version), EXAMPLES)


@pytest.mark.parametrize("message", written_down(), ids=lambda message: message.__name__)
def test_what_is_written_down_is_what_the_jar_says_field_by_field(
    definitions: dict[str, dict[str, Any]], message: type[Message]
) -> None:
    """Names, order, types, versions, nullability, tags, defaults and what may be ignored are Kafka's own."""
    name = message.__name__
    definition = definitions[name]
    versions = stable(name, definitions)
    assert range(message.min_version, message.max_version + 1) == versions
    if issubclass(message, Request | Response):
        assert message.api_key == definition["apiKey"]
    elif issubclass(message, RecordKey):
        assert definition["type"] == "coordinator-key"
        assert message.record_type == definition["apiKey"]
        assert message.value.__name__ == name.removesuffix("Key") + "Value"
    else:
        assert definition["type"] == ("coordinator-value" if issubclass(message, RecordValue) else "data")
    assert {v for v in versions if message.flexible(v)} == span(definition["flexibleVersions"], versions)
    common = structs_of(definition)

    def compare(ours: type, theirs: list[dict[str, Any]], path: str) -> None:
        theirs = [field for field in theirs if span(versions_of(field), versions)]
        assert [f.name for f in ours.__fields__] == [snake(f["name"]) for f in theirs], path  # type: ignore[attr-defined]
        for field, other in zip(ours.__fields__, theirs, strict=True):  # type: ignore[attr-defined]
            where = f"{path}.{field.name}"
            in_all = lambda it: {v for v in versions if v in it}  # noqa: E731
            assert in_all(field.versions) == span(versions_of(other), versions), where
            assert in_all(field.nullable) == span(other.get("nullableVersions"), versions), where
            assert in_all(field.tagged) == span(other.get("taggedVersions"), versions), where
            assert field.tag == other.get("tag"), where
            assert field.ignorable == other.get("ignorable", False), where
            assert field.default == default_of(other), where
            assert (field.flexible is None) == ("flexibleVersions" not in other), where
            is_array = other["type"].startswith("[]")
            assert (field.type == "array") == is_array, where
            inner = field.of if is_array else field
            kind = other["type"].removeprefix("[]")
            fields = other.get("fields") or common.get(kind)
            if fields is None:
                assert inner.type == TYPES.get(kind, kind), where
            else:
                assert inner.type == "struct", where
                assert inner.of.__name__ in (kind, kind.removeprefix(name)), where
                compare(inner.of, fields, where)

    compare(message, definition["fields"], name)


def test_the_registry_knows_every_request_by_its_key_and_name(definitions: dict[str, dict[str, Any]]) -> None:
    """Keys and names in the registry are those of the definitions, and it has every request that is written down."""
    keys = {d["apiKey"]: d["name"].removesuffix("Request") for d in definitions.values() if d["type"] == "request"}
    assert {key: keys[key] for key in API_NAMES} == dict(API_NAMES)
    for key, request in REQUESTS.items():
        assert issubclass(request, Request)
        assert request.api_name == API_NAMES[key]
        assert request.response.__name__ == f"{API_NAMES[key]}Response"
    assert {one for one in written_down() if issubclass(one, Request)} == set(REQUESTS.values())
    assert {one for one in written_down() if issubclass(one, Response)} == {one.response for one in REQUESTS.values()}


def test_every_request_that_a_broker_takes_is_written_down(definitions: dict[str, dict[str, Any]]) -> None:
    """By its name in the registry; that all its stable versions are there is seen field by field."""
    requests = [d for d in definitions.values() if d["type"] == "request" and "broker" in d["listeners"]]
    assert len(requests) == 77
    assert {d["name"].removesuffix("Request") for d in requests} == set(API_NAMES.values())


def test_every_record_that_a_coordinator_writes_is_written_down(definitions: dict[str, dict[str, Any]]) -> None:
    """Keys and values of the topics of groups, of transactions, and of the state of share groups."""
    records = {d["name"] for d in definitions.values() if d["type"].startswith("coordinator-")}
    assert records == {one.__name__ for one in written_down() if issubclass(one, RecordKey | RecordValue)}
