"""Fetch sessions (KIP-227), against a model of the broker's side."""

import random
from typing import Any

import pytest

from felice.consumer.session import FetchSession, Want, sessionless
from felice.wire.schema import ZERO_UUID

ID = b"letters!".ljust(16, b".")
OTHER_ID = b"recreated".ljust(16, b".")


def want(partition: int, offset: int, *, topic_id: bytes = ID, max_bytes: int = 1000) -> Want:
    return Want("letters", topic_id, partition, offset, 0, max_bytes)


def test_a_session_opens_with_everything_and_goes_on_with_changes() -> None:
    session = FetchSession()
    step = session.step([want(0, 10), want(1, 20)])
    assert (step.session_id, step.epoch, step.wants, step.forgotten) == (0, 0, (want(0, 10), want(1, 20)), ())
    session.answered(77)
    step = session.step([want(0, 15), want(1, 20)])
    assert (step.session_id, step.epoch, step.wants, step.forgotten) == (77, 1, (want(0, 15),), ())
    session.answered(77)
    step = session.step([want(1, 20), want(2, 0)])
    assert (step.epoch, step.wants, step.forgotten) == (2, (want(2, 0),), (want(0, 15),))
    session.answered(77)
    assert session.step([want(1, 20), want(2, 0)]).wants == ()


def test_a_broker_without_sessions_gets_full_requests() -> None:
    session = FetchSession()
    for _ in range(3):
        step = session.step([want(0, 1)])
        assert (step.session_id, step.epoch, step.wants) == (0, 0, (want(0, 1),))
        session.answered(0)


def test_after_an_error_another_session_is_opened_and_the_old_one_named() -> None:
    session = FetchSession()
    session.step([want(0, 1)])
    session.answered(77)
    session.step([want(0, 2)])
    session.reset()
    assert not session.open
    step = session.step([want(0, 2), want(1, 5)])
    assert (step.session_id, step.epoch, step.wants) == (77, 0, (want(0, 2), want(1, 5)))
    session.answered(78)
    assert session.step([want(0, 3)]).session_id == 78
    session.reset(forget=True)
    assert session.step([want(0, 3)]).session_id == 0


def test_a_session_that_ends_is_named_with_its_last_epoch() -> None:
    """KIP-227: the broker forgets it then; where there is none, there is nothing to say."""
    session = FetchSession()
    assert session.ending() is None
    session.step([want(0, 5)])
    session.answered(7)
    ending = session.ending()
    assert ending is not None
    assert (ending.session_id, ending.epoch, ending.wants, ending.forgotten) == (7, -1, (), ())
    assert session.ending() is None
    assert session.step([want(0, 5)]).session_id == 0


def test_epochs_come_round_to_one() -> None:
    session = FetchSession()
    session.step([want(0, 1)])
    session.answered(77)
    session._epoch = 2**31 - 1
    session.step([want(0, 1)])
    session.answered(77)
    assert session.step([want(0, 1)]).epoch == 1


def test_an_answer_of_another_session_opens_one_anew() -> None:
    session = FetchSession()
    session.step([want(0, 1)])
    session.answered(77)
    session.step([want(0, 1)])
    session.answered(99)
    assert session.step([want(0, 1)]).epoch == 0


def test_a_topic_without_an_id_goes_by_names_in_version_12() -> None:
    session = FetchSession()
    assert session.step([want(0, 1)]).version_cap is None
    session.answered(77)
    step = session.step([want(0, 1), Want("cards", ZERO_UUID, 0, 0, 0, 1000)])
    assert (step.version_cap, step.epoch) == (12, 0)
    session.answered(78)
    assert session.step([want(0, 2)]).version_cap is None
    assert session.step([want(0, 2)]).epoch == 0


def test_a_recreated_topic_is_forgotten_under_its_old_id() -> None:
    session = FetchSession()
    session.step([want(0, 100)])
    session.answered(77)
    step = session.step([want(0, 0, topic_id=OTHER_ID)])
    assert step.forgotten == (want(0, 100),)
    assert step.wants == (want(0, 0, topic_id=OTHER_ID),)
    request = step.build(13, max_wait_ms=1, min_bytes=1, max_bytes=1, isolation_level=0)
    assert [topic.topic_id for topic in request.forgotten_topics_data] == [ID]
    assert [topic.topic_id for topic in request.topics] == [OTHER_ID]


def test_a_request_outside_of_any_session_says_so() -> None:
    request = sessionless([want(0, 1), want(1, 2)]).build(
        13, max_wait_ms=10, min_bytes=1, max_bytes=99, isolation_level=1
    )
    assert (request.session_id, request.session_epoch) == (0, -1)
    assert [each.fetch_offset for each in request.topics[0].partitions] == [1, 2]
    assert (request.max_wait_ms, request.max_bytes, request.isolation_level) == (10, 99, 1)


class Broker:
    """What a broker remembers of one client, as KIP-227 has it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.session: tuple[int, int] = (0, 0)  # its number, and the next epoch
        self.held: dict[Any, Want] = {}
        self.numbers = iter(range(1, 10**6))

    def receive(self, step: Any) -> tuple[int, int, dict[Any, Want]]:
        """Return error, session and what it understands the client to want."""
        if step.epoch == 0:
            self.held = {(w.topic_id, w.partition): w for w in step.wants}
            if self.rng.random() < 0.1:
                self.session = (0, 0)
                return 0, 0, self.held
            self.session = (next(self.numbers), 1)
            return 0, self.session[0], self.held
        if step.session_id != self.session[0]:
            return 70, 0, {}
        if step.epoch != self.session[1]:
            return 71, 0, {}
        for gone in step.forgotten:
            del self.held[gone.topic_id, gone.partition]
        for w in step.wants:
            self.held[w.topic_id, w.partition] = w
        self.session = (self.session[0], self.session[1] + 1)
        return 0, self.session[0], self.held


@pytest.mark.parametrize("_round", range(20))
def test_whatever_is_lost_the_broker_fetches_what_was_meant(seed: int, _round: int) -> None:
    """With lost requests, lost answers and evicted sessions, a request that is understood is understood right."""
    rng = random.Random(f"{seed}:{_round}")
    session, broker = FetchSession(), Broker(rng)
    understood = 0
    for _ in range(300):
        wants = [want(n, rng.randrange(5)) for n in range(6) if rng.random() < 0.6]
        step = session.step(wants)
        luck = rng.random()
        if luck < 0.05:
            session.reset()  # the request was lost
            continue
        if luck < 0.1:
            broker.session = (0, 0)  # evicted
        error, number, held = broker.receive(step)
        if luck > 0.95:
            session.reset()  # the answer was lost
            continue
        if error:
            session.reset(forget=error == 70)
            continue
        assert held == {(w.topic_id, w.partition): w for w in wants}
        understood += 1
        session.answered(number)
    assert understood > 150
