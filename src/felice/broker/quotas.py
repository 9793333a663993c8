"""Quotas of users, clients and addresses, kept and described (KIP-546). Nobody is throttled by them here."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["Component", "Entity", "Quotas", "entity"]

USER: Final = "user"
CLIENT: Final = "client-id"
ADDRESS: Final = "ip"

Entity = tuple[tuple[str, str | None], ...]
"""Pairs of a type and a name, in the order of the types; None is the default of a type."""

WHOLE: Final = {
    CLIENT: frozenset({"consumer_byte_rate", "producer_byte_rate"}),
    ADDRESS: frozenset({"connection_creation_rate"}),
}
FRACTIONS: Final = {CLIENT: frozenset({"controller_mutation_rate", "request_percentage"}), ADDRESS: frozenset[str]()}
"""The keys by type of entity, those of users being those of clients: whole numbers, and such as may have fractions."""

LARGEST: Final = {CLIENT: (1 << 63) - 1, ADDRESS: (1 << 31) - 1}
NEARLY: Final = 1e-6


class Match(IntEnum):
    """How a component of a filter is meant, by its number on the wire."""

    EXACT = 0
    DEFAULT = 1
    SPECIFIED = 2


class Component(NamedTuple):
    """One part of a filter: which names of a type are meant."""

    kind: str
    match: int
    name: str | None


def entity(pairs: Iterable[tuple[str, str | None]]) -> Entity:
    """Return an entity; refuse types and names that there are not, with INVALID_REQUEST."""
    names: dict[str, str | None] = {}
    for kind, name in pairs:
        if kind in names:
            raise Refused(ErrorCode.INVALID_REQUEST, f"the entity has {kind!r} twice")
        if kind not in (USER, CLIENT, ADDRESS):
            raise Refused(ErrorCode.INVALID_REQUEST, f"there is no entity type {kind!r}")
        if name == "":
            raise Refused(ErrorCode.INVALID_REQUEST, f"the name of {kind!r} is empty")
        names[kind] = name
    if not names:
        raise Refused(ErrorCode.INVALID_REQUEST, "the entity is nobody")
    if ADDRESS in names and len(names) > 1:
        raise Refused(ErrorCode.INVALID_REQUEST, "an address goes with no other type")
    address = names.get(ADDRESS)
    if address is not None and not _is_address(address):
        raise Refused(ErrorCode.INVALID_REQUEST, f"{address!r} is no address")
    return tuple(sorted(names.items()))


class Quotas:
    """What is set of each entity."""

    def __init__(self) -> None:
        self._values: dict[Entity, dict[str, float]] = {}

    def __iter__(self) -> Iterator[tuple[Entity, Mapping[str, float]]]:
        """Give entities with their quotas."""
        return iter(self._values.items())

    def check(self, who: Entity, changes: Iterable[tuple[str, float | None]]) -> None:
        """Refuse keys and values that there are not, with INVALID_REQUEST; any key may be removed."""
        kind = ADDRESS if who[0][0] == ADDRESS else CLIENT
        for key, value in changes:
            if value is None:
                continue
            if key not in WHOLE[kind] | FRACTIONS[kind]:
                raise Refused(ErrorCode.INVALID_REQUEST, f"there is no quota {key!r} of {who[0][0]!r}")
            if value <= 0:
                raise Refused(ErrorCode.INVALID_REQUEST, f"{key}={value}: it must be above 0")
            if key in WHOLE[kind] and (value > LARGEST[kind] or abs(value - _whole(value)) > NEARLY):
                raise Refused(ErrorCode.INVALID_REQUEST, f"{key}={value}: it must be a whole number")

    def change(self, who: Entity, changes: Iterable[tuple[str, float | None]]) -> None:
        """Set quotas that were checked, or (None) remove them."""
        values = self._values.setdefault(who, {})
        for key, value in changes:
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        if not values:
            del self._values[who]

    def find(self, components: Sequence[Component], *, strict: bool) -> list[tuple[Entity, Mapping[str, float]]]:
        """Return what is set of the entities that have all components, and with `strict` no other ones.

        Refuse components that cannot be with INVALID_REQUEST, and unknown types with UNSUPPORTED_VERSION.
        """
        _check_components(components)
        return [
            (who, values)
            for who, values in self._values.items()
            if (len(components) == len(who) or not strict) and all(_covers(one, dict(who)) for one in components)
        ]


def _check_components(components: Sequence[Component]) -> None:
    """Refuse a filter that cannot be."""
    kinds = [component.kind for component in components]
    for kind, match, name in components:
        if not kind:
            raise Refused(ErrorCode.INVALID_REQUEST, "a component has no entity type")
        if kinds.count(kind) > 1:
            raise Refused(ErrorCode.INVALID_REQUEST, f"the filter has {kind!r} twice")
        if match not in tuple(Match) or (match == Match.EXACT) != (name is not None):
            raise Refused(ErrorCode.INVALID_REQUEST, f"match type {match} does not go with the name {name!r}")
        if kind not in (USER, CLIENT, ADDRESS):
            raise Refused(ErrorCode.UNSUPPORTED_VERSION, f"there is no entity type {kind!r}")
    if ADDRESS in kinds and len(kinds) > 1:
        raise Refused(ErrorCode.INVALID_REQUEST, "an address goes with no other type")


def _covers(component: Component, names: Mapping[str, str | None]) -> bool:
    """Tell whether an entity has what a component means."""
    if component.kind not in names:
        return False
    return component.match == Match.SPECIFIED or names[component.kind] == component.name


def _whole(value: float) -> float:
    """Return the whole part; nothing that is no number has another."""
    return float(int(value)) if value == value else value


def _is_address(text: str) -> bool:
    """Tell whether a text is an address. Names are not looked up, but for the one that needs no asking."""
    if text == "localhost":
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
