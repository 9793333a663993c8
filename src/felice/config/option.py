"""How an option is declared, and how all of a class are validated in one place."""

import difflib
from collections.abc import Mapping
from dataclasses import Field, field, fields
from typing import Any

from felice.errors import ConfigError


def option(
    default: Any,
    *,
    kafka: str = "",
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
) -> Any:
    """Declare an option: its default, Kafka's own key, its unit, and what values it may have."""
    metadata = {"kafka": kafka, "unit": unit, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


def validate(config: Any) -> None:
    """Check every option of a config against its declaration; `ConfigError` names the first that is wrong."""
    for declared in fields(config):
        _check(declared, getattr(config, declared.name))


def _check(declared: "Field[Any]", value: object) -> None:
    """Check one value."""
    name, rule, default = declared.name, declared.metadata, declared.default
    choices = rule.get("choices") or ()
    if choices:
        if value not in choices or isinstance(value, bool) != any(isinstance(c, bool) for c in choices):
            raise ConfigError(f"{name}={value!r}", hint="choose from " + ", ".join(map(repr, choices)))
        return
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{name}={value!r}", hint="give True or False")
        return
    low, high = rule.get("low"), rule.get("high")
    if low is None and high is None:
        return
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        if value is None and default is None:
            return
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"{name}={value!r}", hint=f"give {kind} of {rule['unit'] or 'units'}")
    if value != value or (low is not None and value < low) or (high is not None and value > high):
        bounds = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise ConfigError(
            f"{name}={value!r}", hint=f"give a number {bounds}" + (f" {rule['unit']}" if rule["unit"] else "")
        )


def check_names(cls: type, given: Mapping[str, object], allowed: tuple[str, ...] | None = None) -> None:
    """Raise `ConfigError` for an option that `cls` does not have, naming the nearest that it has."""
    names = allowed if allowed is not None else tuple(f.name for f in fields(cls))
    for name in given:
        if name not in names:
            near = _by_kafka_key(cls, name) or difflib.get_close_matches(name, names, 3, 0.5) or sorted(names)
            raise ConfigError(f"there is no option {name!r}", hint="there is " + ", ".join(near))


def _by_kafka_key(cls: type, name: str) -> list[str]:
    """Find the option whose Kafka key this is, as `linger_ms` or `linger.ms`."""
    return [f.name for f in fields(cls) if f.metadata.get("kafka", "").replace(".", "_") == name.replace(".", "_")]
