"""Share sessions."""

import pytest

from felice.broker.refusal import Refused
from felice.broker.shares.sessions import ShareSession, ShareSessions, next_epoch
from felice.errors import ErrorCode

A, B, C = ((b"topic", index) for index in range(3))


def news(session: ShareSession, **answers: str) -> list[str]:
    """Return which answers are given, by the names of places."""
    places = {"a": A, "b": B, "c": C}
    return [
        name
        for name, kind in answers.items()
        if session.is_news(places[name], failed=kind == "failed", filled=kind == "filled")
    ]


def code(sessions: ShareSessions, *asked: object) -> int:
    """Return the code with which a request of a session is refused."""
    with pytest.raises(Refused) as caught:
        sessions.resume(*asked)  # type: ignore[arg-type]
    return caught.value.code


def test_epochs_rise_by_one_and_never_come_to_zero() -> None:
    """Behind the largest comes 1."""
    assert [next_epoch(epoch) for epoch in (0, 1, 0x7FFFFFFF)] == [1, 2, 1]


def test_a_session_expects_one_epoch() -> None:
    """Another one is refused and changes nothing."""
    sessions = ShareSessions()
    sessions.open("group", "one", [A], 10)
    assert code(sessions, "group", "one", 2) == ErrorCode.INVALID_SHARE_SESSION_EPOCH
    assert sessions.resume("group", "one", 1).epoch == 2
    assert code(sessions, "group", "one", 1) == ErrorCode.INVALID_SHARE_SESSION_EPOCH


def test_a_session_belongs_to_a_member_of_a_group() -> None:
    """Another member, or the same name in another group, has none."""
    sessions = ShareSessions()
    sessions.open("group", "one", [A], 10)
    assert code(sessions, "group", "two", 1) == ErrorCode.SHARE_SESSION_NOT_FOUND
    assert code(sessions, "other", "one", 1) == ErrorCode.SHARE_SESSION_NOT_FOUND


def test_a_node_has_so_many_sessions() -> None:
    """One more is refused, but not one that takes the place of its member's last one."""
    sessions = ShareSessions()
    sessions.open("group", "one", [A], 2)
    second = sessions.open("group", "two", [A], 2)
    with pytest.raises(Refused) as caught:
        sessions.open("group", "three", [A], 2)
    assert caught.value.code == ErrorCode.SHARE_SESSION_LIMIT_REACHED
    assert sessions.open("group", "two", [B], 2) is not second
    assert len(sessions) == 2
    assert not sessions.holds(second)


def test_only_news_is_told() -> None:
    """Records, errors, what follows an error, and what a partition says first that was added later."""
    session = ShareSessions().open("group", "one", [A, B], 10)
    assert news(session, a="empty", b="filled") == ["b"]
    session.update([C], [])
    assert news(session, a="failed", c="empty") == ["a", "c"]
    assert news(session, a="empty", c="empty") == ["a"]
    assert news(session, a="empty") == []


def test_whoever_got_records_stands_last() -> None:
    """So that no partition starves."""
    session = ShareSessions().open("group", "one", [A, B, C], 10)
    news(session, a="filled")
    assert list(session.partitions) == [B, C, A]
    session.update([], [C])
    assert list(session.partitions) == [B, A]


def test_closing_a_session_that_has_been_replaced_changes_nothing() -> None:
    """The member's present one stays."""
    sessions = ShareSessions()
    old = sessions.open("group", "one", [A], 10)
    new = sessions.open("group", "one", [A], 10)
    sessions.close(old)
    assert sessions.holds(new)
    assert sessions.has_any_of("group")
    sessions.close(new)
    assert not sessions.has_any_of("group")
