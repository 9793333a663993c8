"""Options: what is right, and what a wrong one is told."""

import dataclasses
import typing
from collections.abc import Callable
from typing import Any

import pytest

from felice.config import ConsumerConfig, ProducerConfig, ProducerOptions, parse_addresses
from felice.config.addresses import Address
from felice.config.producer import BY_TOPIC
from felice.errors import ConfigError


def config(**options: Any) -> ProducerConfig:
    return ProducerConfig(bootstrap_servers="b1:9092", **options)


# -- addresses ----------------------------------------------------------------------------------------------------

RIGHT = [
    ("b1:9092", [("b1", 9092)]),
    ("b1:9092,b2.example.com:9093", [("b1", 9092), ("b2.example.com", 9093)]),
    (" b1:9092 , b2:1 ,", [("b1", 9092), ("b2", 1)]),
    (["b1:9092", ("b2", 65535)], [("b1", 9092), ("b2", 65535)]),
    (["b1:9092,b2:9092"], [("b1", 9092), ("b2", 9092)]),
    ("b1:9092,b1:9092", [("b1", 9092)]),
    ("[::1]:9092", [("::1", 9092)]),
    ("[fe80::1%eth0]:9092", [("fe80::1%eth0", 9092)]),
    ([("::1", 9092)], [("::1", 9092)]),
    ("10.0.0.1:9092", [("10.0.0.1", 9092)]),
    ("my_broker:9092", [("my_broker", 9092)]),
    (iter(["b1:9092"]), [("b1", 9092)]),
]


@pytest.mark.parametrize(("given", "expected"), RIGHT)
def test_addresses_as_people_write_them(given: Any, expected: list[tuple[str, int]]) -> None:
    """A string with commas, a list, pairs, IPv6 in brackets; each once, in order."""
    assert parse_addresses(given) == tuple(Address(*pair) for pair in expected)


WRONG = [
    ("b1", "'b1'"),
    ("b1:", "'b1:'"),
    (":9092", "':9092'"),
    ("b1:0", "between 1 and 65535"),
    ("b1:65536", "'b1:65536'"),
    ("b1:-1", "'b1:-1'"),
    ("b1:９０９２", "no port"),
    ("b1:9092;b2:9092", "b1:9092;b2:9092"),
    ("kafka://b1:9092", "leave out the scheme"),
    ("::1:9092", "::1:9092"),
    ("[b1]:9092", r"\[b1\]:9092"),
    ("", "empty"),
    (",", "empty"),
    ([], "empty"),
    (["b1:9092", 5], "5 is not an address"),
    ([("b1", "nine")], "nine"),
    ([("b1", 9092, 1)], "b1"),
    (5, "5 is not an address"),
    (["b1:9092", "b2 b3:9092"], "b2 b3:9092"),
]


@pytest.mark.parametrize(("given", "named"), WRONG, ids=lambda given: str(given)[:40])
def test_a_wrong_address_is_named(given: Any, named: str) -> None:
    """It fails in the constructor, the error says which one and how to write it."""
    with pytest.raises(ConfigError, match=named) as raised:
        parse_addresses(given)
    assert "host:port" in raised.value.hint
    with pytest.raises(ConfigError, match="bootstrap_servers"):
        ProducerConfig(bootstrap_servers=given)


def test_an_address_is_shown_as_it_is_written() -> None:
    """With brackets where they are needed."""
    assert [str(a) for a in parse_addresses("b1:1,[::1]:2")] == ["b1:1", "[::1]:2"]


# -- values -------------------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"acks": 2}, "choose from 'all', 0, 1"),
    ({"acks": "1"}, "choose from"),
    ({"acks": True}, "choose from"),
    ({"acks": -1}, "choose from"),
    ({"acks": 1}, "idempotence=False and accept duplicates"),
    ({"idempotence": 1}, "give True or False"),
    ({"idempotence": "no"}, "give True or False"),
    ({"max_in_flight": 0}, "from 1 to 5"),
    ({"max_in_flight": 6}, "from 1 to 5"),
    ({"max_in_flight": 2.0}, "whole number"),
    ({"linger": -1}, "linger=-1"),
    ({"linger": float("nan")}, "linger=nan"),
    ({"linger": "5ms"}, "a number of seconds"),
    ({"linger": True}, "linger=True"),
    ({"linger": 200}, "delivery_timeout"),
    ({"batch_bytes": 10}, "from 256"),
    ({"batch_bytes": 1e6}, "whole number of bytes"),
    ({"buffer_bytes": 65536}, "room for two batches"),
    ({"delivery_timeout": 0}, "delivery_timeout=0"),
    ({"compression": "brotli"}, "choose from 'none', 'gzip'"),
    ({"compression": None}, "choose from"),
    ({"compression_level": 3}, "has no levels"),
    ({"compression": "zstd", "compression_level": 23}, "levels 1 to 22"),
    ({"compression": "gzip", "compression_level": 0}, "levels 1 to 9"),
    ({"compression": "gzip", "compression_level": True}, "levels 1 to 9"),
    ({"compression": "snappy", "compression_level": 1}, "has no levels"),
    ({"partitioner": "murmur2"}, "callable"),
    ({"topics": ["letters"]}, "mapping"),
    ({"topics": {"letters": 5}}, "mapping of options"),
    ({"topics": {"letters": {"lingr": 0}}}, "there is linger"),
    ({"topics": {"letters": {"acks": 1}}}, "there is no option 'acks'"),
    ({"topics": {"letters": {"linger": -1}}}, "linger=-1"),
    ({"client_id": "a\nb"}, "printable"),
    ({"client_id": 5}, "printable"),
    ({"client_id": "x" * 40000}, "too long"),
    ({"security": "ssl"}, "choose from 'plaintext'"),
    ({"max_frame_bytes": 2**31}, "max_frame_bytes"),
    ({"request_timeout": None}, "a number of seconds"),
    # Produce and ListOffsets tell it to the broker in 32 bits of milliseconds.
    ({"request_timeout": float("inf")}, "from 0.001 to 2000000 seconds"),
    ({"request_timeout": 2**31 / 1000}, "from 0.001 to 2000000 seconds"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED, ids=str)
def test_a_wrong_value_is_refused_with_the_right_ones(options: dict[str, Any], said: str) -> None:
    """The error names the option and what it may be."""
    with pytest.raises(ConfigError) as raised:
        config(**options)
    assert said in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_an_unknown_option_is_told_the_right_one() -> None:
    """By its likeness, or by Kafka's own key for it."""
    from felice import Producer

    for wrong, right in (
        ("lingr", "linger"),
        ("linger_ms", "linger"),
        ("compresion", "compression"),
        ("enable_idempotence", "idempotence"),
        ("max_block_ms", "buffer_timeout"),
    ):
        with pytest.raises(ConfigError, match=f"no option '{wrong}'.*{right}"):
            Producer("b1:9092", **{wrong: 1})  # type: ignore[arg-type]


def test_a_config_is_given_whole_or_by_options_and_not_both() -> None:
    """Which of the two would win is not for us to guess."""
    from felice import Producer

    with pytest.raises(ConfigError, match="config= and also linger"):
        Producer(config=config(), linger=1)
    with pytest.raises(ConfigError, match="config= and also bootstrap_servers"):
        Producer("b1:9092", config=config())


@pytest.mark.parametrize("given", ["json", 5, b"x"])
def test_a_serializer_is_callable(given: Any) -> None:
    """Otherwise the constructor says so, not the first send."""
    from felice import AsyncProducer, Producer

    faces: list[Callable[..., Any]] = [Producer, AsyncProducer]
    for face in faces:
        with pytest.raises(ConfigError, match="value_serializer"):
            face("b1:9092", value_serializer=given)


# -- topics -------------------------------------------------------------------------------------------------------


def test_a_topic_has_its_own_values_and_the_producers_for_the_rest() -> None:
    """`for_topic` gives both together."""
    made = config(linger=1.0, topics={"letters": {"linger": 0, "compression": "zstd"}})
    letters, cards = made.for_topic("letters"), made.for_topic("cards")
    assert (letters.linger, letters.compression, letters.batch_bytes) == (0, "zstd", made.batch_bytes)
    assert (cards.linger, cards.compression) == (1.0, "none")


def test_what_may_differ_by_topic_is_what_a_topics_options_have() -> None:
    """The list and the class are one."""
    from felice.config import TopicConfig

    assert tuple(f.name for f in dataclasses.fields(TopicConfig)) == BY_TOPIC


def test_a_config_cannot_be_changed_afterwards() -> None:
    """Neither itself nor, through what was handed in, its topics."""
    topics = {"letters": {"linger": 0}}
    made = config(topics=topics)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.linger = 5  # type: ignore[misc]
    topics["cards"] = {"linger": 9}
    assert "cards" not in made.topics
    with pytest.raises(TypeError):
        made.topics["cards"] = {}  # type: ignore[index]


# -- one table ----------------------------------------------------------------------------------------------------


def test_the_keyword_types_are_the_options() -> None:
    """`ProducerOptions` has exactly the fields of `ProducerConfig` but for the addresses, with the same types."""
    fields = {f.name: f.type for f in dataclasses.fields(ProducerConfig)}
    fields.pop("bootstrap_servers")
    assert set(typing.get_type_hints(ProducerOptions)) == set(fields)
    own = typing.get_type_hints(ProducerConfig)
    assert {name: own[name] for name in fields} == typing.get_type_hints(ProducerOptions)


def test_the_consumers_keyword_types_are_its_options() -> None:
    """As the producer's."""
    from felice.config import ConsumerOptions

    own = typing.get_type_hints(ConsumerConfig)
    own = {f.name: own[f.name] for f in dataclasses.fields(ConsumerConfig) if f.name != "bootstrap_servers"}
    assert own == typing.get_type_hints(ConsumerOptions)


@pytest.mark.parametrize("kind", [ProducerConfig, ConsumerConfig])
def test_every_default_is_a_value_that_is_allowed(kind: type[Any]) -> None:
    """The defaults together are a config."""
    made = kind()
    assert made.addresses == (Address("localhost", 9092),)
