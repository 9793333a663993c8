"""Whether there is an authorizer: who asks for access control entries without one is told so."""

from felice.broker.acls import Acl, AclFilter
from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call
from felice.broker.refusal import Hangup, Refused
from felice.errors import ErrorCode

__all__ = ["check_authorizer", "check_numbers"]

UNKNOWN = 0


def check_authorizer(call: Call, operation: Operation) -> None:
    """Refuse whom the entries are not for, with SECURITY_DISABLED where there is no authorizer, and by a fault."""
    call.check_faults(None)
    if call.guard is None:
        raise Refused(ErrorCode.SECURITY_DISABLED, "no authorizer is configured")
    call.authorize(operation, Resource.CLUSTER)


def check_numbers(call: Call, asked: Acl | AclFilter) -> None:
    """Hang up on the number that stands for what is not known, as Kafka does, unless a fault answers anyway."""
    if not call.error() and UNKNOWN in (asked.resource_type, asked.pattern_type, asked.operation, asked.permission):
        raise Hangup("an entry or filter has a part that says of itself that nobody knows it")
