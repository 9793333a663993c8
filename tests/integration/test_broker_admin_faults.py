"""An error that a test orders is what every API answers, however wrongly it is asked."""

from collections.abc import Iterator
from typing import Any

import pytest

from asking import Asker
from felice.broker import Broker
from felice.broker.call import no_partitions
from felice.broker.handlers import HANDLERS
from felice.errors import ErrorCode
from felice.wire.messages.alter_share_group_offsets import AlterShareGroupOffsetsRequest
from felice.wire.messages.registry import API_NAMES, REQUESTS
from felice.wire.schema import Struct

ASKED = tuple(key for key in HANDLERS if key not in (17, 18, 36))
GROUP_FIRST = (47, 91)
"""Of a group that is not there these say that it is not, and nothing of topics."""
BY_ID_ONLY = (78, 79, 83, 84, 85, 86, 87)
"""Share groups' APIs that know topics by their IDs, so a fault's topic must be there."""
NAMING = tuple(
    key for key in ASKED if HANDLERS[key].partitions is not no_partitions and key not in (*GROUP_FIRST, *BY_ID_ONLY)
)
BY_NAME = {0: 12, 1: 12, 8: 9, 9: 9, 20: 5, 24: 3}
"""The last versions that name topics."""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One node."""
    with Broker({"letters": 1}) as broker:
        yield broker


def filled(struct: type[Struct], version: int) -> Struct:
    """A struct with one element, made likewise, in each of a version's lists; topics are called x."""
    made = struct()
    for field in made.__fields__:
        if field.type == "array" and version in field.versions:
            inner = field.of
            element = filled(inner.of, version) if inner.type == "struct" else VALUES[inner.type]
            setattr(made, field.name, [element])
        elif field.name in NAMES and version in field.versions:
            setattr(made, field.name, NAMES[field.name])
    return made


NAMES = {"name": "x", "topic": "x", "topic_name": "x", "resource_name": "x", "resource_type": 2, "acks": 1}
VALUES: dict[str, Any] = {"int8": 0, "int32": 0, "int64": 0, "string": "x"}


def codes(value: Any) -> set[int]:
    """All error codes in an answer."""
    if isinstance(value, list):
        return {code for item in value for code in codes(item)}
    if isinstance(value, Struct):
        fields = {field.name: getattr(value, field.name) for field in value.__fields__}
        own = {int(code) for name, code in fields.items() if name.endswith("error_code")}
        return own.union(*map(codes, fields.values()))
    return set()


def answered(broker: Broker, key: int, **where: Any) -> set[int]:
    """Ask for an error and then an API; return the codes that are in its answer."""
    request_class = REQUESTS[key]
    version = BY_NAME.get(key, request_class.max_version)
    with (
        broker.faults.error(ErrorCode.KAFKA_STORAGE_ERROR, API_NAMES[key], **where),
        Asker(broker.bootstrap_servers, "faults") as asker,
    ):
        return codes(asker.ask(filled(request_class, version), version)) - {0}


@pytest.mark.parametrize("key", ASKED, ids=[API_NAMES[key] for key in ASKED])
def test_the_error_that_was_ordered_comes(broker: Broker, key: int) -> None:
    """And nothing else but the absence of one."""
    assert answered(broker, key) == {ErrorCode.KAFKA_STORAGE_ERROR}
    assert broker.topics == {"letters": 1}


@pytest.mark.parametrize("key", NAMING, ids=[API_NAMES[key] for key in NAMING])
def test_the_error_that_was_ordered_for_a_topic_comes(broker: Broker, key: int) -> None:
    """Where a request names it."""
    assert answered(broker, key, topic="x") == {ErrorCode.KAFKA_STORAGE_ERROR}
    assert "x" not in broker.topics


def test_an_error_for_a_topic_comes_where_a_share_groups_offsets_are_altered(broker: Broker) -> None:
    """Whether the topic is there or not; and nothing is altered, but for the other topic."""
    request = AlterShareGroupOffsetsRequest(
        group_id="readers",
        topics=[
            AlterShareGroupOffsetsRequest.Topic(
                topic_name=name,
                partitions=[AlterShareGroupOffsetsRequest.Partition(partition_index=0, start_offset=0)],
            )
            for name in ("letters", "x")
        ],
    )
    for aimed in ("letters", "x"):
        fault = broker.faults.error(ErrorCode.KAFKA_STORAGE_ERROR, "AlterShareGroupOffsets", topic=aimed)
        with fault, Asker(broker.bootstrap_servers, "faults") as asker:
            answer = asker.ask(request, 0)
        found = {topic.topic_name: topic.partitions[0].error_code for topic in answer.responses}
        usual = {"letters": ErrorCode.NONE, "x": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert found == usual | {aimed: ErrorCode.KAFKA_STORAGE_ERROR}
