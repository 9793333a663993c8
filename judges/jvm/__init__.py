"""Kafka's own tools in real use, by theme; each case runs some of them and checks what they say."""

from judges.jvm import cluster, groups, records, shares, topics, transactions
from judges.jvm.shell import Case

CASES: tuple[Case, ...] = (
    *topics.CASES,
    *records.CASES,
    *groups.CASES,
    *shares.CASES,
    *transactions.CASES,
    *cluster.CASES,
)
