"""Whether there is an authorizer: who asks for access control entries without one is told so."""

from felice.broker.acls import Acl, AclFilter
from felice.broker.call import Call
from felice.broker.refusal import Hangup, Refused
from felice.errors import ErrorCode

__all__ = ["check_authorizer", "check_numbers"]

UNKNOWN = 0


def check_authorizer(call: Call) -> None:
    """Refuse with SECURITY_DISABLED where `authorizer.class.name` is not set, and where a fault says so."""
    call.check_faults(None)
    if not call.cluster.settings["authorizer.class.name"]:
        raise Refused(ErrorCode.SECURITY_DISABLED, "no authorizer is configured")


def check_numbers(call: Call, asked: Acl | AclFilter) -> None:
    """Hang up on the number that stands for what is not known, as Kafka does, unless a fault answers anyway."""
    if not call.error() and UNKNOWN in (asked.resource_type, asked.pattern_type, asked.operation, asked.permission):
        raise Hangup("an entry or filter has a part that says of itself that nobody knows it")
