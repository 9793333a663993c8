"""Iterating over message after message: in order, resumable, and knowing how far it is."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from felice.errors import DeserializeError
from wire_batches import batch, compacted


def batch_of(twin: ModuleType, wire: bytes, **options: Any) -> Any:
    reader = twin.Reader("letters", 0, 0, 0, **options)
    reader.add(wire)
    reader.decode(10**6)
    return reader.take(10**6)


def feed(*batches: Any) -> Callable[[], Any]:
    left = list(batches)
    return lambda: left.pop(0) if left else None


def test_messages_come_in_order_across_batches_and_then_end(twin: ModuleType) -> None:
    values = [b"%d" % n for n in range(1000)]
    batches = [batch_of(twin, batch(n, values[n : n + 250])) for n in range(0, 1000, 250)]
    batches.insert(2, twin.Batch.empty())
    messages = twin.Messages(feed(*batches))
    assert iter(messages) is messages
    assert [message.value for message in messages] == values
    assert list(messages) == []


def test_the_position_is_the_last_message_plus_one(twin: ModuleType) -> None:
    found = batch_of(twin, compacted(5, 30, [(7, b"a"), (20, b"b"), (25, b"c")]))
    messages = twin.Messages(feed(found))
    assert messages.position == -1
    assert next(messages).offset == 7
    assert messages.position == 8
    next(messages)
    assert messages.position == 21
    next(messages)
    assert messages.position == 26
    assert messages.batch is found


@pytest.mark.parametrize("taken", [0, 1, 255, 256, 257, 599, 600])
def test_the_rest_of_a_batch_can_be_taken_away(twin: ModuleType, taken: int) -> None:
    found = batch_of(twin, batch(0, [b"%d" % n for n in range(600)]))
    following = batch_of(twin, batch(600, [b"next"]))
    messages = twin.Messages(feed(found, following))
    seen = [next(messages).offset for _ in range(taken)]
    rest = messages.rest()
    assert messages.batch is None
    assert messages.position == -1
    if taken == 0:
        assert rest is None
        assert [message.offset for message in messages] == list(range(601))
        return
    assert rest.offsets() == list(range(taken, 600))
    assert (rest.offset, rest.next_offset) == (taken, 600)
    assert seen + [message.offset for message in rest] == list(range(600))
    assert [message.value for message in messages] == [b"next"]
    last = messages.rest()
    assert (len(last), last.offset, last.next_offset) == (0, 601, 601)
    assert messages.rest() is None


def test_what_refill_raises_comes_through_and_the_iteration_goes_on(twin: ModuleType) -> None:
    batches: list[Any] = [ValueError("no"), batch_of(twin, batch(0, [b"a"]))]

    def refill() -> Any:
        made = batches.pop(0)
        if isinstance(made, Exception):
            raise made
        return made

    messages = twin.Messages(refill)
    with pytest.raises(ValueError, match="no"):
        next(messages)
    assert next(messages).value == b"a"


def test_only_batches_are_accepted(twin: ModuleType) -> None:
    with pytest.raises(TypeError):
        next(twin.Messages(lambda: [1]))


def test_34_a_poison_pill_stays_until_somebody_seeks(twin: ModuleType) -> None:
    """Row 34: never skipped silently: it is raised each time, and the position stays before it."""
    messages = twin.Messages(feed(batch_of(twin, batch(0, [b"1", b"x", b"3"]), deserializers=(None, int))))
    assert next(messages).value == 1
    for _ in range(2):
        with pytest.raises(DeserializeError) as caught:
            next(messages)
        assert caught.value.offset == messages.position == 1


def test_a_deserializer_may_use_the_iteration_it_is_called_by(twin: ModuleType) -> None:
    """No message is lost or made twice, and nothing crashes, when a deserializer comes back in."""
    inner: list[int] = []
    messages: Any = None

    def decode(raw: bytes) -> int:
        if raw == b"1":
            inner.append(messages.position)
        return int(raw)

    found = batch_of(twin, batch(0, [b"0", b"1", b"2"]), deserializers=(None, decode))
    messages = twin.Messages(feed(found))
    assert [message.value for message in messages] == [0, 1, 2]
    assert inner == [1]


def test_a_message_that_is_taken_away_while_it_is_made_comes_once(twin: ModuleType) -> None:
    """Another thread pauses the partition while a record is deserialized: it comes with the rest, and not twice."""
    rests: list[Any] = []
    messages: Any = None

    def decode(raw: bytes) -> bytes:
        if raw == b"1" and not rests:
            rests.append(messages.rest())
        return raw

    first = batch_of(twin, batch(0, [b"0", b"1", b"2"]), deserializers=(None, decode))
    messages = twin.Messages(feed(first, batch_of(twin, batch(7, [b"7"]))))
    assert [message.value for message in messages] == [b"0", b"7"]
    assert rests[0].values() == [b"1", b"2"]


def test_an_iteration_nobody_holds_is_freed_with_what_it_has_made_ahead(twin: ModuleType) -> None:
    class Owner:
        def __init__(self) -> None:
            self.messages = twin.Messages(self.refill)
            self.batches = [batch_of(twin, batch(0, [b"x"] * 500))]

        def refill(self) -> Any:
            return self.batches.pop()

    owner = Owner()
    next(owner.messages)
    watched = weakref.ref(owner)
    del owner
    gc.collect()
    assert watched() is None


# -- async ------------------------------------------------------------------------------------------------------------


def feed_async(*batches: Any) -> Callable[[], Awaitable[Any]]:
    left = list(batches)

    async def refill() -> Any:
        await asyncio.sleep(0)
        return left.pop(0) if left else None

    return refill


async def test_async_messages_come_in_order_and_then_end(twin: ModuleType) -> None:
    values = [b"%d" % n for n in range(700)]
    messages = twin.AsyncMessages(
        feed_async(batch_of(twin, batch(0, values[:300])), twin.Batch.empty(), batch_of(twin, batch(300, values[300:])))
    )
    assert aiter(messages) is messages
    assert [message.value async for message in messages] == values
    assert [message async for message in messages] == []


async def test_an_async_message_can_be_awaited_in_every_way(twin: ModuleType) -> None:
    messages = twin.AsyncMessages(feed_async(batch_of(twin, batch(0, [b"%d" % n for n in range(6)]))))
    assert (await anext(messages)).value == b"0"
    assert (await messages.__anext__()).value == b"1"
    assert (await asyncio.wait_for(messages.__anext__(), 1)).value == b"2"
    assert (await asyncio.ensure_future(messages.__anext__())).value == b"3"
    assert (await anext(messages, None)).value == b"4"
    assert messages.position == 5
    assert [message.value for message in messages.rest()] == [b"5"]
    assert await anext(messages, None) is None


async def test_what_an_async_refill_raises_comes_through(twin: ModuleType) -> None:
    async def refill() -> Any:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        async for _ in twin.AsyncMessages(refill):
            pass


async def test_an_async_iteration_is_no_sync_one(twin: ModuleType) -> None:
    messages = twin.AsyncMessages(feed_async())
    with pytest.raises(TypeError):
        iter(messages)
    with pytest.raises(TypeError):
        next(messages)
