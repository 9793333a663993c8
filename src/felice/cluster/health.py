"""How a client's way to its cluster stands."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Health", "State"]

State = Literal["new", "connecting", "up", "degraded", "down", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A snapshot.

    `state` is `new` before the first use, `connecting` until a first broker has answered, then `up`; `degraded` while
    some broker that is wanted cannot be reached, `down` while none can, and `closed` at the end.
    """

    state: State
    connections: int
    """How many connections are open."""
    brokers: int
    """How many brokers the cluster is known to have."""
    last_error: str = ""
    """Why it is not better; empty where nothing fails."""
