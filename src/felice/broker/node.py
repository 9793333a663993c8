"""One node of the virtual cluster."""

from felice.broker.sessions import FetchSessions

__all__ = ["Node"]


class Node:
    """A node: its ID, where it is reached, its rack if it has one, and whether it is up, or was killed."""

    __slots__ = ("host", "id", "killed", "port", "rack", "sessions", "up")

    def __init__(self, node_id: int, host: str, sessions: FetchSessions, rack: str | None = None) -> None:
        self.id = node_id
        self.host = host
        self.port = 0
        self.rack = rack
        self.sessions = sessions
        self.up = False
        self.killed = False

    @property
    def log_dir(self) -> str:
        """The directory in which its logs are said to be: there is none, they are kept in memory."""
        return f"/memory/node-{self.id}"

    def __repr__(self) -> str:
        """Return ID and address."""
        return f"<node {self.id} at {self.host}:{self.port}>"
