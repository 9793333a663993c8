"""Questions about what members of share groups get, and what becomes of it (KIP-932, KIP-1206, KIP-1222)."""

from typing import Any

from asking import Asker, batch
from felice.broker.authorization import Operation, Resource
from felice.wire.messages.delete_records import DeleteRecordsRequest
from felice.wire.messages.delete_topics import DeleteTopicsRequest
from felice.wire.messages.share_fetch import ShareFetchRequest
from questions.asked import eventually, permissive, question
from questions.authorization import entries, entry
from questions.share_readers import ACCEPT, GAP, REJECT, RELEASE, RENEW, Readers
from questions.writer import Writer

NO_TOPIC = bytes(15) + b"\x07"


@question
def share_first_records(asker: Asker) -> Any:
    """A first fetch, one of what comes then, one with nothing new, in both versions."""
    answers = []
    for version in (1, 2):
        readers = Readers(asker, 3, 2)
        answers.append(readers.open("one", version=version))
        answers.append(readers.fetch("one", version=version))
        readers.write(4)
        answers.append(readers.fetch("one", version=version))
        answers.append(readers.state())
    return answers


@question
def share_accepted(asker: Asker) -> Any:
    """Everything is accepted, at once and in parts; what is written of it."""
    readers = Readers(asker, 3, 2, 5)
    answers = [readers.open("one")]
    answers += [readers.say("one", (0, 9, ACCEPT)), readers.state()]
    readers.write(4, 4)
    answers += [readers.fetch("one"), readers.say("one", (10, 11, ACCEPT)), readers.state()]
    answers += [readers.say("one", (14, 15, ACCEPT)), readers.state()]
    answers += [readers.say("one", (12, 13, ACCEPT), (16, 17, [ACCEPT, ACCEPT])), readers.state()]
    return [*answers, readers.fetch("one")]


@question
def share_released(asker: Asker) -> Any:
    """What is released comes again, with its number of deliveries, as long as there may be more."""
    readers = Readers(asker, 4)
    answers = [readers.open("one")]
    for _ in range(6):
        answers += [readers.say("one", (0, 3, RELEASE)), readers.state(), readers.fetch("one")]
    return answers


@question
def share_released_in_parts(asker: Asker) -> Any:
    """Some records of a batch are released, rejected, accepted and gaps; then what is left comes again."""
    readers = Readers(asker, 8)
    answers = [readers.open("one")]
    answers += [readers.say("one", (0, 3, [RELEASE, ACCEPT, REJECT, GAP])), readers.state()]
    answers += [readers.fetch("one"), readers.say("one", (0, 0, RELEASE), (4, 5, RELEASE)), readers.state()]
    answers += [readers.fetch("one"), readers.say("one", (0, 7, ACCEPT)), readers.state()]
    answers += [readers.say("one", (0, 0, ACCEPT), (4, 7, ACCEPT)), readers.state()]
    return [*answers, readers.fetch("one")]


@question
def share_tired(asker: Asker) -> Any:
    """Records that fail again and again come in ever smaller numbers."""
    readers = Readers(asker, 8, 3)
    answers = [readers.open("one")]
    for _ in range(24):
        taken = answers[-1][2][0][5] if answers[-1][2] else []
        if not taken:
            break
        said = [(first, last, RELEASE) for first, last, _ in taken]
        answers += [readers.say("one", *said), readers.fetch("one")]
    return [*answers, readers.state()]


@question
def share_few_deliveries(asker: Asker) -> Any:
    """A group whose records are delivered twice only."""
    readers = Readers(asker, 4, share_delivery_count_limit=2)
    answers = [readers.open("one")]
    for _ in range(3):
        answers += [readers.say("one", (0, 3, RELEASE)), readers.state(), readers.fetch("one")]
    return answers


@question
def share_sizes(asker: Asker) -> Any:
    """How many records come, by the most that are wanted and by the size of batches."""
    answers = []
    for wanted in (
        {"max_records": 1},
        {"max_records": 4},
        {"max_records": 5, "batch_size": 2},
        {"batch_size": 1},
        {"batch_size": 4},
        {"max_records": 0},
        {"max_bytes": 0},
        {"max_bytes": 1},
        {"max_bytes": 200},
        {"min_bytes": 0},
        {"min_bytes": 100_000},
    ):
        readers = Readers(asker, 3, 3, 3)
        answers += [readers.open("one", **wanted), readers.fetch("one", **wanted), readers.fetch("one", **wanted)]
    return answers


@question
def share_strict(asker: Asker) -> Any:
    """A member gets as many records as it wants, and no more; others get the rest of the batch."""
    readers = Readers(asker, 10, 10)
    strict = {"share_acquire_mode": 1}
    answers = [readers.open("one", max_records=4, **strict), readers.open("two", max_records=3, **strict)]
    answers += [readers.fetch("one", max_records=12, **strict), readers.say("two", (4, 6, RELEASE))]
    answers += [readers.fetch("two", max_records=2, **strict), readers.fetch("one", max_records=2, **strict)]
    answers += [readers.fetch("two", max_records=2), readers.say("one", (0, 3, ACCEPT)), readers.state()]
    return [*answers, readers.fetch("two", share_acquire_mode=2), readers.fetch("one", version=1)]


@question
def share_two_members(asker: Asker) -> Any:
    """Two members have different records; neither can say anything of the other's."""
    readers = Readers(asker, 2, 2, 2)
    answers = [readers.open("one", max_records=2), readers.open("two")]
    answers += [readers.say("one", (2, 3, ACCEPT)), readers.say("two", (0, 1, ACCEPT))]
    answers += [readers.say("one", (0, 3, ACCEPT)), readers.state(), readers.say("two", (2, 3, RELEASE))]
    answers += [readers.fetch("one"), readers.say("two", (2, 3, ACCEPT)), readers.say("one", (0, 3, ACCEPT))]
    return [*answers, readers.state()]


@question
def share_wrong_acknowledgements(asker: Asker) -> Any:
    """Offsets and types that cannot be."""
    readers = Readers(asker, 5, 5)
    answers = [readers.open("one", max_records=5)]
    for said in (
        [(5, 6, ACCEPT)],
        [(0, 5, ACCEPT)],
        [(100, 101, ACCEPT)],
        [(3, 2, ACCEPT)],
        [(0, 4, [])],
        [(0, 4, [ACCEPT, ACCEPT])],
        [(0, 4, 5)],
        [(0, 4, -1)],
        [(0, 4, RENEW)],
        [(3, 4, ACCEPT), (0, 2, ACCEPT)],
        [(0, 2, ACCEPT), (2, 4, ACCEPT)],
        [(-1, 4, ACCEPT)],
        [(0, 1, ACCEPT), (7, 7, ACCEPT)],
        [],
    ):
        answers += [readers.say("one", *said), readers.state()]
    answers += [readers.say("one", (0, 4, RENEW), version=1), readers.say("one", (0, 4, ACCEPT), index=3)]
    answers += [readers.say("one", (0, 4, ACCEPT), topic_id=NO_TOPIC), readers.say("one", (0, 4, ACCEPT))]
    answers += [readers.say("one", (0, 4, ACCEPT)), readers.state()]
    return answers


@question
def share_said_with_fetch(asker: Asker) -> Any:
    """Acknowledgements in fetches: right, wrong, and of partitions that are not read."""
    readers = Readers(asker, 5, 5, partitions=2)
    answers = [readers.open("one", 0, 1, max_records=5)]
    answers += [readers.fetch("one", said=[(0, 4, ACCEPT)]), readers.state()]
    answers += [readers.fetch("one", said=[(0, 4, ACCEPT)]), readers.fetch("one", said=[(20, 21, ACCEPT)])]
    answers += [readers.fetch("one", said=[(5, 6, RELEASE), (9, 9, REJECT)]), readers.state()]
    answers += [readers.fetch("one", 1, said=[(5, 6, [ACCEPT, RELEASE])]), readers.state()]
    answers += [readers.fetch("one", said=[(7, 8, 9)]), readers.fetch("one", said=[(6, 8, ACCEPT)], forget=[0])]
    return [*answers, readers.state(), readers.fetch("one")]


@question
def share_sessions(asker: Asker) -> Any:
    """Epochs in and out of order, sessions that there are not, closed, and opened again."""
    readers = Readers(asker, 5)
    answers = [readers.fetch("one", 0, epoch=1), readers.fetch("one", epoch=-1), readers.say("one", (0, 0, ACCEPT))]
    answers += [readers.say("one", (0, 0, ACCEPT), epoch=1), readers.say("one", (0, 0, ACCEPT), epoch=-1)]
    answers += [readers.open("one"), readers.fetch("one", epoch=2), readers.say("one", (0, 0, ACCEPT), epoch=7)]
    answers += [readers.fetch("one", epoch=-2), readers.say("one", (0, 0, ACCEPT), epoch=0)]
    readers.epochs["one"] = 1
    answers += [readers.say("one", (0, 0, ACCEPT)), readers.fetch("one"), readers.fetch("one", 0, epoch=0)]
    answers += [readers.fetch("one", epoch=0, said=[(1, 1, ACCEPT)]), readers.say("one", (1, 1, ACCEPT), epoch=1)]
    answers.append(readers.close("one", said=[(2, 2, ACCEPT)]))
    eventually(lambda: readers.state()[3][-1][1] == 4)  # what is left is taken back behind the answer
    answers += [readers.state(), readers.close("one"), readers.open("one")]
    answers.append(readers.say("one", (3, 3, ACCEPT), epoch=-1))
    eventually(lambda: readers.state()[1] == 4)
    return [*answers, readers.state(), readers.open("two")]


@question
def share_wrong_members(asker: Asker) -> Any:
    """Groups and members that cannot be."""
    readers = Readers(asker, 5)
    answers = []
    for group, member in ((None, "one"), ("", "one"), (readers.id, None), (readers.id, ""), (readers.id, "x" * 37)):
        answers += [readers.fetch(member, 0, epoch=0, group_id=group)]
        answers += [readers.say(member, (0, 0, ACCEPT), epoch=1, group_id=group)]
    return [*answers, readers.open("x" * 36)]


@question
def share_wrong_partitions(asker: Asker) -> Any:
    """Partitions and topics that there are not, or that the group has not begun to read."""
    readers = Readers(asker, 5, partitions=2)
    answers = [readers.open("one", 0, 7), readers.fetch("one"), readers.fetch("one", forget=[7])]
    answers += [readers.open("two", topic_id=NO_TOPIC), readers.fetch("two")]
    other = asker.topic()
    answers += [readers.open("three", topic_id=asker.topic_ids[other]), readers.fetch("three")]
    return answers


@question
def share_forgotten(asker: Asker) -> Any:
    """Partitions that come and go in a session."""
    readers = Readers(asker, partitions=3)
    for index in range(3):
        readers.write(2, partition=index)
    answers = [readers.open("one", 0, 1), readers.fetch("one", 2), readers.fetch("one", forget=[0, 1])]
    for index in range(3):
        readers.write(1, partition=index)
    answers += [
        readers.fetch("one"),
        readers.fetch("one", 0),
        readers.fetch("one", 1, forget=[1]),
        readers.fetch("one"),
    ]
    return answers


@question
def share_renewed(asker: Asker) -> Any:
    """Locks are renewed, as a whole and in part, and not where the group does not have it."""
    readers = Readers(asker, 5)
    none = {"max_wait_ms": 0, "min_bytes": 0, "max_bytes": 0, "max_records": 0, "is_renew_ack": True}
    answers = [readers.open("one"), readers.say("one", (0, 4, RENEW), is_renew_ack=True), readers.state()]
    answers += [readers.say("one", (0, 2, [RENEW, ACCEPT, RELEASE]), is_renew_ack=True), readers.state()]
    answers += [readers.fetch("one", said=[(0, 0, RENEW)], **none), readers.fetch("one", said=[(3, 4, RENEW)])]
    for field in ("max_bytes", "min_bytes", "max_records", "max_wait_ms"):
        answers.append(readers.fetch("one", said=[(0, 0, RENEW)], **{**none, field: 1}))
    answers += [readers.fetch("one", **none), readers.fetch("one", **{**none, "is_renew_ack": False}, version=1)]
    answers += [readers.say("one", (1, 1, RENEW), is_renew_ack=True), readers.say("one", (0, 4, ACCEPT))]
    fixed = Readers(asker, 5, share_renew_acknowledge_enable="false")
    answers += [fixed.open("one"), fixed.say("one", (0, 4, RENEW), is_renew_ack=True)]
    return [*answers, fixed.say("one", (0, 1, [ACCEPT, RENEW]), is_renew_ack=True), fixed.state()]


@question
def share_most_locks(asker: Asker) -> Any:
    """No more records are in flight than there may be, but whole batches."""
    readers = Readers(asker, 60, 60, 60, share_partition_max_record_locks=100, share_record_lock_duration_ms=20_000)
    answers = [readers.open("one", max_records=50), readers.fetch("one"), readers.fetch("one"), readers.fetch("one")]
    answers += [readers.say("one", (10, 20, RELEASE)), readers.fetch("one"), readers.state()]
    return [*answers, readers.say("one", (0, 59, ACCEPT)), readers.fetch("one"), readers.state()]


@question
def share_resets(asker: Asker) -> Any:
    """Where a group begins that was not told where."""
    answers = []
    for reset in (None, "earliest", "latest", "by_duration:PT1H", "by_duration:PT0S"):
        configs = {} if reset is None else {"share_auto_offset_reset": reset}
        readers = Readers(asker, 5, start=-1, **configs)
        answers += [reset, readers.open("one"), readers.state()]
        readers.write(2)
        answers += [readers.fetch("one", 0), readers.state()]
    return answers


@question
def share_committed(asker: Asker) -> Any:
    """Groups that read all records, and those that read committed ones only, over aborted and open transactions."""
    answers = []
    for level in ("read_committed", "read_uncommitted"):
        readers = Readers(asker, 2, share_isolation_level=level)
        writer = Writer(asker)
        writer.add((readers.topic, 0))
        writer.write(readers.topic, 0, b"a", b"b")
        readers.write(1)
        answers.append(readers.open("one"))
        writer.done(False)
        readers.write(1)
        answers += [readers.fetch("one"), readers.fetch("one"), readers.state()]
        answers += [readers.say("one", (0, 1, ACCEPT), (4, 6, ACCEPT)), readers.state()]
    return answers


@question
def share_deleted_records(asker: Asker) -> Any:
    """The log's start moves past what is in flight."""
    readers = Readers(asker, 4, 4, 4, 4)
    answers = [readers.open("one", max_records=4), readers.open("two", max_records=4)]
    answers += [readers.say("two", (4, 7, RELEASE))]
    asked = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=6)
    topic = DeleteRecordsRequest.DeleteRecordsTopic(name=readers.topic, partitions=[asked])
    assert asker.ask(DeleteRecordsRequest(topics=[topic], timeout_ms=5000), 2).topics[0].partitions[0].error_code == 0
    answers += [readers.fetch("one", max_records=4), readers.fetch("one", max_records=4), readers.state()]
    answers += [
        readers.say("one", (0, 3, ACCEPT)),
        readers.state(),
        readers.fetch("two"),
        readers.say("two", (0, 15, 1)),
    ]
    answers += [readers.say("one", (6, 7, ACCEPT)), readers.state(), readers.fetch("one")]
    return answers


@question
def share_read_anew(asker: Asker) -> Any:
    """A leader that knows nothing goes on with what is written: the last connection of the group has ended."""
    readers = Readers(asker, 4, 4, 4)
    with asker.beside() as beside:
        readers.epochs["one"] = 0
        answers = [readers.fetch("one", 0, asker=beside)]
        answers += [readers.fetch("one", asker=beside, said=[(2, 2, ACCEPT), (6, 6, REJECT), (8, 9, RELEASE)])]
    eventually(lambda: readers.open("two", max_bytes=0, max_records=0)[0][0] == 0 and len(readers.state()[3]) > 4)
    answers += [readers.state(), readers.open("three"), readers.fetch("three"), readers.state()]
    return answers


@question
def share_topic_deleted(asker: Asker) -> Any:
    """A topic is deleted that is read."""
    readers = Readers(asker, 4)
    answers = [readers.open("one")]
    deleted = DeleteTopicsRequest(topics=[DeleteTopicsRequest.DeleteTopicState(name=readers.topic)], timeout_ms=5000)
    assert asker.ask(deleted, 6).responses[0].error_code == 0
    eventually(lambda: asker.produce(readers.topic, batch(b"x")).responses[0].partition_responses[0].error_code != 0)
    return [*answers, readers.say("one", (0, 3, ACCEPT)), readers.fetch("one"), readers.fetch("one")]


@question
def share_begun_anew(asker: Asker) -> Any:
    """The group's state is begun anew while a leader hands out the partition."""
    readers = Readers(asker, 4, 4)
    answers = [readers.open("one", max_records=4)]
    readers.begin(2, epoch=1)
    answers += [readers.say("one", (0, 3, ACCEPT)), readers.state(), readers.fetch("one"), readers.state()]
    return answers


@question
def share_state_deleted(asker: Asker) -> Any:
    """The group's state is deleted while a leader hands out the partition."""
    readers = Readers(asker, 2)
    answers = [readers.open("one")]
    readers.store.delete(0)
    answers += [readers.say("one", (0, 1, ACCEPT)), readers.fetch("one", said=[(0, 1, ACCEPT)])]
    return [*answers, readers.say("one", (0, 1, RELEASE)), readers.fetch("one")]


@permissive
def share_partitions_that_are_kept_from_somebody(asker: Asker) -> Any:
    """A member of a group, or a reader of a topic, who may not be one."""
    readers = Readers(asker, 4)
    found = []
    with entries(asker, *entry(readers.id, Resource.GROUP, Operation.READ)) as stranger:
        readers.epochs["one"] = 0
        found.append(readers.fetch("one", 0, asker=stranger))
        found += [readers.fetch(None, 0, epoch=0, asker=stranger), readers.fetch("one", 0, epoch=9, asker=stranger)]
        found += [readers.say("one", (0, 3, ACCEPT), asker=stranger), readers.say("one", epoch=3, asker=stranger)]
    with entries(asker, *entry(readers.topic, Resource.TOPIC, Operation.READ)) as stranger:
        readers.epochs["two"] = 0
        found += [readers.fetch("two", 0, asker=stranger), readers.fetch("two", asker=stranger)]
        found += [readers.open("three"), readers.say("three", (0, 3, ACCEPT), asker=stranger)]
        found += [readers.fetch("two", said=[(0, 0, ACCEPT)], asker=stranger)]
        found += [readers.fetch("two", said=[(3, 0, ACCEPT)], asker=stranger), readers.state()]
    return found


@question
def share_many_partitions(asker: Asker) -> Any:
    """How bytes and records are divided among partitions that have enough of both."""
    answers = []
    for wanted in ({}, {"max_records": 5}, {"max_bytes": 300}, {"max_bytes": 700}):
        readers = Readers(asker, partitions=3)
        for index in range(3):
            readers.write(3, 3, partition=index)
        answers.append(readers.open("one", 0, 1, 2, **wanted))
        answers += [readers.fetch("one", **wanted) for _ in range(6)]
        taken = [len(found[2]) for found in answers[-7:]]
        answers.append(taken)
    return answers


@question
def share_woken(asker: Asker) -> Any:
    """Who waits gets what is written, and what somebody else gives back, at once."""
    readers = Readers(asker, 2)
    with asker.beside() as beside:
        answers = [readers.open("one")]
        readers.epochs["two"] = 0
        beside.begin(readers.fetching("two", 0, max_wait_ms=15_000), 2)
        readers.write(3)
        answers.append(readers.told("two", beside.finish(ShareFetchRequest, 2)))
        beside.begin(readers.fetching("two", max_wait_ms=15_000), 2)
        answers += [readers.say("one", (0, 1, RELEASE)), readers.told("two", beside.finish(ShareFetchRequest, 2))]
        beside.begin(readers.fetching("two", max_wait_ms=15_000), 2)
        answers += [readers.say("one", (0, 1, ACCEPT)), readers.close("one")]
        readers.write(1)
        answers.append(readers.told("two", beside.finish(ShareFetchRequest, 2)))
    return answers


@question
def share_session_of_two_connections(asker: Asker) -> Any:
    """Another connection goes on with the session while a fetch waits; that one is answered with an error then."""
    readers = Readers(asker)
    with asker.beside() as beside:
        answers = [readers.open("one")]
        beside.begin(readers.fetching("one", max_wait_ms=300), 2)
        readers.epochs["one"] = 2
        eventually(lambda: readers.fetch("one", epoch=2, max_wait_ms=0)[0][0] == 0)
        answers.append(readers.told("one", beside.finish(ShareFetchRequest, 2)))
        readers.write(2)
        answers += [readers.fetch("one", epoch=3), readers.say("one", (0, 1, ACCEPT), epoch=4), readers.state()]
    return answers
