"""Configurations and names: what is taken, and what is refused."""

import pytest

from felice.broker.refusal import Refused
from felice.broker.setting import Settings
from felice.broker.setting_tables import BROKER_SETTINGS, TOPIC_SETTINGS
from felice.broker.topics import MAX_NAME, check_name, collision_key
from felice.errors import ErrorCode


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("retention.ms", "-1", -1),
        ("cleanup.policy", " compact , delete ", ("compact", "delete")),
        ("cleanup.policy", "", ()),
        ("preallocate", "TRUE", True),
        ("min.cleanable.dirty.ratio", "0.25", 0.25),
        ("compression.type", "zstd", "zstd"),
        ("compression.gzip.level", "-1", -1),
    ],
)
def test_values_are_read_by_their_type(name: str, text: str, value: object) -> None:
    """Text becomes what it stands for."""
    assert Settings(TOPIC_SETTINGS, {name: text})[name] == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("retention.ms", "soon"),
        ("retention.ms", str(1 << 63)),
        ("max.message.bytes", str(1 << 31)),
        ("max.message.bytes", "-1"),
        ("cleanup.policy", "burn"),
        ("preallocate", "yes"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("min.cleanable.dirty.ratio", "much"),
        ("compression.gzip.level", "0"),
        ("unheard.of", "1"),
        ("retention.ms", None),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name: str, text: str | None) -> None:
    """The refusal is INVALID_CONFIG, and names the key."""
    with pytest.raises(Refused, match=name) as refused:
        Settings(TOPIC_SETTINGS, {name: text})
    assert refused.value.code is ErrorCode.INVALID_CONFIG


@pytest.mark.parametrize("name", [*TOPIC_SETTINGS, *BROKER_SETTINGS])
def test_every_default_is_right_by_its_own_rules(name: str) -> None:
    """What stands without being set could also be set."""
    known = TOPIC_SETTINGS if name in TOPIC_SETTINGS else BROKER_SETTINGS
    default = known[name].default
    if default is not None:
        assert Settings(known, {name: default})[name] == Settings(known, {})[name]


def test_a_topic_inherits_from_the_broker() -> None:
    """What the topic sets counts first, then the broker's value, then the default."""
    inherited = {"max.message.bytes": 5, "retention.ms": 6}
    settings = Settings(TOPIC_SETTINGS, {"retention.ms": "7"}, inherited)
    assert [settings[name] for name in ("max.message.bytes", "retention.ms", "segment.bytes")] == [5, 7, 1073741824]


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "a" * MAX_NAME, "...", "__consumer_offsets"])
def test_good_names(name: str) -> None:
    """Letters, digits, dots, underscores and dashes."""
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a" * (MAX_NAME + 1), "a b", "a/b", "ä", "a\n", "\0"])
def test_bad_names(name: str) -> None:
    """All else is refused."""
    with pytest.raises(Refused) as refused:
        check_name(name)
    assert refused.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION


def test_names_that_collide() -> None:
    """Dots and underscores are the same to metrics."""
    assert collision_key("a.b_c") == collision_key("a_b.c")
    assert collision_key("a.b") != collision_key("a-b")


@pytest.mark.parametrize(
    ("name", "text", "bounds"),
    [
        ("segment.bytes", "10", "at least 1048576"),
        ("min.cleanable.dirty.ratio", "1.5", "at least 0 and at most 1"),
    ],
)
def test_the_refusal_tells_the_bounds_to_the_last_digit(name: str, text: str, bounds: str) -> None:
    """So that the next try is right."""
    with pytest.raises(Refused, match=f"{bounds}$"):
        Settings(TOPIC_SETTINGS, {name: text})
