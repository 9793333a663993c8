"""Fetch sessions (KIP-227): a node remembers what a consumer reads, and both name only what changes.

A request of epoch 0 carries every partition and opens a session; later ones carry what is new, changed or forgotten,
and are answered with the partitions that have something to say. Epoch -1 closes the session, or means none is wanted.
"""

import random
from collections.abc import Iterator
from typing import TypeAlias

from felice.broker.refusal import Refused
from felice.clock import Clock
from felice.errors import ErrorCode
from felice.wire.messages.fetch import FetchRequest, FetchResponse

__all__ = ["Exchange", "FetchSessions", "Wanted"]

NO_SESSION = 0
FIRST_EPOCH = 0
NO_EPOCH = -1
LAST_EPOCH = 0x7FFFFFFF
USES_IDS_FROM = 13
EVICTABLE_AFTER = 120.0
"""Seconds without use after which a session may give way to a new one."""

Key = tuple[str | bytes, int]
Answer: TypeAlias = FetchResponse.PartitionData


class Wanted:
    """One partition that is read: from where, how much, and what its reader was told last."""

    __slots__ = ("high_watermark", "index", "last_epoch", "leader_epoch", "log_start", "max_bytes", "offset", "topic")

    def __init__(self, topic: str | bytes, asked: FetchRequest.FetchPartition) -> None:
        self.topic = topic
        """Its topic's name, or from version 13 on its ID."""
        self.index = asked.partition
        self.high_watermark = -1
        self.log_start = -1
        self.ask(asked)

    def ask(self, asked: FetchRequest.FetchPartition) -> None:
        """Take over what a request says."""
        self.offset = asked.fetch_offset
        self.max_bytes = asked.partition_max_bytes
        self.leader_epoch = asked.current_leader_epoch
        self.last_epoch = asked.last_fetched_epoch

    def is_news(self, answer: Answer) -> bool:
        """Tell whether an answer says what the reader does not know."""
        return (
            bool(answer.records)
            or answer.error_code != 0
            or answer.high_watermark != self.high_watermark
            or answer.log_start_offset != self.log_start
            or answer.diverging_epoch.epoch >= 0
            or answer.preferred_read_replica >= 0
        )

    def told(self, answer: Answer) -> None:
        """Note what the reader is told; behind an error the next answer is news in any case."""
        self.high_watermark = -1 if answer.error_code else answer.high_watermark
        self.log_start = answer.log_start_offset


class Session:
    """The partitions of one session, in the order in which they are read."""

    __slots__ = ("epoch", "id", "used_at", "uses_ids", "wanted")

    def __init__(self, session_id: int, uses_ids: bool, wanted: dict[Key, Wanted], now: float) -> None:
        self.id = session_id
        self.uses_ids = uses_ids
        self.wanted = wanted
        self.epoch = 1
        self.used_at = now

    def next_epoch(self) -> None:
        """Go on to the epoch of the next request."""
        self.epoch = 1 if self.epoch == LAST_EPOCH else self.epoch + 1


class Exchange:
    """One request and its answer: what to read, and what of it to tell."""

    __slots__ = ("_incremental", "_opens", "_sessions", "session", "uses_ids", "wanted")

    def __init__(
        self, sessions: "FetchSessions", wanted: dict[Key, Wanted], uses_ids: bool, session: Session | None, opens: bool
    ) -> None:
        self._sessions = sessions
        self._incremental = session is not None
        self._opens = opens
        self.session = session
        self.wanted = wanted
        self.uses_ids = uses_ids

    def tell(self, answers: list[tuple[Wanted, Answer]]) -> tuple[int, list[tuple[Wanted, Answer]]]:
        """Return the session ID to answer with, and the answers to give."""
        session = self.session
        if self._incremental and session is not None:
            news = [(wanted, answer) for wanted, answer in answers if wanted.is_news(answer)]
            for wanted, answer in news:
                wanted.told(answer)
                if answer.records:
                    # Whoever got records stands last next time, so that no partition starves.
                    key = (wanted.topic, wanted.index)
                    if session.wanted.pop(key, None) is not None:
                        session.wanted[key] = wanted
            return session.id, news
        if self._opens:
            session = self._sessions.open(self.wanted, self.uses_ids)
            if session is not None:
                for wanted, answer in answers:
                    wanted.told(answer)
                return session.id, answers
        return NO_SESSION, answers


class FetchSessions:
    """The sessions of one node, as many as there are slots."""

    __slots__ = ("_by_id", "_chance", "_clock", "slots")

    def __init__(self, slots: int, clock: Clock, chance: random.Random) -> None:
        self.slots = slots
        self._clock = clock
        self._chance = chance
        self._by_id: dict[int, Session] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._by_id)

    def begin(self, request: FetchRequest, version: int) -> Exchange:
        """Take in a request; refuse with the session's error codes."""
        uses_ids = version >= USES_IDS_FROM
        if request.session_epoch in (FIRST_EPOCH, NO_EPOCH):
            if request.session_id != NO_SESSION:
                self._by_id.pop(request.session_id, None)
            wanted = {key: Wanted(key[0], asked) for key, asked in _asked(request, uses_ids)}
            return Exchange(self, wanted, uses_ids, None, request.session_epoch == FIRST_EPOCH)
        return self._resume(request, uses_ids)

    def wanted_by(self, request: FetchRequest, version: int) -> Iterator[Key]:
        """Give the partitions that a request reads, those that its session remembers at present included."""
        session = self._by_id.get(request.session_id)
        if session is not None and request.session_epoch not in (FIRST_EPOCH, NO_EPOCH):
            yield from session.wanted
        for key, _ in _asked(request, version >= USES_IDS_FROM):
            yield key

    def open(self, wanted: dict[Key, Wanted], uses_ids: bool) -> Session | None:
        """Open a session, or return None where there is no slot."""
        now = self._clock.monotonic()
        if len(self._by_id) >= self.slots:
            stalest = min(self._by_id.values(), key=lambda session: session.used_at, default=None)
            if stalest is None or now - stalest.used_at < EVICTABLE_AFTER:
                return None
            del self._by_id[stalest.id]
        session_id = self._chance.randrange(1, LAST_EPOCH)
        while session_id in self._by_id:
            session_id = self._chance.randrange(1, LAST_EPOCH)
        session = self._by_id[session_id] = Session(session_id, uses_ids, wanted, now)
        return session

    def clear(self) -> None:
        """Forget all sessions."""
        self._by_id.clear()

    def _resume(self, request: FetchRequest, uses_ids: bool) -> Exchange:
        """Take in what changes in a session."""
        session = self._by_id.get(request.session_id)
        if session is None:
            raise Refused(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            raise Refused(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_ids != uses_ids:
            raise Refused(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        for key, asked in _asked(request, uses_ids):
            known = session.wanted.get(key)
            if known is None:
                session.wanted[key] = Wanted(key[0], asked)
            else:
                known.ask(asked)
        for topic in request.forgotten_topics_data:
            for index in topic.partitions:
                session.wanted.pop((topic.topic_id if uses_ids else topic.topic, index), None)
        if not session.wanted:
            del self._by_id[session.id]
            return Exchange(self, {}, uses_ids, None, False)
        session.used_at = self._clock.monotonic()
        session.next_epoch()
        return Exchange(self, session.wanted, uses_ids, session, False)


def _asked(request: FetchRequest, uses_ids: bool) -> Iterator[tuple[Key, FetchRequest.FetchPartition]]:
    """Give the partitions that a request names, with their keys in a session."""
    for topic in request.topics:
        for asked in topic.partitions:
            yield (topic.topic_id if uses_ids else topic.topic, asked.partition), asked
