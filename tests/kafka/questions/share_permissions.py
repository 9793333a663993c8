"""Questions about share groups to a broker that has an authorizer, by somebody whom entries keep out."""

from typing import Any

from asking import Asker
from felice.broker.authorization import Operation, Resource
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from questions import acls
from questions.asked import permissive
from questions.authorization import cluster_entry, entries, entry, in_order
from questions.share_offsets import Ledger, a_ledger
from questions.share_store import Store


def kept(name: str, kind: Resource, operation: Operation) -> list[acls.Acl]:
    """Entries that keep the stranger from one thing, and let everybody do everything else."""
    anybody = acls.acl(name, kind, principal="User:*", operation=Operation.ALL, permission=acls.ALLOW)
    return [anybody, *entry(name, kind, operation)]


@permissive
def share_state_that_is_not_for_everybody(asker: Asker) -> Any:
    """Only brokers may touch it: whoever may act for the cluster."""
    topic = asker.topic()
    store = Store(asker, asker.topic_ids[topic]).ready()
    with entries(asker, *cluster_entry(Operation.CLUSTER_ACTION)) as stranger:
        theirs = Store(stranger, store.topic_id, store.group)
        keys = FindCoordinatorRequest(key_type=2, coordinator_keys=[f"{store.group}:AAAAAAAAAAAAAAAAAAAAAA:0", "wrong"])
        return [
            theirs.initialize(),
            theirs.read(),
            theirs.write(),
            theirs.summary(),
            theirs.delete(),
            theirs.initialize(partition=-1),
            in_order(stranger.ask(keys, 6)),
            store.looked_at(),
        ]


@permissive
def share_offsets_of_a_group_that_is_kept_from_somebody(asker: Asker) -> Any:
    """Describing, reading and deleting are allowed one by one."""
    topic = asker.topic()
    ledger = a_ledger(asker, topic)
    ledger.alter({topic: {0: 0}})
    answers = []
    for operation in (Operation.DESCRIBE, Operation.READ, Operation.DELETE, Operation.ALL):
        with entries(asker, *kept(ledger.group, Resource.GROUP, operation)) as stranger:
            theirs = Ledger(stranger, ledger.group)
            answers += [
                theirs.described(),
                theirs.described({topic: [0]}),
                theirs.alter({topic: {0: 1}}),
                theirs.delete(topic),
            ]
        ledger.alter({topic: {0: 2}})
    return answers


@permissive
def share_offsets_of_topics_that_are_kept_from_somebody(asker: Asker) -> Any:
    """They are left out where all are wanted, and refused where they are named."""
    topics = [asker.topic() for _ in range(2)]
    shown, hidden = topics
    ledger = a_ledger(asker, shown)
    Store(asker, asker.topic_ids[hidden], ledger.group).ready()
    both = {shown: {0: 1}, hidden: {0: 1}}
    ledger.alter(both)
    answers = []
    for operation in (Operation.DESCRIBE, Operation.READ):
        with entries(asker, *kept(hidden, Resource.TOPIC, operation)) as stranger:
            theirs = Ledger(stranger, ledger.group)
            answers += [
                theirs.described(),
                theirs.described({hidden: [0], shown: [0]}),
                theirs.alter({hidden: {0: 3}, "there-is-no-such-topic": {0: 0}, shown: {0: 2}}),
                theirs.alter({shown: {0: 2}, hidden: {0: 3}}),
                theirs.delete(hidden, "there-is-no-such-topic", shown),
            ]
        answers.append(ledger.described())
        ledger.alter(both)
    return answers
