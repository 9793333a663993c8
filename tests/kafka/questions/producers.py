"""Questions about idempotent and transactional producers."""

from typing import Any

from asking import Asker, batch, comparable, new_run
from felice.wire.messages.init_producer_id import InitProducerIdRequest
from questions.asked import question


def sequences(asker: Asker, *steps: tuple[int, int, int]) -> Any:
    """Write batches of a producer, each given as epoch, sequence and count."""
    name, producer = asker.topic(), asker.producer_id()
    return [
        comparable(asker.produce(name, batch(*[b"v"] * count, producer=(producer, epoch, first))))
        for epoch, first, count in steps
    ]


@question
def sequences_in_order(asker: Asker) -> Any:
    """Batches that follow each other."""
    return sequences(asker, (0, 0, 2), (0, 2, 3), (0, 5, 1))


@question
def sequences_with_a_gap(asker: Asker) -> Any:
    """A gap is refused, and what closes it is taken."""
    return sequences(asker, (0, 0, 2), (0, 3, 1), (0, 2, 1), (0, 3, 1))


@question
def sequences_that_begin_late(asker: Asker) -> Any:
    """A producer that is not known may begin anywhere."""
    return sequences(asker, (0, 10, 1), (0, 11, 1), (0, 0, 1))


@question
def sequences_repeated(asker: Asker) -> Any:
    """The last five batches are known again, with the offset that they have; the one before them is not."""
    return sequences(asker, *[(0, n, 1) for n in range(6)], (0, 5, 1), (0, 1, 1), (0, 0, 1), (0, 4, 2))


@question
def sequences_below_zero(asker: Asker) -> Any:
    """A producer with an ID needs a sequence."""
    return sequences(asker, (0, -1, 1), (0, -5, 1))


@question
def sequences_that_wrap(asker: Asker) -> Any:
    """Behind the largest sequence comes 0."""
    return sequences(asker, (0, 0x7FFFFFFE, 1), (0, 0x7FFFFFFF, 3), (0, 2, 1), (0, 3, 1))


@question
def sequences_of_a_new_epoch(asker: Asker) -> Any:
    """A raised epoch begins at 0; the one before is fenced."""
    return sequences(asker, (0, 0, 1), (1, 1, 1), (1, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1))


@question
def sequences_of_an_epoch_below_zero(asker: Asker) -> Any:
    """Epochs begin at 0."""
    return sequences(asker, (-1, 0, 1))


@question
def sequences_repeated_on_a_topic_stamped_on_append(asker: Asker) -> Any:
    """What a repeated batch is told of time."""
    name, producer = asker.topic(message_timestamp_type="LogAppendTime"), asker.producer_id()
    same = batch(b"v", producer=(producer, 0, 0))
    return [comparable(asker.produce(name, same)), comparable(asker.produce(name, same))]


@question
def transactional_batches_without_a_transaction(asker: Asker) -> Any:
    """Batches of a transaction that was never begun, with the producer's own ID and with another."""
    name, transactional_id = asker.topic(), new_run()
    producer_id, epoch = asker.transactional_producer(transactional_id)
    writers = [(producer_id, transactional_id), (producer_id + 1000, transactional_id), (producer_id, "nobody")]
    return [
        comparable(
            asker.produce(
                name, batch(b"v", producer=(who, epoch, 0), attributes=0x10), version=version, transactional_id=of
            )
        )
        for version in (3, 9, 11)
        for who, of in writers
    ]


@question
def transactional_ids(asker: Asker) -> Any:
    """Each time a transactional ID is taken its epoch goes up; what is behind that is fenced."""
    mine, timeout = new_run(), 10_000
    producer_id, epoch = asker.transactional_producer(mine)

    def init(version: int, transactional_id: str = mine, timeout: int = timeout, **fields: int) -> Any:
        request = InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=timeout, **fields)
        answer = asker.ask(request, version)
        same = answer.producer_id == producer_id
        return [same, comparable(answer)]

    return [
        epoch,
        init(1),
        init(5),
        init(4, producer_id=producer_id, producer_epoch=2),
        init(4, producer_id=producer_id, producer_epoch=0),
        init(3, producer_id=producer_id, producer_epoch=0),
        init(4, producer_id=producer_id + 1000, producer_epoch=3),
        init(4, producer_id=producer_id, producer_epoch=9),
        init(4, transactional_id=new_run(), producer_id=producer_id, producer_epoch=9),
        init(4, timeout=0),
        init(4, timeout=-1),
        init(4, timeout=900_001),
    ]


@question
def producer_ids(asker: Asker) -> Any:
    """Producer IDs, asked for in right and wrong ways."""
    asker.producer_id()

    def init(version: int, transactional_id: str | None = None, timeout: int = 1000, **fields: int) -> Any:
        request = InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=timeout, **fields)
        return comparable(asker.ask(request, version))

    return [
        *(init(version) for version in range(6)),
        init(4, timeout=-1),
        init(4, producer_id=7, producer_epoch=3),
        init(4, producer_id=7, producer_epoch=-1),
        init(4, producer_id=-1, producer_epoch=3),
        init(4, transactional_id=""),
    ]
