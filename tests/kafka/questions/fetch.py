"""Questions about Fetch."""

from typing import Any

from asking import NOW, Asker, batch, comparable
from felice.wire.messages.fetch import FetchRequest
from questions.asked import question


def fetch(
    asker: Asker, name: str, *partitions: tuple[int, int], version: int = 12, max_bytes: int = 1 << 20,
    partition_bytes: int = 1 << 20, epoch: int = -1, last_epoch: int = -1, topic_id: bytes | None = None,
    **options: Any,
) -> Any:  # fmt: skip
    """Read partitions, given as index and offset."""
    asked = [
        FetchRequest.FetchPartition(
            partition=index,
            fetch_offset=offset,
            partition_max_bytes=partition_bytes,
            current_leader_epoch=epoch,
            last_fetched_epoch=last_epoch,
        )
        for index, offset in partitions
    ]
    request = FetchRequest(
        max_wait_ms=options.pop("max_wait_ms", 0),
        min_bytes=options.pop("min_bytes", 1),
        max_bytes=max_bytes,
        topics=[
            FetchRequest.FetchTopic(
                topic=name, topic_id=topic_id or asker.topic_ids.get(name, bytes(16)), partitions=asked
            )
        ]
        if asked
        else [],
        **options,
    )
    return asker.ask(request, version)


def filled(asker: Asker, partitions: int = 1, **configs: object) -> str:
    """A topic with three batches, of three, two and one records, in each partition."""
    name = asker.topic(partitions, **configs)
    for index in range(partitions):
        for values in ((b"a", b"b", b"c"), (b"d", b"e"), (b"f",)):
            asker.produce(name, batch(*values), partition=index)
    return name


@question
def fetch_in_all_versions(asker: Asker) -> Any:
    """All of a partition, byte by byte the same, in every version."""
    name = filled(asker)
    return [comparable(fetch(asker, name, (0, 0), version=version)) for version in range(4, 19)]


@question
def fetch_from_every_offset(asker: Asker) -> Any:
    """The batch that holds the offset comes first; at the end there is nothing; behind it an error."""
    name = filled(asker)
    return [comparable(fetch(asker, name, (0, offset))) for offset in (0, 1, 2, 3, 4, 5, 6, 7, 100, -1, -2)]


@question
def fetch_from_strange_partitions(asker: Asker) -> Any:
    """Topics, partitions and IDs that there are not."""
    name = asker.topic(2)
    return [
        comparable(fetch(asker, name, (2, 0))),
        comparable(fetch(asker, name, (-1, 0))),
        comparable(fetch(asker, "nobody-has-this", (0, 0))),
        comparable(fetch(asker, "", (0, 0), version=13, topic_id=b"\1" * 16)),
        comparable(fetch(asker, name, (2, 0), version=13)),
        comparable(fetch(asker, name, (0, 0), (2, 0), version=17)),
    ]


@question
def fetch_with_byte_limits(asker: Asker) -> Any:
    """The first batch comes whole whatever the limits are; the last one may be cut off."""
    name = filled(asker, 2)
    first = len(batch(b"a", b"b", b"c"))
    return [
        comparable(fetch(asker, name, (0, 0), (1, 0), max_bytes=most, partition_bytes=each))
        for most in (0, 1, first, first + 1, 3 * first, 1 << 20)
        for each in (0, 1, first, first + 20, 1 << 20)
    ]


@question
def fetch_with_read_committed(asker: Asker) -> Any:
    """Without transactions everything is committed."""
    name = filled(asker)
    return [comparable(fetch(asker, name, (0, offset), isolation_level=1)) for offset in (0, 6, 7)]


@question
def fetch_with_leader_epochs(asker: Asker) -> Any:
    """Epochs of the past and of the future are refused, with the leader beside them from version 16 on."""
    name = filled(asker)
    return [
        comparable(fetch(asker, name, (0, 0), epoch=epoch, version=version))
        for epoch in (-1, 0, 1, 7)
        for version in (9, 12, 16)
    ]


@question
def fetch_with_diverging_epochs(asker: Asker) -> Any:
    """A reader whose last epoch ended before its position is told where."""
    name = filled(asker)
    return [comparable(fetch(asker, name, (0, offset), last_epoch=last)) for offset in (0, 6, 7) for last in (-1, 0, 1)]


@question
def fetch_waits_no_longer_than_asked(asker: Asker) -> Any:
    """Without records the answer comes when the time is up, and has nothing."""
    name = asker.topic()
    return comparable(fetch(asker, name, (0, 0), max_wait_ms=50))


@question
def fetch_in_sessions(asker: Asker) -> Any:
    """A session from its opening to its end, with news only."""
    name = filled(asker, 3)
    opened = fetch(asker, name, (0, 6), (1, 6), (2, 6), session_epoch=0)
    answers = [comparable(opened)]

    def more(epoch: int, *partitions: tuple[int, int], forget: tuple[int, ...] = ()) -> None:
        forgotten = [FetchRequest.ForgottenTopic(topic=name, partitions=list(forget))] if forget else []
        answer = fetch(
            asker, name, *partitions, session_id=opened.session_id, session_epoch=epoch, forgotten_topics_data=forgotten
        )
        answers.append(comparable(answer))

    more(1)
    asker.produce(name, batch(b"new"), partition=1)
    more(2)
    more(3)
    more(4, (1, 7))
    more(5, (0, 3))
    more(6, (0, 6))
    more(7, forget=(0,))
    asker.produce(name, batch(b"new"), partition=0)
    more(8)
    more(8)  # an epoch again
    more(20)  # an epoch too far
    more(9, (2, 100))
    more(10)
    more(-1)
    more(11)
    return answers


@question
def fetch_in_sessions_that_are_not(asker: Asker) -> Any:
    """Sessions nobody opened, and versions with IDs in a session of names."""
    name = filled(asker)
    opened = fetch(asker, name, (0, 6), session_epoch=0)
    return [
        comparable(fetch(asker, name, session_id=123456, session_epoch=1)),
        comparable(fetch(asker, name, session_id=0, session_epoch=5)),
        comparable(fetch(asker, name, session_id=opened.session_id, session_epoch=1, version=13)),
        comparable(fetch(asker, name, (0, 6), session_id=123456, session_epoch=0)),
        comparable(fetch(asker, name, (0, 6), session_id=123456, session_epoch=-1)),
    ]


@question
def fetch_forgets_everything(asker: Asker) -> Any:
    """A session with nothing left in it ends."""
    name = filled(asker)
    opened = fetch(asker, name, (0, 6), session_epoch=0)
    forgotten = [FetchRequest.ForgottenTopic(topic=name, partitions=[0])]
    return [
        comparable(
            fetch(asker, name, session_id=opened.session_id, session_epoch=epoch, forgotten_topics_data=forgotten)
        )
        for epoch in (1, 2)
    ]


@question
def fetch_in_a_session_with_an_unknown_topic(asker: Asker) -> Any:
    """An error is told again and again."""
    opened = fetch(asker, "nobody-has-this", (0, 0), session_epoch=0)
    again = [fetch(asker, "", session_id=opened.session_id, session_epoch=epoch) for epoch in (1, 2)]
    return [comparable(opened), *map(comparable, again)]


@question
def stored_batches_with_a_wrong_largest_timestamp(asker: Asker) -> Any:
    """The largest timestamp of a batch is put right when it is appended."""
    name = asker.topic()
    wrong = batch(b"a", b"b", time_deltas=[0, 5], max_time=NOW + 1000)
    return [comparable(asker.produce(name, wrong)), comparable(fetch(asker, name, (0, 0)))]
