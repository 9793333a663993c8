"""Questions about transactions: whose a transactional ID is, what joins, how it ends."""

from typing import Any

from asking import Asker, batch, comparable, new_run
from felice.wire.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from felice.wire.messages.describe_producers import DescribeProducersRequest
from felice.wire.messages.describe_transactions import DescribeTransactionsRequest
from felice.wire.messages.init_producer_id import InitProducerIdRequest
from felice.wire.messages.list_transactions import ListTransactionsRequest
from felice.wire.messages.produce import ProduceRequest
from questions.asked import question
from questions.writer import Writer, codes, named, producers

OLD, NEW = 4, 5
"""Versions of EndTxn before and after epochs rise at every end."""


@question
def transactions_as_they_were(asker: Asker) -> Any:
    """Add, write, end, in all versions in which epochs stay."""
    name, writer = asker.topic(2), Writer(asker)
    answers = []
    for version in range(5):
        answers += [
            writer.add((name, 0), (name, 1), version=min(version, 3)),
            codes(writer.write(name, version, version=3 + 2 * version)),
            writer.state(),
            producers(asker, name, 0, 1),
            writer.done(version % 2 == 0, version),
            writer.state(),
            producers(asker, name, 0, 1),
        ]
    return answers


@question
def transactions_as_they_are(asker: Asker) -> Any:
    """Partitions join as they are written to, and every end raises the epoch."""
    name, writer = asker.topic(2), Writer(asker)
    answers = []
    for commit in (True, False, True, True):
        answers += [
            codes(writer.write(name, 0)),
            codes(writer.write(name, 0, partition=1)),
            codes(writer.write(name, 1)),
            writer.state(),
            producers(asker, name, 0, 1),
            writer.done(commit),
            writer.state(),
            producers(asker, name, 0, 1),
        ]
    return answers


@question
def transactions_ended_again(asker: Asker) -> Any:
    """The same end asked for again, and the other one."""
    name, writer = asker.topic(), Writer(asker)
    answers = []
    for version in (0, 3, 4):
        for commit in (True, False):
            writer.add((name, 0))
            answers += [writer.done(commit, version), writer.end(commit, version), writer.end(not commit, version)]
    for commit in (True, False):
        before = writer.epoch
        answers += [
            codes(writer.write(name, 0)),
            writer.done(commit),
            writer.end(commit, epoch=before),
            writer.end(not commit, epoch=before),
            writer.end(commit, epoch=before - 1),
            writer.end(commit, epoch=before + 2),
            writer.state(),
        ]
    return answers


@question
def transactions_that_are_empty(asker: Asker) -> Any:
    """An end where nothing was begun: old producers must not, new ones can abort."""
    writer = Writer(asker)
    answers = []
    for version in range(6):
        answers += [writer.end(True, version), writer.settled().state(), writer.end(False, version), writer.state()]
    return [*answers, writer.end(False), writer.settled().end(True, OLD), writer.end(False, OLD), writer.state()]


@question
def transactions_of_mixed_versions(asker: Asker) -> Any:
    """Begun as it was and ended as it is, and the other way round."""
    name, writer = asker.topic(), Writer(asker)
    return [
        writer.add((name, 0)),
        codes(writer.write(name, 0, version=11)),
        writer.done(True, NEW),
        writer.state(),
        codes(writer.write(name, 0, version=12)),
        writer.done(True, OLD),
        writer.state(),
        producers(asker, name),
        codes(writer.write(name, 1, version=12)),
        writer.done(False, OLD),
        writer.state(),
    ]


@question
def transactions_ended_by_others(asker: Asker) -> Any:
    """Ends with a producer ID, an epoch or a transactional ID that are not right."""
    name, writer = asker.topic(), Writer(asker)
    answers = []
    for version in range(6):
        for who in ({"epoch": 5}, {"epoch": -1}, {"producer_id": 99_999}, {"of": "nobody"}, {"of": ""}):
            answers += [writer.end(True, version, **who), writer.end(False, version, **who)]
    writer.add((name, 0))
    for version in range(6):
        for who in ({"epoch": 5}, {"epoch": -1}, {"producer_id": 99_999}, {"of": "nobody"}):
            answers.append(writer.end(True, version, **who))
    return answers


@question
def transactions_fenced(asker: Asker) -> Any:
    """Who takes a transactional ID aborts what is open, and is told to ask again; the other is fenced from then on."""
    name, answers = asker.topic(), []
    for version in (11, 12):
        writer = Writer(asker)
        old = {"producer_id": writer.producer_id, "epoch": writer.epoch}
        writer.add((name, 0))
        answers += [
            codes(writer.write(name, 0, version=version)),
            writer.init(),
            writer.settled().state(),
            [writer.end(commit, v, **old) for v in range(6) for commit in (True, False)],
            [writer.add((name, 0), version=v, **old) for v in range(4)],
            [writer.add_offsets("group", v, **old) for v in range(5)],
            [codes(writer.write(name, 1, version=v, **old)) for v in (3, 10, 11, 12)],
            writer.init(),
            writer.state(),
            [writer.end(commit, v, **old) for v in (0, 4, 5) for commit in (True, False)],
            [codes(writer.write(name, 1, version=v, **old)) for v in (3, 11, 12)],
            [writer.init(v, had=(old["producer_id"], old["epoch"]))[1] for v in (3, 4, 5)],
            producers(asker, name),
        ]
        writer.done(False) if version == 12 else None
    return answers


@question
def transactions_taken_by_who_has_them(asker: Asker) -> Any:
    """InitProducerId with the ID and epoch that the producer has (KIP-360): asked again it gives the same."""
    name, writer = asker.topic(), Writer(asker)
    first = writer.producer_id, writer.epoch
    answers = [writer.init(had=first), writer.init(had=first), writer.state()]
    second = writer.producer_id, writer.epoch
    answers += [writer.init(had=second), writer.init(3, had=first), writer.init(4, had=first), writer.init(had=first)]
    answers += [codes(writer.write(name, 0)), writer.init(had=(writer.producer_id, writer.epoch))]
    writer.settled()
    third = writer.producer_id, writer.epoch
    answers += [writer.init(had=third), writer.init(had=third), writer.init(), writer.init(had=third)]
    answers += [writer.init(had=(third[0] + 5000, 0)), writer.init(had=(third[0], 99)), writer.state()]
    return answers


@question
def transactions_taken_in_wrong_ways(asker: Asker) -> Any:
    """Timeouts and IDs that cannot be."""
    asker.transactional_producer(new_run())

    def init(version: int, **fields: Any) -> Any:
        request = InitProducerIdRequest(**{"transactional_id": new_run(), "transaction_timeout_ms": 10_000} | fields)
        return comparable(asker.ask(request, version))

    return [
        init(version, **fields)
        for version in (0, 1, 2, 3, 4, 5)
        for fields in (
            {},
            {"transaction_timeout_ms": 0},
            {"transaction_timeout_ms": -5},
            {"transaction_timeout_ms": 900_000},
            {"transaction_timeout_ms": 900_001},
            {"transactional_id": ""},
            *(
                [{"producer_id": 5}, {"producer_epoch": 5}, {"producer_id": 7, "producer_epoch": 4}]
                if version > 2
                else []
            ),
        )
    ]


@question
def transactions_with_strange_partitions(asker: Asker) -> Any:
    """Partitions that there are not, and none: nothing joins where one of them cannot."""
    name, writer = asker.topic(2), Writer(asker)
    return [
        *(
            [
                writer.add((name, 2), version=version),
                writer.add((name, 0), (name, 7), version=version),
                writer.add((name, 0), ("nobody-has-this", 0), version=version),
                writer.add((name, -1), version=version),
                writer.add(version=version),
                writer.state(),
            ]
            for version in range(4)
        ),
        writer.add((name, 0), (name, 0)),
        writer.add((name, 0), (name, 1)),
        writer.state(),
    ]


@question
def transactions_joined_by_others(asker: Asker) -> Any:
    """Partitions and offsets added with a producer ID, an epoch or a transactional ID that are not right."""
    name, writer = asker.topic(), Writer(asker)
    strangers: list[dict[str, Any]] = [
        {"epoch": 5},
        {"epoch": -1},
        {"producer_id": 99_999},
        {"of": "nobody"},
        {"of": ""},
    ]
    return [
        [[writer.add((name, 0), version=version, **who) for version in range(4)] for who in strangers],
        [[writer.add_offsets("group", version, **who) for version in range(5)] for who in strangers],
        [[codes(writer.write(name, 0, version=version, **who)) for version in (3, 11, 12)] for who in strangers],
    ]


@question
def transactions_verified(asker: Asker) -> Any:
    """Brokers ask for several transactions at once, whether partitions belong to them, or add them.

    Where a request names no transaction Kafka never answers, so that is not asked.
    """
    name, one, two = asker.topic(3), Writer(asker), Writer(asker)
    one.add((name, 0), (name, 1))

    def ask(version: int, *asked: tuple[Writer, bool, list[tuple[str, int]], dict[str, Any]]) -> Any:
        transactions = [
            AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
                transactional_id=who.get("of", writer.id),
                producer_id=who.get("producer_id", writer.producer_id),
                producer_epoch=who.get("epoch", writer.epoch),
                verify_only=verify,
                topics=named(partitions),
            )
            for writer, verify, partitions, who in asked
        ]
        answer = asker.ask(AddPartitionsToTxnRequest(transactions=transactions), version)
        known = {one.id: "one", two.id: "two"}
        results = [
            [
                known.get(result.transactional_id, result.transactional_id),
                sorted(
                    (topic.name, partition.partition_index, partition.partition_error_code)
                    for topic in result.topic_results
                    for partition in topic.results_by_partition
                ),
            ]
            for result in answer.results_by_transaction
        ]
        return [answer.error_code, sorted(results)]

    both, third = [(name, 0), (name, 1)], [(name, 2)]
    return [
        [
            ask(version, (one, True, both, {})),
            ask(version, (one, True, both + third, {})),
            ask(version, (one, True, both, {}), (two, True, third, {})),
            ask(version, (one, True, both, {"epoch": 4}), (two, True, third, {"producer_id": 99_999})),
            ask(version, (one, True, both, {"of": "nobody"})),
            ask(version, (one, True, [(name, 0), (name, 9)], {})),
            ask(version, (one, True, [], {})),
            ask(version, (two, False, third, {}), (one, False, third, {"epoch": 3})),
            one.state(),
            two.state(),
            two.done(True),
        ]
        for version in (4, 5)
    ]


@question
def transactional_batches_that_did_not_join(asker: Asker) -> Any:
    """Up to version 11 of Produce a partition must have been added before; from 12 on it joins."""
    name, writer = asker.topic(2), Writer(asker)
    answers = [codes(writer.write(name, 0, version=version)) for version in range(3, 12)]
    writer.add((name, 1))
    answers += [codes(writer.write(name, 0, version=version)) for version in (3, 11)]
    answers += [codes(writer.write(name, 0, version=11, partition=1)), writer.state()]
    answers += [codes(writer.write(name, 0, version=12)), writer.state(), writer.done(), writer.state()]
    return answers


@question
def transactional_batches_out_of_sequence(asker: Asker) -> Any:
    """Sequences inside transactions: gaps, repetitions, and where a producer is not known yet."""
    name, writer = asker.topic(), Writer(asker)
    answers = [codes(writer.write(name, sequence)) for sequence in (5, 0, 0, 2, 1, 1, 0)]
    answers += [writer.state(), writer.done()]
    answers += [codes(writer.write(name, sequence)) for sequence in (2, 1, 0, 1)]
    answers += [writer.done(), producers(asker, name)]
    other, old = asker.topic(), Writer(asker)
    old.add((other, 0))
    answers += [codes(old.write(other, sequence, version=11)) for sequence in (5, 6, 8)]
    answers += [old.done(version=OLD), producers(asker, other)]
    old.add((other, 0))
    answers += [codes(old.write(other, sequence, version=11)) for sequence in (0, 7, 6, 7)]
    return answers


@question
def transactional_batches_repeated_after_the_end(asker: Asker) -> Any:
    """A batch that comes again when its transaction is over."""
    name, writer = asker.topic(), Writer(asker)
    had = {"epoch": writer.epoch}
    answers = [codes(writer.write(name, 0)), writer.done()]
    answers += [codes(writer.write(name, 0, version=version, **had)) for version in (11, 12)]
    other, old = asker.topic(), Writer(asker)
    old.add((other, 0))
    answers += [codes(old.write(other, 0, version=11)), old.done(version=OLD)]
    answers += [codes(old.write(other, 0, version=version)) for version in (3, 11)]
    return answers


@question
def transactional_and_other_batches(asker: Asker) -> Any:
    """Batches outside the transaction of a producer that has one open, and such without a transactional ID."""
    name, writer = asker.topic(), Writer(asker)
    return [
        codes(writer.write(name, 0)),
        [codes(writer.write(name, 1, version=version, attributes=0)) for version in (3, 11, 12)],
        codes(writer.write(name, 1)),
        [codes(writer.write(name, 2, version=version, of=None)) for version in (3, 11, 12)],
        [codes(writer.write(name, 2, version=version, of="")) for version in (3, 11, 12)],
        writer.done(),
        codes(writer.write(name, 0, attributes=0)),
        codes(writer.write(name, 1)),
        writer.state(),
    ]


@question
def transactional_batches_of_two_producers(asker: Asker) -> Any:
    """A request speaks for one producer only."""
    name, one, two = asker.topic(3), Writer(asker), Writer(asker)

    def ask(version: int, *data: tuple[int, bytes]) -> Any:
        request = ProduceRequest(
            acks=-1,
            timeout_ms=5000,
            transactional_id=one.id,
            topic_data=[
                ProduceRequest.TopicProduceData(
                    name=name,
                    partition_data=[
                        ProduceRequest.PartitionProduceData(index=index, records=records) for index, records in data
                    ],
                )
            ],
        )
        answer = asker.ask(request, version)
        for topic in answer.responses:
            topic.partition_responses.sort(key=lambda partition: int(partition.index))
        return comparable(answer)

    mine = batch(b"v", producer=(one.producer_id, one.epoch, 0), attributes=0x10)
    other = batch(b"v", producer=(two.producer_id, two.epoch, 0), attributes=0x10)
    plain = batch(b"v", producer=(two.producer_id, two.epoch, 0))
    return [
        [
            ask(version, (0, mine), (1, other)),
            ask(version, (0, plain), (7, mine)),
            ask(version, (1, other)),
            ask(version, (2, batch(b"v", attributes=0x10))),
        ]
        for version in (9, 11, 12)
    ]


@question
def transactions_described(asker: Asker) -> Any:
    """Transactional IDs that there are and are not."""
    writer = Writer(asker)
    request = DescribeTransactionsRequest(transactional_ids=[writer.id, "nobody", "", writer.id])
    return [
        [state.error_code, state.transaction_state, state.transaction_timeout_ms, state.producer_epoch]
        for state in sorted(asker.ask(request, 0).transaction_states, key=lambda state: str(state.transactional_id))
    ] + [comparable(asker.ask(DescribeTransactionsRequest(), 0))]


@question
def transactions_listed(asker: Asker) -> Any:
    """Listings with filters for states, producers, age and names, right and wrong ones."""
    name, shared = asker.topic(), f"tx-{new_run()}"
    writers = [Writer(asker, f"{shared}-{number}") for number in range(3)]
    writers[0].write(name, 0)
    writers[1].write(name, 0)
    writers[1].done()
    mine = {writer.id: number for number, writer in enumerate(writers)}

    def ask(version: int, **filters: Any) -> Any:
        answer = asker.ask(ListTransactionsRequest(**filters), version)
        found = sorted(
            (mine[state.transactional_id], state.transaction_state)
            for state in answer.transaction_states
            if state.transactional_id in mine
        )
        return [answer.error_code, answer.unknown_state_filters, found]

    ids = [writer.producer_id for writer in writers]
    return [
        *(ask(version) for version in range(3)),
        ask(0, state_filters=["Ongoing"]),
        ask(0, state_filters=["Empty", "CompleteCommit", "CompleteAbort"]),
        ask(0, state_filters=["Dead", "PrepareEpochFence", "PrepareCommit", "PrepareAbort"]),
        ask(0, state_filters=["ongoing", "Nonsense", ""]),
        ask(0, state_filters=["Nonsense", "Ongoing"]),
        ask(0, producer_id_filters=ids[:2]),
        ask(0, producer_id_filters=[999_999, ids[2]]),
        ask(0, producer_id_filters=[999_999]),
        ask(0, producer_id_filters=ids, state_filters=["Ongoing"]),
        ask(1, duration_filter=-1),
        ask(1, duration_filter=-7),
        ask(1, duration_filter=60_000),
        ask(2, transactional_id_pattern=writers[2].id),
        ask(2, transactional_id_pattern=writers[2].id[:-1]),
        ask(2, transactional_id_pattern=f"{writers[2].id[:-1]}."),
        ask(2, transactional_id_pattern=f"{shared}.*"),
        ask(2, transactional_id_pattern=""),
        ask(2, transactional_id_pattern="nobody"),
        ask(2, transactional_id_pattern=r"\Atx-\pL*[[:alnum:]]+-[\d]\z"),
        ask(2, transactional_id_pattern="(?=tx).*"),
        ask(2, transactional_id_pattern="("),
        ask(2, transactional_id_pattern="[a"),
        ask(2, transactional_id_pattern="a|b|*"),
        ask(2, transactional_id_pattern=".*", state_filters=["Ongoing"], producer_id_filters=ids),
    ]


@question
def producers_described(asker: Asker) -> Any:
    """Topics and partitions that there are and are not, producers of all kinds."""
    name = asker.topic(2)
    asker.produce(name, batch(b"a", b"b", producer=(asker.producer_id(), 0, 0)))
    asker.produce(name, batch(b"a"))
    answers = [producers(asker, name, 0, 1, 2, -1), producers(asker, "nobody-has-this", 0, 1)]
    answers += [producers(asker, "wrong name"), producers(asker, "")]
    return [*answers, comparable(asker.ask(DescribeProducersRequest(), 0))]


@question
def markers_from_outside(asker: Asker) -> Any:
    """Markers that end a transaction behind its coordinator's back, in time and too late, and to nowhere."""
    name, answers = asker.topic(3), []
    for version, of in ((1, 0), (2, 0), (2, 2)):
        writer = Writer(asker)
        writer.init()
        writer.write(name, 0)
        marked = {"version": version, "transaction_version": of}
        answers += [
            writer.mark(name, False, epoch=writer.epoch - 1, **marked),
            writer.mark(name, False, epoch=-1, **marked),
            writer.mark(name, False, **marked),
            producers(asker, name)[0][2][-1],
            writer.mark(name, False, **marked),
            writer.mark(name, True, epoch=writer.epoch + 3, coordinator_epoch=4, **marked),
            writer.mark(name, True, epoch=writer.epoch + 4, coordinator_epoch=3, **marked),
            producers(asker, name)[0][2][-1],
            writer.mark(name, partitions=(1, 7, -1), **marked),
            writer.mark("nobody-has-this", **marked),
            writer.mark(name, producer_id=88_888, partitions=(2,), **marked),
        ]
    return [*answers, producers(asker, name, 0, 1, 2)]
