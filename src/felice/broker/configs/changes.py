"""Incremental changes of configurations (KIP-339): old texts and what is asked for give new texts. Pure."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from felice.broker.refusal import Refused
from felice.broker.setting import Kind, Setting
from felice.errors import ErrorCode

__all__ = ["Change", "Operation", "changed"]


class Operation(IntEnum):
    """What a change does, by its number on the wire."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class Change(NamedTuple):
    """One change of one key."""

    name: str
    operation: int
    text: str | None


def changed(
    known: Mapping[str, Setting], texts: Mapping[str, str], defaults: Mapping[str, str], changes: Iterable[Change]
) -> dict[str, str]:
    """Return what is set after some changes; refuse with INVALID_CONFIG to treat as a list what is none.

    A list that is not set begins with its default when something is appended or taken away.
    """
    new = dict(texts)
    for name, operation, text in changes:
        match operation:
            case Operation.SET:
                new[name] = text or ""
            case Operation.DELETE:
                new.pop(name, None)
            case Operation.APPEND | Operation.SUBTRACT:
                setting = known.get(name)
                if setting is None or setting.kind is not Kind.LIST:
                    raise Refused(ErrorCode.INVALID_CONFIG, f"{name} is no list, so nothing can be added or taken away")
                before = new.get(name, defaults.get(name, setting.default or ""))
                new[name] = _edited(_parts(before), _parts(text or ""), Operation(operation))
            case _:
                # Kafka's own code fails here, and says so.
                raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR)
    return new


def _edited(parts: list[str], given: list[str], operation: Operation) -> str:
    """Add what is missing, or take away what is there."""
    if operation is Operation.APPEND:
        return ",".join(dict.fromkeys(parts + given))
    return ",".join(part for part in parts if part not in given)


def _parts(text: str) -> list[str]:
    """Return the parts of a list."""
    return [part.strip() for part in text.split(",")] if text.strip() else []
