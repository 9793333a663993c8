"""How transactions stand in `__transaction_state`, at the versions that Kafka 4.3 writes."""

from collections.abc import Iterable

from felice.broker.log import PartitionLog
from felice.broker.transactions.transaction import State, Transaction
from felice.wire.messages.transaction_log import TransactionLogKey, TransactionLogValue
from felice.wire.records import read_records

__all__ = ["Record", "read", "record", "tombstone"]

VERSION = 1
"""With the fields of KIP-890, as the feature `transaction.version` has them from level 1 on."""

Record = tuple[bytes, bytes | None]
"""Key and value; without a value it deletes."""


def record(transaction: Transaction) -> Record:
    """Return the record of a transaction as it is now."""
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(transaction.partitions):
        topics.setdefault(topic, []).append(partition)
    partitions = [
        TransactionLogValue.PartitionsSchema(topic=topic, partition_ids=indexes) for topic, indexes in topics.items()
    ]
    value = TransactionLogValue(
        producer_id=transaction.producer_id,
        previous_producer_id=transaction.previous_producer_id,
        next_producer_id=transaction.next_producer_id,
        producer_epoch=transaction.epoch,
        transaction_timeout_ms=transaction.timeout_ms,
        transaction_status=transaction.state,
        transaction_partitions=None if transaction.state is State.EMPTY else partitions,
        transaction_last_update_timestamp_ms=transaction.updated_ms,
        transaction_start_timestamp_ms=transaction.started_ms,
        client_transaction_version=transaction.version,
    )
    return _key(transaction.id), value.pack(VERSION)


def tombstone(transactional_id: str) -> Record:
    """Return the record that forgets a transactional ID."""
    return _key(transactional_id), None


def read(log: PartitionLog) -> Iterable[Transaction]:
    """Return the transactions of which a log tells, as they were written down last."""
    known: dict[str, Transaction] = {}
    for batch in log.batches():
        for each in read_records(batch, check_crc=False):
            transactional_id = TransactionLogKey.unpack(each.key or b"").transactional_id
            if each.value is None:
                known.pop(transactional_id, None)
            else:
                known[transactional_id] = _transaction(transactional_id, TransactionLogValue.unpack(each.value))
    return known.values()


def _transaction(transactional_id: str, value: TransactionLogValue) -> Transaction:
    """Return a transaction as its record says. As in Kafka the epoch before the present one is known no more."""
    made = Transaction(transactional_id, value.producer_id)
    made.previous_producer_id = value.previous_producer_id
    made.next_producer_id = value.next_producer_id
    made.epoch = value.producer_epoch
    made.timeout_ms = value.transaction_timeout_ms
    made.state = State(value.transaction_status)
    made.partitions = frozenset(
        (taking_part.topic, index)
        for taking_part in value.transaction_partitions or ()
        for index in taking_part.partition_ids
    )
    made.started_ms = value.transaction_start_timestamp_ms
    made.updated_ms = value.transaction_last_update_timestamp_ms
    made.version = value.client_transaction_version
    return made


def _key(transactional_id: str) -> bytes:
    """Return the key of a transactional ID."""
    return TransactionLogKey(transactional_id=transactional_id).pack()
