"""How transactions stand in `__transaction_state`, at the versions that Kafka 4.3 writes."""

from felice.broker.transactions.transaction import State, Transaction
from felice.wire.messages.transaction_log import TransactionLogKey, TransactionLogValue

__all__ = ["Record", "record", "tombstone"]

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


def _key(transactional_id: str) -> bytes:
    """Return the key of a transactional ID."""
    return TransactionLogKey(transactional_id=transactional_id).pack()
