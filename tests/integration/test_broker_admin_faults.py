"""An error that a test orders is what every API for admins answers, however wrongly it is asked."""

from collections.abc import Iterator
from typing import Any

import pytest

from asking import Asker
from felice.broker import Broker
from felice.errors import ErrorCode
from felice.wire.messages.registry import API_NAMES, REQUESTS
from felice.wire.schema import Struct

ADMIN = (
    19, 20, 21, *range(29, 36), *range(37, 42), *range(43, 47), *range(48, 52), 55, 57, 60, 64, 71, 72, 74, 75,
)  # fmt: skip


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One node."""
    with Broker({"letters": 1}) as broker:
        yield broker


def filled(struct: type[Struct]) -> Struct:
    """A struct with one element, made likewise, in each of its lists; all else is at its default."""
    made = struct()
    for field in made.__fields__:
        if field.type == "array":
            element = field.of
            setattr(made, field.name, [filled(element.of) if element.type == "struct" else VALUES[element.type]])
    return made


VALUES: dict[str, Any] = {"int8": 0, "int32": 0, "string": "x"}


def codes(value: Any) -> set[int]:
    """All error codes in an answer."""
    if isinstance(value, list):
        return {code for item in value for code in codes(item)}
    if isinstance(value, Struct):
        own = {int(value.error_code)} if hasattr(value, "error_code") else set()
        return own.union(*(codes(getattr(value, field.name)) for field in value.__fields__))
    return set()


@pytest.mark.parametrize("key", ADMIN, ids=[API_NAMES[key] for key in ADMIN])
def test_the_error_that_was_ordered_comes(broker: Broker, key: int) -> None:
    """And nothing else but the absence of one."""
    fault = broker.faults.error(ErrorCode.KAFKA_STORAGE_ERROR, API_NAMES[key])
    request: Any = filled(REQUESTS[key])
    with Asker(broker.bootstrap_servers, "faults") as asker:
        answer = asker.ask(request, request.max_version)
    fault.remove()
    assert codes(answer) - {0} == {ErrorCode.KAFKA_STORAGE_ERROR}
    assert broker.topics == {"letters": 1}
