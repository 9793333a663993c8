"""Questions about the state of share groups (KIP-932), as brokers ask them of share coordinators."""

import base64
from typing import Any

from asking import Asker, comparable
from felice.wire.messages.delete_share_group_state import DeleteShareGroupStateRequest
from felice.wire.messages.delete_topics import DeleteTopicsRequest
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.initialize_share_group_state import InitializeShareGroupStateRequest
from felice.wire.messages.read_share_group_state import ReadShareGroupStateRequest
from felice.wire.messages.read_share_group_state_summary import ReadShareGroupStateSummaryRequest
from felice.wire.messages.write_share_group_state import WriteShareGroupStateRequest
from questions.asked import eventually, question
from questions.share_store import Store, told

NO_TOPIC = bytes(15) + b"\x07"

AVAILABLE, ACKNOWLEDGED, ARCHIVED = 0, 2, 4

UPDATES = 500
"""How many updates there are between two snapshots."""


def store(asker: Asker, *partitions: int) -> Store:
    """Return the state of a new group in a new topic."""
    topic = asker.topic(max(partitions, default=0) + 1)
    return Store(asker, asker.topic_ids[topic]).ready(*partitions)


@question
def share_coordinators(asker: Asker) -> Any:
    """Keys of share groups' partitions, right and wrong, in the versions that know them and before."""
    text = base64.urlsafe_b64encode(bytes(range(16))).decode().rstrip("=")
    Store(asker, bytes(range(16)), "g").ready()
    keys = [
        f"g:{text}:0",
        f"g:{text}:12",
        f"g:{text}:-1",
        f"g:{text}:x",
        f"g:{text}:",
        f"g:{text}",
        f"g:{text}:0:0",
        f"a:b:{text}:0",
        f":{text}:0",
        f" :{text}:0",
        "g::0",
        "g:short:0",
        f"g:{text}A:0",
        f"g:{text[:-1]}+:0",
        f"g:{'A' * 22}:0",
        f"g:{text}: 0",
        f"g:{text}:2147483648",
        "g",
        "",
        "::",
    ]
    return [
        comparable(asker.ask(FindCoordinatorRequest(key_type=2, coordinator_keys=[key]), version))
        for key in keys
        for version in (4, 5, 6)
    ]


@question
def a_share_partitions_life(asker: Asker) -> Any:
    """Begun, read by leaders, written, begun anew, and forgotten."""
    s = store(asker)
    return [
        s.looked_at(),
        s.initialize(state_epoch=3, start_offset=5),
        s.looked_at(),
        s.summary(version=0),
        s.read(leader_epoch=2),
        s.summary(),
        s.write((5, 9, ACKNOWLEDGED, 1), state_epoch=3, leader_epoch=2, start_offset=5, complete=5),
        s.looked_at(),
        s.write((10, 12, AVAILABLE, 1), state_epoch=3, leader_epoch=2, start_offset=10, complete=0),
        s.looked_at(),
        s.read(leader_epoch=4),
        s.looked_at(),
        s.write(state_epoch=3, leader_epoch=4, start_offset=13, complete=0),
        s.looked_at(),
        s.write(state_epoch=3, leader_epoch=4, start_offset=-1, complete=7, version=0),
        s.summary(),
        s.initialize(state_epoch=4, start_offset=-1),
        s.looked_at(),
        s.write(state_epoch=4, leader_epoch=2),
        s.read(leader_epoch=3),
        s.read(leader_epoch=4),
        s.summary(),
        s.write(state_epoch=4, leader_epoch=6, start_offset=1),
        s.summary(),
        s.delete(),
        s.looked_at(),
        s.write(state_epoch=4, leader_epoch=4),
        s.delete(),
        s.initialize(state_epoch=1, start_offset=2),
        s.looked_at(),
    ]


@question
def share_state_that_is_fenced(asker: Asker) -> Any:
    """Epochs below, at, and above those that were seen, and those that are not told."""
    s = store(asker)
    answers = [s.initialize(state_epoch=3), s.read(leader_epoch=3)]
    for epoch in (-2, -1, 0, 2, 3, 4):
        answers += [
            s.write(state_epoch=epoch, leader_epoch=3),
            s.write(state_epoch=3, leader_epoch=epoch),
            s.write(state_epoch=epoch, leader_epoch=epoch),
            s.looked_at(),
        ]
    for epoch in (-2, -1, 0, 2, 3, 4):
        answers += [
            s.summary(leader_epoch=epoch),
            s.read(leader_epoch=epoch),
            s.summary(),
        ]
    for epoch in (-2, -1, 0, 2, 3, 4):
        answers += [s.initialize(state_epoch=epoch, start_offset=epoch), s.looked_at()]
    return answers


@question
def share_state_of_what_is_no_partition(asker: Asker) -> Any:
    """Negative numbers, numbers that are too high, topics that are not there, and what was not begun."""
    s = store(asker, 0, 1)
    nowhere = Store(asker, NO_TOPIC).ready()
    zero = Store(asker, bytes(16)).ready()
    answers = []
    for partition in (-1, 2, 1):
        Store(asker, s.topic_id, s.group).ready(max(partition, 0))
        answers += [
            s.initialize(partition, start_offset=9) if partition != 1 else None,
            s.read(partition),
            s.summary(partition),
            s.summary(partition, version=0),
            s.write(partition=partition),
            s.delete(partition),
        ]
    for other in (nowhere, zero):
        answers += [
            other.initialize(),
            other.read(),
            other.summary(),
            other.write(),
            other.delete(),
        ]
    return answers


@question
def share_state_of_nothing(asker: Asker) -> Any:
    """Requests without a group, without topics, and with a topic that has no partitions."""
    s = store(asker)
    answers = []
    for request, data in (
        (InitializeShareGroupStateRequest, InitializeShareGroupStateRequest.InitializeStateData),
        (ReadShareGroupStateRequest, ReadShareGroupStateRequest.ReadStateData),
        (WriteShareGroupStateRequest, WriteShareGroupStateRequest.WriteStateData),
        (ReadShareGroupStateSummaryRequest, ReadShareGroupStateSummaryRequest.ReadStateSummaryData),
        (DeleteShareGroupStateRequest, DeleteShareGroupStateRequest.DeleteStateData),
    ):
        make: Any = data
        full = make(topic_id=s.topic_id, partitions=[make.PartitionData(partition=0)])
        empty = make(topic_id=s.topic_id, partitions=[])
        answers += [
            told(asker.ask(request(group_id="", topics=[full]), 0)),
            told(asker.ask(request(group_id=s.group, topics=[]), 0)),
            told(asker.ask(request(group_id=s.group, topics=[empty]), 0)),
            told(asker.ask(request(group_id=s.group, topics=[full, empty]), 0)),
        ]
    return answers


@question
def share_state_of_many_partitions(asker: Asker) -> Any:
    """Several partitions in one request, some of them wrong, out of order, and one named twice."""
    s = store(asker, 0, 1, 2, 3)
    make = InitializeShareGroupStateRequest.InitializeStateData
    read = ReadShareGroupStateSummaryRequest.ReadStateSummaryData
    partitions = [make.PartitionData(partition=number, state_epoch=1, start_offset=number) for number in (2, 0, 3, 9)]
    asked = [read.PartitionData(partition=number, leader_epoch=-1) for number in (3, 2, 1, 0, 2)]
    return [
        told(
            asker.ask(
                InitializeShareGroupStateRequest(
                    group_id=s.group, topics=[make(topic_id=s.topic_id, partitions=partitions)]
                ),
                0,
            )
        ),
        told(
            asker.ask(
                ReadShareGroupStateSummaryRequest(
                    group_id=s.group, topics=[read(topic_id=s.topic_id, partitions=asked)]
                ),
                1,
            )
        ),
    ]


@question
def batches_of_share_state(asker: Asker) -> Any:
    """Batches that touch, overlap, swallow each other and lie before the start, in one write and in several."""
    s = store(asker)
    s.initialize()
    a, k, r = AVAILABLE, ACKNOWLEDGED, ARCHIVED
    writes = [
        [(0, 9, a, 1)],
        [(3, 5, k, 1)],
        [(4, 7, a, 2)],
        [(0, 2, k, 1), (3, 5, k, 1)],
        [(20, 29, a, 1), (10, 19, a, 1)],
        [(12, 15, a, 2), (12, 17, a, 1)],
        [(12, 14, r, 2), (14, 16, k, 2), (15, 25, a, 1)],
        [(0, 40, a, 1)],
        [(30, 30, a, 3), (30, 30, a, 3), (30, 30, k, 3)],
        [(50, 54, k, 1), (55, 59, a, 1), (55, 59, k, 1)],
        [(60, 64, a, 1), (62, 62, a, 2), (61, 63, a, 2)],
        [(60, 70, r, 1)],
    ]
    answers = []
    for batches in writes:
        answers += [s.write(*batches), s.read(leader_epoch=-1)]
    for start in (5, 13, -1, 30, 31):
        answers += [s.write((start - 5, start + 5, r, 1), start_offset=start), s.read(leader_epoch=-1)]
    return answers


@question
def share_state_that_was_often_written(asker: Asker) -> Any:
    """More updates than there are between two snapshots."""
    s = store(asker)
    s.initialize()
    answers = [
        s.write((number, number, ACKNOWLEDGED if number % 3 else AVAILABLE, 1), start_offset=max(-1, number - 10))
        for number in range(UPDATES + 5)
    ]
    return answers, s.looked_at()


@question
def share_state_of_a_deleted_topic(asker: Asker) -> Any:
    """It goes with the topic."""
    s = store(asker)
    answers = [s.initialize(), s.read()]
    name = next(name for name, topic_id in asker.topic_ids.items() if topic_id == s.topic_id)
    asker.ask(DeleteTopicsRequest(topics=[DeleteTopicsRequest.DeleteTopicState(name=name)], timeout_ms=5000), 6)
    eventually(lambda: s.code(s.read()) == 42)
    return answers, s.read(), s.summary(), s.write(), s.delete()
