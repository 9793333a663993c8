"""An incremental fetch session with one broker (KIP-227). Pure.

The broker remembers which partitions a client fetches, and from where; a request names only what has changed since the
one before, and an answer only the partitions that have news. Both sides count epochs, so that neither can miss a step:
a full request (epoch 0) opens a session and the answer names it; each one after it adds one. When anything goes wrong
the client opens another session with a full request. A broker that keeps none answers with session 0, and every request
is a full one.

Non-obvious:

- Topics go by ID as soon as each topic of the session has one, and by name until then (KIP-516). A session cannot
  change from one to the other: it is opened anew.
- A topic that was deleted and created anew under the same name is another topic: what the session holds of it under
  the old ID has to be forgotten under the old ID.
"""

from collections.abc import Iterable
from typing import NamedTuple

from felice.types import TopicPartition
from felice.wire.messages.fetch import FetchRequest
from felice.wire.schema import ZERO_UUID

__all__ = ["FetchSession", "Want", "sessionless"]

LAST_NAMED = 12
"""The last version of Fetch that goes by names; from 13 on it goes by IDs."""

MAX_EPOCH = 2**31 - 1
LAST_EPOCH = -1

DIVERGING = 12
"""The first version of Fetch that takes the epoch of the last record, and tells where logs part (KIP-595)."""

_Topics = dict[tuple[str, bytes], list["Want"]]


class Want(NamedTuple):
    """A partition to fetch, and from where."""

    topic: str
    topic_id: bytes
    partition: int
    offset: int
    leader_epoch: int
    max_bytes: int
    last_epoch: int = -1
    """The leader epoch of the last record before the offset, or -1."""

    @property
    def tp(self) -> TopicPartition:
        """The partition."""
        return TopicPartition(self.topic, self.partition)


class Step(NamedTuple):
    """The part of a request that is the session's, to be made a request with `build`."""

    session_id: int
    epoch: int
    wants: tuple[Want, ...]
    forgotten: tuple[Want, ...]
    version_cap: int | None
    """The highest version that it can go out in, or None."""

    def build(
        self, version: int, *, max_wait_ms: int, min_bytes: int, max_bytes: int, isolation_level: int, rack: str = ""
    ) -> FetchRequest:
        """Make the request, to go out in this version."""
        return FetchRequest(
            max_wait_ms=max_wait_ms,
            min_bytes=min_bytes,
            max_bytes=max_bytes,
            isolation_level=isolation_level,
            session_id=self.session_id,
            session_epoch=self.epoch,
            topics=[
                FetchRequest.FetchTopic(
                    topic=topic,
                    topic_id=topic_id,
                    partitions=[
                        FetchRequest.FetchPartition(
                            partition=want.partition,
                            current_leader_epoch=want.leader_epoch,
                            fetch_offset=want.offset,
                            last_fetched_epoch=want.last_epoch if version >= DIVERGING else -1,
                            partition_max_bytes=want.max_bytes,
                        )
                        for want in wants
                    ],
                )
                for (topic, topic_id), wants in _by_topic(self.wants).items()
            ],
            forgotten_topics_data=[
                FetchRequest.ForgottenTopic(
                    topic=topic, topic_id=topic_id, partitions=[want.partition for want in wants]
                )
                for (topic, topic_id), wants in _by_topic(self.forgotten).items()
            ],
            rack_id=rack,
        )


class FetchSession:
    """What a broker remembers of our fetches, as far as we know."""

    def __init__(self) -> None:
        self._id = 0
        self._epoch = 0  # of the next request; 0 opens a session
        self._named = False  # whether the session goes by names
        self._held: dict[tuple[str, bytes, int], Want] = {}  # what the broker remembers

    @property
    def session_id(self) -> int:
        """The broker's number for it; 0 while there is none."""
        return self._id

    @property
    def open(self) -> bool:
        """Whether the next request builds on the one before."""
        return self._epoch != 0

    def step(self, wants: Iterable[Want]) -> Step:
        """Return what to send so that exactly these partitions are fetched.

        The session counts on it being sent: say `answered` or `reset` before the next one.
        """
        wanted = {(want.topic, want.topic_id, want.partition): want for want in wants}
        named = any(topic_id == ZERO_UUID for _, topic_id, _ in wanted)
        if self._epoch and named != self._named:
            self.reset()
        self._named = named
        cap = LAST_NAMED if named else None
        if self._epoch == 0:
            # The old session's number tells the broker to drop it.
            self._held = wanted
            return Step(self._id, 0, tuple(wanted.values()), (), cap)
        changed = tuple(want for key, want in wanted.items() if self._held.get(key) != want)
        forgotten = tuple(want for key, want in self._held.items() if key not in wanted)
        self._held = wanted
        return Step(self._id, self._epoch, changed, forgotten, cap)

    def ending(self) -> Step | None:
        """Return what to send so that the broker forgets the session (its last epoch is -1); None where it has none."""
        if not self._id:
            return None
        step = Step(self._id, LAST_EPOCH, (), (), LAST_NAMED if self._named else None)
        self.reset(forget=True)
        return step

    def answered(self, session_id: int) -> None:
        """Take an answer without an error for the whole of it."""
        if session_id == 0:
            self.reset(forget=True)  # the broker keeps no session for us: it has too many
        elif self._epoch == 0:
            self._id = session_id
            self._epoch = 1
        elif session_id != self._id:
            self.reset(forget=True)
        else:
            # After the largest number comes 1: 0 would open a session.
            self._epoch = 1 if self._epoch == MAX_EPOCH else self._epoch + 1

    def reset(self, *, forget: bool = False) -> None:
        """Open another session with the next request; `forget` where the broker does not have this one any more."""
        self._epoch = 0
        self._held = {}
        if forget:
            self._id = 0


def sessionless(wants: Iterable[Want]) -> Step:
    """Return what to send to fetch these partitions once, beside any session."""
    wanted = tuple(wants)
    named = any(want.topic_id == ZERO_UUID for want in wanted)
    return Step(0, LAST_EPOCH, wanted, (), LAST_NAMED if named else None)


def _by_topic(wants: Iterable[Want]) -> _Topics:
    topics: _Topics = {}
    for want in wants:
        topics.setdefault((want.topic, want.topic_id), []).append(want)
    return topics
