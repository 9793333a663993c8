"""Who may do what: the rules of Kafka's `StandardAuthorizer`, asked where `authorizer.class.name` is set.

Everybody comes as `User:ANONYMOUS`, for there is no authentication here. An entry that denies wins over all that allow;
where no entry speaks of a resource, `allow.everyone.if.no.acl.found` decides.

Kafka's places to ask are also those here, but for two: a consumer group's pattern (KIP-848) also finds topics that its
members may not describe; and what is said of delegation tokens and of users counts for nothing, as nobody has one.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from felice.broker.acls import CLUSTER_NAME, EVERYTHING, Acl, Pattern
from felice.broker.java import address_text
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.setting import Settings

__all__ = ["CLUSTER_NAME", "EVERY_BIT", "REFUSALS", "SUPPORTED", "Authorizer", "Operation", "Resource"]

ANONYMOUS: Final = "User:ANONYMOUS"
EVERYBODY: Final = frozenset({ANONYMOUS, "User:*"})
"""The principals of entries that mean whoever asks."""

DENY: Final = 2
SOME_NAME: Final = "hardcode"
"""A resource that stands for any other where Kafka asks whether something is allowed with all of a type."""


class Resource(IntEnum):
    """What entries speak of, by its number on the wire."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5


class Operation(IntEnum):
    """What may be allowed or denied, by its number on the wire."""

    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12


REFUSALS: Final = {
    Resource.TOPIC: ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    Resource.GROUP: ErrorCode.GROUP_AUTHORIZATION_FAILED,
    Resource.CLUSTER: ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
    Resource.TRANSACTIONAL_ID: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
"""The codes with which is refused what is not allowed."""

_CONFIGS: Final = (Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS)
_HANDLING: Final = (Operation.CREATE, Operation.ALTER, Operation.DESCRIBE)

SUPPORTED: Final[Mapping[Resource, tuple[Operation, ...]]] = {
    Resource.TOPIC: (Operation.READ, Operation.WRITE, Operation.DELETE, *_HANDLING, *_CONFIGS),
    Resource.GROUP: (Operation.READ, Operation.DELETE, Operation.DESCRIBE, *_CONFIGS),
    Resource.CLUSTER: (Operation.CLUSTER_ACTION, Operation.IDEMPOTENT_WRITE, *_HANDLING, *_CONFIGS),
}
"""All that can be done with a resource, where its description says what may be (KIP-430)."""

EVERY_BIT: Final = {kind: sum(1 << operation for operation in operations) for kind, operations in SUPPORTED.items()}
"""The same as the field of bits that answers have for it."""

IMPLIED: Final[Mapping[int, frozenset[int]]] = {
    Operation.DESCRIBE: frozenset({Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER}),
    Operation.DESCRIBE_CONFIGS: frozenset({Operation.ALTER_CONFIGS}),
}
"""What is allowed with something else that is; denying goes no further than its word."""


class Authorizer:
    """Says what entries allow and deny, by settings that cannot change while the broker runs."""

    __slots__ = ("_acls", "_is_super", "_open")

    def __init__(self, acls: Iterable[Acl], settings: "Settings") -> None:
        """Take the entries, which may change, and the settings of the authorizer."""
        self._acls = acls
        self._is_super = ANONYMOUS in (user.strip() for user in str(settings["super.users"]).split(";"))
        self._open = str(settings["allow.everyone.if.no.acl.found"]).lower() == "true"

    def allows(self, host: str, operation: int, kind: int, name: str) -> bool:
        """Tell whether somebody who comes from an address may do something with a resource."""
        if self._is_super:
            return True
        address = address_text(host)[1:]
        named = allowed = False
        for acl in self._acls:
            if acl.resource_type != kind or not _covers(acl, name):
                continue
            named = True
            if acl.principal not in EVERYBODY or acl.host not in (EVERYTHING, address):
                continue
            if acl.operation in (operation, Operation.ALL):
                if acl.permission == DENY:
                    return False
                allowed = True
            elif acl.permission != DENY and acl.operation in IMPLIED.get(operation, ()):
                allowed = True
        return allowed if named else self._open

    def allows_some(self, host: str, operation: int, kind: int) -> bool:
        """Tell whether somebody may do something with any resource of a type at all (KIP-679)."""
        if self.allows(host, operation, kind, SOME_NAME):
            return True
        address = address_text(host)[1:]
        meant = [
            acl
            for acl in self._acls
            if acl.resource_type == kind
            and acl.principal in EVERYBODY
            and acl.host in (EVERYTHING, address)
            and acl.operation in (operation, Operation.ALL)
        ]
        denied = [acl for acl in meant if acl.permission == DENY]
        return any(acl.permission != DENY and not any(_outdoes(no, acl) for no in denied) for acl in meant)


def _covers(acl: Acl, name: str) -> bool:
    """Tell whether an entry speaks of a resource of this name (KIP-290)."""
    if acl.pattern_type == Pattern.PREFIXED:
        return name.startswith(acl.resource_name)
    return acl.resource_name in (name, EVERYTHING)


def _outdoes(denied: Acl, allowed: Acl) -> bool:
    """Tell whether an entry denies all names that another allows."""
    if denied.pattern_type == Pattern.PREFIXED:
        return allowed.resource_name != EVERYTHING and allowed.resource_name.startswith(denied.resource_name)
    if denied.resource_name == EVERYTHING:
        return True
    return allowed.pattern_type == Pattern.LITERAL and allowed.resource_name == denied.resource_name
