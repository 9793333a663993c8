"""What every error of the tree can do."""

import copy
import inspect
import pickle
import threading
from collections.abc import Iterator

import pytest

from felice import errors
from felice.errors import BrokerError, BufferFull, DeliveryError, ErrorCode, FeliceError, PartitionError, WireError


def kinds(root: type[FeliceError] = FeliceError) -> Iterator[type[FeliceError]]:
    """Yield the whole tree."""
    yield root
    for child in root.__subclasses__():
        yield from kinds(child)


def made(kind: type[FeliceError]) -> FeliceError:
    """Return an error of this kind with everything set."""
    if issubclass(kind, BrokerError):
        return kind(ErrorCode.NOT_LEADER_OR_FOLLOWER, "a test", broker_message="node 2 leads", hint="look there")
    if issubclass(kind, DeliveryError):
        return kind("lost", failed=3, first=ValueError("why"), may_have_happened=True, hint="look there")
    if issubclass(kind, PartitionError):
        return kind("bad", topic="letters", partition=1, offset=2, next_offset=3, hint="look there")
    if issubclass(kind, WireError):
        return kind("bad", position=4, hint="look there")
    return kind("bad", hint="look there", retriable=True, may_have_happened=True)


@pytest.mark.parametrize("kind", sorted(set(kinds()), key=lambda kind: kind.__name__))
def test_an_error_survives_pickle_and_copy(kind: type[FeliceError]) -> None:
    """Process pools and pytest-xdist carry errors over; one that cannot be read again takes the pool down."""
    error = made(kind)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert again is not error
        assert str(again) == str(error)
        assert again.args == error.args
        assert {name: str(value) for name, value in vars(again).items()} == {
            name: str(value) for name, value in vars(error).items()
        }


def test_a_full_buffer_travels_without_the_handle_of_what_was_accepted() -> None:
    """Deliveries belong to the process that sent the records; the count goes along."""
    error = BufferFull("no room")
    error.accepted, error.delivery = 3, threading.Lock()
    again = pickle.loads(pickle.dumps(error))
    assert (again.accepted, again.delivery, str(again)) == (3, None, "no room")


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every error that the module exports stands in its drawing."""
    assert errors.__doc__ is not None
    drawn = set(errors.__doc__.replace("─", " ").split())
    exported = {name for name in errors.__all__ if inspect.isclass(getattr(errors, name))}
    assert {name for name in exported if issubclass(getattr(errors, name), FeliceError)} <= drawn
