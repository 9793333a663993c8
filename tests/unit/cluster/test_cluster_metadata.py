"""The picture of the cluster, as answers change it."""

from typing import Any

import pytest

from felice.cluster.metadata import BrokerView, Metadata
from felice.errors import WireError
from felice.wire.messages.metadata import MetadataResponse
from scripted_broker import topic

A, B = b"a" * 16, b"b" * 16


def answer(*topics: MetadataResponse.Topic, nodes: tuple[int, ...] = (1, 2)) -> MetadataResponse:
    return MetadataResponse(
        brokers=[MetadataResponse.Broker(node_id=n, host=f"b{n}", port=9092) for n in nodes],
        controller_id=1,
        cluster_id="c",
        topics=list(topics),
    )


def failed(name: str, code: int) -> MetadataResponse.Topic:
    return MetadataResponse.Topic(name=name, error_code=code)


def leaders(metadata: Metadata, name: str) -> list[tuple[int, int]]:
    view = metadata.topic(name)
    assert view is not None
    return [(p.leader, p.leader_epoch) for p in view.partitions]


def test_an_answer_is_found_by_name_and_by_id() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, 2, topic_id=A, epoch=5)))
    assert leaders(metadata, "letters") == [(1, 5), (2, 5)]
    assert metadata.topic_name(A) == "letters"
    assert metadata.brokers[2] == BrokerView(2, "b2", 9092)
    assert metadata.topic("other") is None
    assert metadata.topic_name(B) is None


def test_row_4_a_lower_epoch_is_ignored_partition_by_partition() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, 1, topic_id=A, epochs=(5, 5))))
    changes = metadata.apply(answer(topic("letters", 2, 2, topic_id=A, epochs=(4, 6))))
    assert leaders(metadata, "letters") == [(1, 5), (2, 6)]
    assert changes.stale == (("letters", 0, 5, 4),)


def test_row_4_an_equal_epoch_is_taken() -> None:
    """A leader may be lost and found again within one epoch."""
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=A, epoch=5)))
    metadata.apply(answer(topic("letters", -1, topic_id=A, epoch=5)))
    assert leaders(metadata, "letters") == [(-1, 5)]
    view = metadata.topic("letters")
    assert view is not None
    assert view.leaderless == [0]


def test_row_4_epochs_do_not_go_back_across_an_outage() -> None:
    """The epoch is remembered while the topic answers with an error."""
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=A, epoch=5)))
    metadata.apply(answer(failed("letters", 3)))
    metadata.apply(answer(topic("letters", 2, topic_id=A, epoch=4)))
    assert leaders(metadata, "letters") == [(1, 5)]


def test_row_4_and_5_a_recreated_topic_is_a_new_topic() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, 1, topic_id=A, epoch=5)))
    changes = metadata.apply(answer(topic("letters", 2, topic_id=B, epoch=0)))
    assert leaders(metadata, "letters") == [(2, 0)]
    assert changes.recreated == (("letters", A, B),)
    assert metadata.topic_name(B) == "letters"
    assert metadata.topic_name(A) is None, "nobody may read the new topic by the old one's ID"


def test_row_5_a_topic_recreated_across_an_outage_is_told() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=A, epoch=5)))
    metadata.apply(answer(failed("letters", 3)))
    changes = metadata.apply(answer(topic("letters", 1, topic_id=B, epoch=0)))
    assert changes.recreated == (("letters", A, B),)
    assert metadata.topic_name(A) is None


def test_row_5_a_topic_with_an_error_has_no_partitions() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=A)))
    metadata.apply(answer(failed("letters", 3)))
    view = metadata.topic("letters")
    assert view is not None
    assert (view.error, view.partitions) == (3, ())


def test_an_answer_without_ids_keeps_the_id_that_is_known() -> None:
    """During a rolling upgrade an older broker may answer."""
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=A, epoch=5)))
    changes = metadata.apply(answer(topic("letters", 2, topic_id=bytes(16), epoch=6)))
    view = metadata.topic("letters")
    assert view is not None
    assert (view.topic_id, changes.recreated) == (A, ())
    assert metadata.topic_name(A) == "letters"


def test_an_id_that_becomes_known_is_no_recreation() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=bytes(16), epoch=5)))
    changes = metadata.apply(answer(topic("letters", 1, topic_id=A, epoch=5)))
    assert changes.recreated == ()
    assert metadata.topic_name(A) == "letters"


def test_new_partitions_are_told() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=A)))
    assert metadata.apply(answer(topic("letters", 1, 1, 1, topic_id=A))).grown == (("letters", 1, 3),)


def test_partitions_never_get_fewer_within_one_topic() -> None:
    """A broker that lags behind may know of fewer."""
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, 2, topic_id=A)))
    metadata.apply(answer(topic("letters", 1, topic_id=A)))
    assert len(leaders(metadata, "letters")) == 2


def test_an_answer_without_brokers_is_ignored() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1)))
    before = metadata.generation
    metadata.apply(answer(failed("letters", 3), nodes=()))
    assert (list(metadata.brokers), metadata.generation) == ([1, 2], before)
    assert leaders(metadata, "letters") == [(1, 0)]


def test_topics_that_were_not_asked_for_stay() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1)))
    metadata.apply(answer(topic("diaries", 1)))
    assert {view.name for view in metadata.topics()} == {"letters", "diaries"}


def test_partitions_may_come_in_any_order_and_with_gaps() -> None:
    metadata = Metadata()
    told = topic("letters", 1, 2, 1)
    told.partitions = [told.partitions[2], told.partitions[0]]
    metadata.apply(answer(told))
    view = metadata.topic("letters")
    assert view is not None
    assert [(p.partition, p.leader, p.error) for p in view.partitions] == [(0, 1, 0), (1, -1, 5), (2, 1, 0)]


@pytest.mark.parametrize("index", [-1, 2**31 - 1])
def test_row_14_a_nonsense_partition_number_changes_nothing(index: int) -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1)))
    told = topic("letters", 2, epoch=9)
    told.partitions[0].partition_index = index
    with pytest.raises(WireError, match="letters"):
        metadata.apply(answer(told, nodes=(7,)))
    assert (leaders(metadata, "letters"), list(metadata.brokers)) == ([(1, 0)], [1, 2])


class Endpoint:
    def __init__(self, node_id: int) -> None:
        self.node_id, self.host, self.port, self.rack = node_id, f"b{node_id}", 9092, None


@pytest.mark.parametrize(
    ("leader", "epoch", "endpoints", "taken"),
    [
        (2, 6, [], True),
        (3, 6, [Endpoint(3)], True),
        (3, 6, [], False),  # nobody knows where node 3 is
        (2, 5, [], False),  # no news
        (2, 4, [], False),
        (-1, 6, [], False),
    ],
)
def test_row_3_a_leader_hint_is_taken_when_it_is_newer(
    leader: int, epoch: int, endpoints: list[Any], taken: bool
) -> None:
    """KIP-951."""
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=A, epoch=5)))
    assert metadata.hint("letters", 0, leader, epoch, endpoints) is taken
    assert leaders(metadata, "letters") == ([(leader, epoch)] if taken else [(1, 5)])
    assert all(endpoint.node_id in metadata.brokers for endpoint in endpoints)


def test_row_3_a_hint_for_what_is_not_known_is_ignored() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1)))
    assert not metadata.hint("letters", 1, 2, 9)
    assert not metadata.hint("diaries", 0, 2, 9)


def test_row_4_metadata_older_than_a_hint_is_ignored() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=A, epoch=5)))
    metadata.hint("letters", 0, 2, 6)
    metadata.apply(answer(topic("letters", 1, topic_id=A, epoch=5)))
    assert leaders(metadata, "letters") == [(2, 6)]


def test_watchers_are_told_of_each_change_until_they_stop() -> None:
    metadata = Metadata()
    seen: list[int] = []
    stop = metadata.watch(lambda: seen.append(metadata.generation))
    metadata.apply(answer(topic("letters", 1, epoch=1)))
    metadata.hint("letters", 0, 2, 2)
    stop()
    metadata.apply(answer())
    assert seen == [1, 2]


def test_a_watcher_that_fails_is_logged_and_the_next_is_told(caplog: pytest.LogCaptureFixture) -> None:
    metadata = Metadata()
    seen: list[int] = []
    metadata.watch(lambda: 1 / 0)
    metadata.watch(lambda: seen.append(1))
    metadata.apply(answer())
    assert seen == [1]
    assert "ZeroDivisionError" in caplog.text


def test_a_forgotten_topic_is_gone_by_name_and_id() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, topic_id=A)))
    metadata.forget(["letters", "never known"])
    assert (metadata.topic("letters"), metadata.topic_name(A)) == (None, None)


def test_a_partitions_view_outside_the_topic_is_none() -> None:
    metadata = Metadata()
    metadata.apply(answer(topic("letters", 1, 2)))
    assert metadata.leader("letters", 2) is None
    assert metadata.leader("letters", -1) is None
    found = metadata.leader("letters", 1)
    assert found is not None
    assert found.leader == 2
