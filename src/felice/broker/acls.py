"""Access control entries, kept and listed (KIP-140, KIP-290, KIP-373). Whom they keep out says `authorization`."""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["Acl", "AclFilter", "Acls", "Pattern"]

ANY: Final = 1
"""Stands for all resource types, operations or permissions in a filter, and for nothing in an entry."""

CLUSTER: Final = 4
CLUSTER_NAME: Final = "kafka-cluster"
EVERYTHING: Final = "*"

RESOURCE_TYPES: Final = range(2, 8)
OPERATIONS: Final = range(2, 16)
PERMISSIONS: Final = range(2, 4)


class Pattern(IntEnum):
    """How an entry's resource name is meant, by its number on the wire."""

    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class Acl(NamedTuple):
    """One entry: somebody, from somewhere, may or may not do something with some resources."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    host: str
    operation: int
    permission: int


class AclFilter(NamedTuple):
    """Which entries are meant; None and `ANY` are for all."""

    resource_type: int
    resource_name: str | None
    pattern_type: int
    principal: str | None
    host: str | None
    operation: int
    permission: int

    def check(self) -> None:
        """Refuse a filter with numbers that stand for nothing, with INVALID_REQUEST."""
        if (
            self.resource_type not in (ANY, *RESOURCE_TYPES)
            or self.pattern_type not in tuple(Pattern)
            or self.operation not in (ANY, *OPERATIONS)
            or self.permission not in (ANY, *PERMISSIONS)
        ):
            raise Refused(ErrorCode.INVALID_REQUEST, "the filter has a number that stands for nothing")

    def matches(self, acl: Acl) -> bool:
        """Tell whether an entry is meant."""
        return (
            self.resource_type in (ANY, acl.resource_type)
            and self._names(acl)
            and self.principal in (None, acl.principal)
            and self.host in (None, acl.host)
            and self.operation in (ANY, acl.operation)
            and self.permission in (ANY, acl.permission)
        )

    def _names(self, acl: Acl) -> bool:
        """Tell whether an entry's resource name is meant; `MATCH` means all patterns that cover the name (KIP-290)."""
        if self.pattern_type not in (Pattern.ANY, Pattern.MATCH, acl.pattern_type):
            return False
        if self.resource_name is None:
            return True
        if self.pattern_type != Pattern.MATCH:
            return self.resource_name == acl.resource_name
        if acl.pattern_type == Pattern.PREFIXED:
            return self.resource_name.startswith(acl.resource_name)
        return acl.resource_name in (self.resource_name, EVERYTHING)


class Acls:
    """All entries, in the order in which they came; one that is there already stays where it is."""

    def __init__(self) -> None:
        self._acls: dict[Acl, None] = {}

    def __iter__(self) -> Iterator[Acl]:
        """Give all entries."""
        return iter(self._acls)

    def add(self, acl: Acl) -> None:
        """Take an entry; refuse what cannot be, mostly with INVALID_REQUEST."""
        if ANY in (acl.resource_type, acl.operation, acl.permission) or acl.pattern_type in (
            Pattern.ANY,
            Pattern.MATCH,
        ):
            # Kafka's own code fails on what belongs into filters only, and says so.
            raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR)
        wrong = ""
        if acl.resource_type not in RESOURCE_TYPES:
            wrong = f"there is no resource type {acl.resource_type}"
        elif acl.pattern_type not in tuple(Pattern):
            wrong = f"there is no pattern type {acl.pattern_type}"
        elif acl.operation not in OPERATIONS:
            wrong = f"there is no operation {acl.operation}"
        elif acl.permission not in PERMISSIONS:
            wrong = f"there is no permission {acl.permission}"
        elif not acl.resource_name:
            wrong = "the resource has no name"
        elif acl.resource_type == CLUSTER and acl.resource_name != CLUSTER_NAME:
            wrong = f"the one cluster is called {CLUSTER_NAME!r}"
        elif ":" not in acl.principal:
            wrong = f"a principal is TYPE:NAME, not {acl.principal!r}"
        if wrong:
            raise Refused(ErrorCode.INVALID_REQUEST, wrong)
        self._acls.setdefault(acl)

    def find(self, wanted: AclFilter) -> list[Acl]:
        """Return the entries that a filter means."""
        return [acl for acl in self._acls if wanted.matches(acl)]

    def remove(self, acls: Iterable[Acl]) -> None:
        """Let entries go, as far as they are still there."""
        for acl in acls:
            self._acls.pop(acl, None)
