"""Changes of configurations, and what stands behind them."""

import pytest

from felice.broker.configs.changes import Change, Operation, changed
from felice.broker.configs.entries import Layer, synonyms
from felice.broker.configs.inheritance import inherited, topic_settings
from felice.broker.refusal import Refused
from felice.broker.setting import Kind, Mode, Settings, Source
from felice.broker.setting_tables import (
    BROKER_SETTINGS,
    CLIENT_METRICS_SETTINGS,
    GROUP_SETTINGS,
    TOPIC_SETTINGS,
)
from felice.errors import ErrorCode

SET, DELETE, APPEND, SUBTRACT = Operation


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({}, Change("retention.ms", SET, "5"), {"retention.ms": "5"}),
        ({"retention.ms": "5"}, Change("retention.ms", SET, "6"), {"retention.ms": "6"}),
        ({"retention.ms": "5"}, Change("retention.ms", DELETE, None), {}),
        ({}, Change("retention.ms", DELETE, None), {}),
        ({}, Change("cleanup.policy", APPEND, "compact"), {"cleanup.policy": "delete,compact"}),
        ({}, Change("cleanup.policy", APPEND, "delete"), {"cleanup.policy": "delete"}),
        ({}, Change("cleanup.policy", SUBTRACT, "delete"), {"cleanup.policy": ""}),
        ({"cleanup.policy": ""}, Change("cleanup.policy", APPEND, "a,b"), {"cleanup.policy": "a,b"}),
        ({"cleanup.policy": "compact"}, Change("cleanup.policy", SUBTRACT, "x"), {"cleanup.policy": "compact"}),
    ],
)  # fmt: skip
def test_changes_make_new_texts(before: dict[str, str], change: Change, after: dict[str, str]) -> None:
    """Texts are set and taken back; lists begin with their default, and hold each part once."""
    assert changed(TOPIC_SETTINGS, before, {}, [change]) == after


def test_a_list_begins_with_what_the_broker_sets() -> None:
    """What stands where a topic sets nothing is what is added to."""
    made = changed(TOPIC_SETTINGS, {}, {"cleanup.policy": "compact"}, [Change("cleanup.policy", APPEND, "delete")])
    assert made == {"cleanup.policy": "compact,delete"}


@pytest.mark.parametrize("name", ["retention.ms", "unheard.of"])
def test_only_lists_grow(name: str) -> None:
    """To append to anything else is INVALID_CONFIG."""
    with pytest.raises(Refused) as refused:
        changed(TOPIC_SETTINGS, {}, {}, [Change(name, APPEND, "1")])
    assert refused.value.code is ErrorCode.INVALID_CONFIG


def test_changes_leave_the_old_texts_alone() -> None:
    """Who only checks a change has changed nothing."""
    before = {"retention.ms": "5"}
    changed(TOPIC_SETTINGS, before, {}, [Change("retention.ms", DELETE, None)])
    assert before == {"retention.ms": "5"}


@pytest.mark.parametrize(
    ("texts", "name", "value"),
    [
        ({"log.retention.hours": "2"}, "retention.ms", 7_200_000),
        ({"log.retention.hours": "2", "log.retention.minutes": "3"}, "retention.ms", 180_000),
        ({"log.retention.minutes": "3", "log.retention.ms": "4"}, "retention.ms", 4),
        ({"log.retention.ms": "-7"}, "retention.ms", -1),
        ({"log.roll.hours": "1"}, "segment.ms", 3_600_000),
        ({"log.retention.bytes": "-5"}, "retention.bytes", -5),
        ({"log.cleanup.policy": "compact"}, "cleanup.policy", ("compact",)),
    ],
)
def test_topics_inherit_in_their_own_unit(texts: dict[str, str], name: str, value: object) -> None:
    """The finest unit that is set counts, and every negative retention means for ever."""
    assert inherited(TOPIC_SETTINGS, Settings(BROKER_SETTINGS, texts))[name] == value


def test_values_that_do_not_go_together() -> None:
    """Each fits by itself."""
    broker = Settings(BROKER_SETTINGS, {})
    for texts in ({"min.compaction.lag.ms": "5", "max.compaction.lag.ms": "4"}, {"remote.storage.enable": "true"}):
        with pytest.raises(Refused) as refused:
            topic_settings(texts, broker)
        assert refused.value.code is ErrorCode.INVALID_CONFIG


def test_the_nearest_place_comes_first() -> None:
    """A broker's own value, then that of all brokers, then what it started with, then the default."""
    layers = [
        Layer(Source.DYNAMIC_BROKER, {"message.max.bytes": "1"}),
        Layer(Source.DYNAMIC_DEFAULT_BROKER, {}),
        Layer(Source.STATIC_BROKER, {"message.max.bytes": "3"}),
    ]
    found = list(synonyms(BROKER_SETTINGS["message.max.bytes"], layers, BROKER_SETTINGS))
    assert [(place.text, place.source) for place in found] == [
        ("1", Source.DYNAMIC_BROKER),
        ("3", Source.STATIC_BROKER),
        ("1048588", Source.DEFAULT),
    ]


def test_an_older_key_is_shown_behind_the_one_it_stands_for() -> None:
    """Hours are no place for milliseconds that nobody set."""
    setting = BROKER_SETTINGS["log.retention.ms"]
    hours = Layer(Source.STATIC_BROKER, {"log.retention.hours": "5"})
    assert list(synonyms(setting, [hours], BROKER_SETTINGS)) == []
    own = Layer(Source.DYNAMIC_BROKER, {"log.retention.ms": "9"})
    names = [place.name for place in synonyms(setting, [own, hours], BROKER_SETTINGS)]
    assert names == ["log.retention.ms", "log.retention.hours", "log.retention.hours"]


def test_every_broker_key_that_topics_and_groups_inherit_is_known() -> None:
    """And has the same type and default, or none."""
    for setting in (*TOPIC_SETTINGS.values(), *GROUP_SETTINGS.values()):
        if setting.broker_name is not None:
            broker = BROKER_SETTINGS[setting.broker_name]
            assert broker.kind is setting.kind
            assert broker.default in (None, setting.default)


def test_all_keys_of_kafka_are_there() -> None:
    """Kafka 4.3.1 lists 340 of a broker; besides there are three rates and two keys of its authorizer."""
    assert len(BROKER_SETTINGS) == 340 + 3 + 2
    assert sum(setting.mode is not Mode.FIXED for setting in BROKER_SETTINGS.values()) > 90
    assert [len(TOPIC_SETTINGS), len(GROUP_SETTINGS), len(CLIENT_METRICS_SETTINGS)] == [33, 17, 3]


def test_secrets_are_known_as_such() -> None:
    """Passwords, and what nobody knows."""
    assert BROKER_SETTINGS["ssl.key.password"].kind is Kind.PASSWORD
    assert BROKER_SETTINGS["ssl.key.password"].secret
    assert not BROKER_SETTINGS["ssl.keystore.location"].secret
