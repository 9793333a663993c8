"""AddPartitionsToTxn: partitions join a transaction, or brokers ask whether they did (KIP-98, KIP-890)."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.broker.transactions.answers import told
from felice.broker.transactions.transaction import Identity
from felice.errors import ErrorCode
from felice.wire.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse

__all__ = ["HANDLER"]

FENCED_FROM = 2
BATCHED_FROM = 4

Asked: TypeAlias = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
Topic: TypeAlias = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
Codes: TypeAlias = dict[tuple[str, int], ErrorCode]
TopicResult: TypeAlias = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult
PartitionResult: TypeAlias = AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult


def _handle(call: Call, request: AddPartitionsToTxnRequest) -> "AddPartitionsToTxnResponse | asyncio.Future[Any]":
    """Add to one transaction, or (from version 4 on, between brokers) to several."""
    if call.version < BATCHED_FROM:
        asked = _only(request)
        codes = _add(call, asked)
        response = _early(codes)
        if any(codes.values()):
            return response
        return call.when_written(
            Kind.TRANSACTION, asked.transactional_id, response, lambda code: _early(dict.fromkeys(codes, code))
        )
    code = call.error(Operation.CLUSTER_ACTION)
    if code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED:
        return AddPartitionsToTxnResponse(error_code=code)
    return AddPartitionsToTxnResponse(
        results_by_transaction=[
            AddPartitionsToTxnResponse.AddPartitionsToTxnResult(
                transactional_id=asked.transactional_id, topic_results=_results(_add(call, asked))
            )
            for asked in request.transactions
        ]
    )


def _early(codes: Codes) -> AddPartitionsToTxnResponse:
    """Answer a request of an early version."""
    return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=_results(codes))


def _only(request: AddPartitionsToTxnRequest) -> Asked:
    """Return what a request of an early version asks."""
    return AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
        transactional_id=request.v3_and_below_transactional_id,
        producer_id=request.v3_and_below_producer_id,
        producer_epoch=request.v3_and_below_producer_epoch,
        topics=request.v3_and_below_topics,
    )


def _add(call: Call, asked: Asked) -> Codes:
    """Return a code for each partition: all join, or none."""
    named = list(_named(asked.topics))
    try:
        call.check_faults(None)
        if call.version < BATCHED_FROM:
            call.authorize(Operation.WRITE, Resource.TRANSACTIONAL_ID, asked.transactional_id)
        wrong = {(topic, index): code for topic, index in named if (code := _wrong(call, topic, index))}
        if wrong:
            return {partition: wrong.get(partition, ErrorCode.OPERATION_NOT_ATTEMPTED) for partition in named}
        call.check_coordinator(Kind.TRANSACTION, asked.transactional_id)
        identity = Identity(asked.producer_id, asked.producer_epoch)
        transactions = call.cluster.transactions
        if asked.verify_only:
            there = transactions.verified(asked.transactional_id, identity).partitions
            return {
                partition: ErrorCode.NONE if partition in there else ErrorCode.TRANSACTION_ABORTABLE
                for partition in named
            }
        transactions.add(asked.transactional_id, identity, named, _transaction_version(call))
    except Refused as refused:
        return dict.fromkeys(named, told(refused.code, call.version, FENCED_FROM))
    return dict.fromkeys(named, ErrorCode.NONE)


def _transaction_version(call: Call) -> int:
    """Return the version of the transactions that a request speaks of: brokers add for clients of version 2."""
    return 2 if call.version >= BATCHED_FROM else 0


def _wrong(call: Call, topic: str, index: int) -> ErrorCode:
    """Return why a partition cannot be written to, or NONE. Brokers have asked that for their clients already."""
    try:
        call.check_faults(topic, index)
        if call.version < BATCHED_FROM:
            call.authorize(Operation.WRITE, Resource.TOPIC, topic)
        call.cluster.partition(topic, index)
    except Refused as refused:
        return refused.code
    return ErrorCode.NONE


def _named(topics: Sequence[Topic]) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    return ((topic.name, index) for topic in topics for index in topic.partitions)


def _results(codes: Codes) -> list[TopicResult]:
    """Return the codes by topic."""
    results: dict[str, list[PartitionResult]] = {}
    for (topic, index), code in codes.items():
        results.setdefault(topic, []).append(
            AddPartitionsToTxnResponse.AddPartitionsToTxnPartitionResult(
                partition_index=index, partition_error_code=code
            )
        )
    return [
        AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult(name=topic, results_by_partition=partitions)
        for topic, partitions in results.items()
    ]


def _partitions(call: Call, request: AddPartitionsToTxnRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions that are named."""
    for asked in (_only(request),) if call.version < BATCHED_FROM else request.transactions:
        yield from _named(asked.topics)


HANDLER = Handler(_handle, _partitions)
