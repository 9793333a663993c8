"""Fetch sessions."""

import random

import pytest

from felice.broker.refusal import Refused
from felice.broker.sessions import EVICTABLE_AFTER, Exchange, FetchSessions
from felice.errors import ErrorCode
from felice.wire.messages.fetch import FetchRequest, FetchResponse

VERSION = 12


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the time that was set."""
        return self.now

    def time_ms(self) -> int:
        """Return it in milliseconds."""
        return int(self.now * 1000)


def made(slots: int = 10, clock: Hand | None = None) -> FetchSessions:
    """Sessions with some slots."""
    return FetchSessions(slots, clock or Hand(), random.Random(0))


def asked(session_id: int, epoch: int, *indexes: int, offset: int = 0, forget: tuple[int, ...] = ()) -> FetchRequest:
    """A request for partitions of topic `t`."""
    partitions = [
        FetchRequest.FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=100) for index in indexes
    ]
    forgotten = [FetchRequest.ForgottenTopic(topic="t", partitions=list(forget))] if forget else []
    return FetchRequest(
        session_id=session_id,
        session_epoch=epoch,
        topics=[FetchRequest.FetchTopic(topic="t", partitions=partitions)] if indexes else [],
        forgotten_topics_data=forgotten,
    )


def answer(
    exchange: Exchange, records: dict[int, bytes] | None = None, watermark: int = 0, error: int = 0
) -> tuple[int, list[int]]:
    """Answer every partition; return the session ID and the partitions that the client is told of."""
    session_id, told = exchange.tell(
        [
            (
                wanted,
                FetchResponse.PartitionData(
                    partition_index=wanted.index,
                    high_watermark=watermark,
                    log_start_offset=0,
                    error_code=error,
                    records=(records or {}).get(wanted.index, b""),
                ),
            )
            for wanted in exchange.wanted.values()
        ]
    )
    return session_id, [wanted.index for wanted, _ in told]


def test_a_session_remembers_what_is_read() -> None:
    """The second request names nothing and reads everything; only news comes back."""
    sessions = made()
    session_id, told = answer(sessions.begin(asked(0, 0, 0, 1, 2), VERSION))
    assert session_id > 0
    assert told == [0, 1, 2]
    exchange = sessions.begin(asked(session_id, 1), VERSION)
    assert [wanted.index for wanted in exchange.wanted.values()] == [0, 1, 2]
    assert answer(exchange, {1: b"batch"}) == (session_id, [1])
    assert answer(sessions.begin(asked(session_id, 2), VERSION), watermark=5) == (session_id, [0, 2, 1])


def test_a_partition_that_gave_records_is_read_last_next_time() -> None:
    """A busy partition does not keep the others from the byte limit."""
    sessions = made()
    session_id, _ = answer(sessions.begin(asked(0, 0, 0, 1, 2), VERSION))
    answer(sessions.begin(asked(session_id, 1), VERSION), {0: b"batch"})
    exchange = sessions.begin(asked(session_id, 2), VERSION)
    assert [wanted.index for wanted in exchange.wanted.values()] == [1, 2, 0]


def test_requests_change_and_forget_partitions() -> None:
    """New partitions are added, named ones changed, forgotten ones gone."""
    sessions = made()
    session_id, _ = answer(sessions.begin(asked(0, 0, 0, 1), VERSION))
    exchange = sessions.begin(asked(session_id, 1, 1, 2, offset=7, forget=(0,)), VERSION)
    assert [(wanted.index, wanted.offset) for wanted in exchange.wanted.values()] == [(1, 7), (2, 7)]


def test_an_error_is_told_until_it_is_gone_and_then_its_end() -> None:
    """Errors are always news, and so is the first answer without one."""
    sessions = made()
    session_id, _ = answer(sessions.begin(asked(0, 0, 0), VERSION))
    assert answer(sessions.begin(asked(session_id, 1), VERSION), error=6) == (session_id, [0])
    assert answer(sessions.begin(asked(session_id, 2), VERSION), error=6) == (session_id, [0])
    assert answer(sessions.begin(asked(session_id, 3), VERSION)) == (session_id, [0])
    assert answer(sessions.begin(asked(session_id, 4), VERSION)) == (session_id, [])


@pytest.mark.parametrize(
    ("session", "epoch", "version", "code"),
    [
        ("other", 1, VERSION, ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
        ("mine", 2, VERSION, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        ("mine", 1, 13, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR),
    ],
)
def test_what_does_not_fit_the_session_is_refused(session: str, epoch: int, version: int, code: ErrorCode) -> None:
    """A session that is not there, an epoch out of turn, and IDs in a session of names have their own codes."""
    sessions = made()
    session_id, _ = answer(sessions.begin(asked(0, 0, 0), VERSION))
    with pytest.raises(Refused) as refused:
        sessions.begin(asked(session_id + (session == "other"), epoch), version)
    assert refused.value.code is code


def test_epoch_minus_one_closes() -> None:
    """A client that goes gives its session back; without a session it gets none."""
    sessions = made()
    session_id, _ = answer(sessions.begin(asked(0, 0, 0), VERSION))
    assert len(sessions) == 1
    assert answer(sessions.begin(asked(session_id, -1, 0), VERSION)) == (0, [0])
    assert len(sessions) == 0


def test_an_empty_session_ends() -> None:
    """When the last partition is forgotten, so is the session."""
    sessions = made()
    session_id, _ = answer(sessions.begin(asked(0, 0, 0), VERSION))
    assert answer(sessions.begin(asked(session_id, 1, forget=(0,)), VERSION)) == (0, [])
    assert len(sessions) == 0


def test_slots_are_bounded_and_given_on_after_a_while() -> None:
    """Without a slot a client reads without a session; one that was not used for two minutes gives way."""
    clock = Hand()
    sessions = made(1, clock)
    first, _ = answer(sessions.begin(asked(0, 0, 0), VERSION))
    assert answer(sessions.begin(asked(0, 0, 1), VERSION)) == (0, [1])
    clock.now += EVICTABLE_AFTER
    second, _ = answer(sessions.begin(asked(0, 0, 1), VERSION))
    assert second not in (0, first)
    assert len(sessions) == 1
