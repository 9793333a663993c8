"""Where reading begins: every form that people write it in."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from felice.consumer.start import EARLIEST, LATEST, Start, Starts, Timestamp, parse_partition, parse_start
from felice.errors import ConfigError
from felice.types import TopicPartition

LETTERS_0 = TopicPartition("letters", 0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("earliest", EARLIEST),
        ("latest", LATEST),
        (0, Start(0)),
        (2**63 - 1, Start(2**63 - 1)),
        (Timestamp(17), Start(timestamp=17)),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), Start(timestamp=1000)),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), Start(timestamp=0)),
        (Start(5), Start(5)),
    ],
)
def test_every_form_is_understood(given: object, expected: Start) -> None:
    assert parse_start(given) == expected


@pytest.mark.parametrize(
    "given",
    ["newest", "", -1, -2, 2**63, True, 1.5, None, b"earliest", Timestamp(-1), datetime(2024, 1, 1),
     datetime(1969, 1, 1, tzinfo=UTC), {}, ("letters", 0)],
)  # fmt: skip
def test_what_is_no_place_is_refused_and_named(given: object) -> None:
    with pytest.raises(ConfigError, match="start=") as caught:
        parse_start(given)
    assert '"earliest"' in caught.value.hint


@pytest.mark.parametrize(
    "given", ["letters", ("letters",), ("letters", -1), ("letters", "0"), ("", 0), (0, "letters"), ("letters", True),
              ("letters", 2**31), None]
)  # fmt: skip
def test_what_is_no_partition_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match="is no partition"):
        parse_partition(given)


def test_a_mapping_names_topics_and_partitions_and_the_others_begin_at_the_beginning() -> None:
    starts = Starts({"letters": "latest", ("letters", 1): 7, TopicPartition("cards", 0): Timestamp(5)})
    assert starts.of(LETTERS_0) == LATEST
    assert starts.of(TopicPartition("letters", 1)) == Start(7)
    assert starts.of(TopicPartition("cards", 0)) == Start(timestamp=5)
    assert starts.of(TopicPartition("cards", 1)) == EARLIEST


def test_a_partition_that_came_later_is_read_from_its_beginning() -> None:
    """Its first records are newer than the consumer: "latest" must not skip them."""
    assert Starts("latest").of(LETTERS_0, new=True) == EARLIEST
    assert Starts(Timestamp(5)).of(LETTERS_0, new=True) == EARLIEST
    assert Starts({("letters", 0): "latest"}).of(LETTERS_0, new=True) == LATEST


def test_places_for_what_is_not_read_are_refused() -> None:
    starts = Starts({"letters": 0, ("cards", 1): 0})
    starts.check(["letters"], [TopicPartition("cards", 1)])
    starts.check(["letters", "cards"], [])
    with pytest.raises(ConfigError, match="topic 'letters', which is not read"):
        starts.check([], [TopicPartition("cards", 1)])
    with pytest.raises(ConfigError, match="partition cards-1, which is not read"):
        starts.check(["letters"], [TopicPartition("cards", 0)])


def test_a_place_reads_as_it_was_written() -> None:
    assert [str(parse_start(given)) for given in ("earliest", "latest", 7, Timestamp(5))] == [
        "earliest",
        "latest",
        "7",
        "Timestamp(5)",
    ]
