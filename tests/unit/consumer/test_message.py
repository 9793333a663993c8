"""Messages: values that never change."""

import copy
import pickle
from types import ModuleType
from typing import Any

import pytest

from felice.types import TimestampType


def made(twin: ModuleType, **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "key": b"k",
        "headers": [("h", b"1"), ("n", None)],
        "timestamp_ms": 17,
        "timestamp_type": TimestampType.LOG_APPEND,
        "leader_epoch": 4,
    }
    return twin.Message("letters", 2, 2**40, b"value", **fields | changes)


def test_a_message_has_what_it_was_made_of(twin: ModuleType) -> None:
    message = made(twin)
    assert (message.topic, message.partition, message.offset) == ("letters", 2, 2**40)
    assert (message.value, message.key, message.headers) == (b"value", b"k", (("h", b"1"), ("n", None)))
    assert (message.timestamp_ms, message.timestamp_type, message.leader_epoch) == (17, TimestampType.LOG_APPEND, 4)
    assert message.size == len(b"value") + len(b"k") + len("h") + len(b"1") + len("n")


def test_the_rest_has_defaults(twin: ModuleType) -> None:
    message = twin.Message("letters", 0, 0, None)
    assert (message.value, message.key, message.headers, message.size) == (None, None, (), 0)
    assert (message.timestamp_ms, message.timestamp_type, message.leader_epoch) == (-1, TimestampType.CREATE, -1)


@pytest.mark.parametrize(
    "name", ["topic", "partition", "offset", "value", "key", "headers", "timestamp_ms", "timestamp_type", "size"]
)
def test_no_field_can_be_set_or_deleted(twin: ModuleType, name: str) -> None:
    message = made(twin)
    with pytest.raises((AttributeError, TypeError)):
        setattr(message, name, getattr(message, name))
    with pytest.raises((AttributeError, TypeError)):
        delattr(message, name)
    with pytest.raises(AttributeError):
        message.other = 1
    assert message == made(twin)


def test_a_message_cannot_be_made_anew_in_place(twin: ModuleType) -> None:
    message = made(twin)
    with pytest.raises(TypeError, match="never changes"):
        message.__init__("other", 0, 0, b"")
    assert message == made(twin)


def test_equal_fields_make_equal_messages(twin: ModuleType) -> None:
    assert made(twin) == made(twin)
    assert hash(made(twin)) == hash(made(twin))
    assert made(twin) != made(twin, key=b"other")
    assert made(twin) != "a message"


def test_a_message_survives_pickle_and_copy(twin: ModuleType) -> None:
    assert pickle.loads(pickle.dumps(made(twin))) == made(twin)
    assert copy.deepcopy(made(twin)) == made(twin)


def test_the_repr_is_short_and_names_the_place(twin: ModuleType) -> None:
    said = repr(twin.Message("letters", 2, 5, b"x" * 10_000))
    assert said.startswith("Message(topic='letters', partition=2, offset=5, ")
    assert len(said) < 200


def test_a_message_can_be_subscripted_for_types(twin: ModuleType) -> None:
    assert twin.Message[str, int].__args__ == (str, int)


def test_a_message_that_was_not_initialised_raises_and_does_not_crash(twin: ModuleType) -> None:
    empty = twin.Message.__new__(twin.Message)
    with pytest.raises(AttributeError):
        _ = empty.value
    with pytest.raises(AttributeError):
        repr(empty)
