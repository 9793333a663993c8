"""SCRAM credentials of users, kept and described without their secrets (KIP-554)."""

from collections import Counter
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["Credential", "Deletion", "Mechanism", "ScramUsers", "Upsertion"]

LARGEST: Final = 16384


class Mechanism(IntEnum):
    """SCRAM mechanisms, by their numbers on the wire."""

    SCRAM_SHA_256 = 1
    SCRAM_SHA_512 = 2


LEAST: Final = {Mechanism.SCRAM_SHA_256: 4096, Mechanism.SCRAM_SHA_512: 4096}


class Credential(NamedTuple):
    """What is kept of a password: it was salted and hashed by the client."""

    iterations: int
    salt: bytes
    salted_password: bytes


class Deletion(NamedTuple):
    """A credential is to go."""

    name: str
    mechanism: int


class Upsertion(NamedTuple):
    """A credential is to be set."""

    name: str
    mechanism: int
    credential: Credential


class ScramUsers:
    """The users with their credentials."""

    def __init__(self) -> None:
        self._users: dict[str, dict[Mechanism, Credential]] = {}

    def names(self) -> list[str]:
        """Return all users who have a credential."""
        return list(self._users)

    def credentials(self, name: str) -> dict[Mechanism, Credential]:
        """Return a user's credentials, or refuse with RESOURCE_NOT_FOUND."""
        found = self._users.get(name)
        if found is None:
            raise Refused(ErrorCode.RESOURCE_NOT_FOUND, f"the user {name!r} has no SCRAM credential")
        return found

    def alter(self, deletions: Sequence[Deletion], upsertions: Sequence[Upsertion]) -> dict[str, Refused | None]:
        """Make the changes of each user for whom none is refused; return users with what was refused."""
        results: dict[str, Refused | None] = {}
        changes: list[Deletion | Upsertion] = [*deletions, *upsertions]
        for change in changes:
            if results.get(change.name) is None:
                results[change.name] = self._refusal(change)
        for name, times in Counter(change.name for change in changes).items():
            if times > 1 and results[name] is None:
                results[name] = Refused(ErrorCode.DUPLICATE_RESOURCE, f"the user {name!r} is named twice")
        for deletion in deletions:
            if results[deletion.name] is None:
                left = self._users[deletion.name]
                del left[Mechanism(deletion.mechanism)]
                if not left:
                    del self._users[deletion.name]
        for name, mechanism, credential in upsertions:
            if results[name] is None:
                self._users.setdefault(name, {})[Mechanism(mechanism)] = credential
        return results

    def _refusal(self, change: Deletion | Upsertion) -> Refused | None:
        """Return what is wrong with one change."""
        if not change.name:
            return Refused(ErrorCode.UNACCEPTABLE_CREDENTIAL, "the user has no name")
        if change.mechanism not in tuple(Mechanism):
            return Refused(ErrorCode.UNSUPPORTED_SASL_MECHANISM, f"there is no SCRAM mechanism {change.mechanism}")
        mechanism = Mechanism(change.mechanism)
        if isinstance(change, Deletion):
            if mechanism not in self._users.get(change.name, {}):
                return Refused(ErrorCode.RESOURCE_NOT_FOUND, f"the user {change.name!r} has no such credential")
            return None
        iterations = change.credential.iterations
        if not LEAST[mechanism] <= iterations <= LARGEST:
            return Refused(
                ErrorCode.UNACCEPTABLE_CREDENTIAL,
                f"{iterations} iterations: it must be {LEAST[mechanism]} to {LARGEST}",
            )
        if not change.credential.salted_password:
            # Kafka's own code fails to make keys of it, and says so.
            return Refused(ErrorCode.UNKNOWN_SERVER_ERROR)
        return None
