"""Names to addresses, at every connect, so that a name that moves is followed (KIP-302, KIP-602)."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

from felice.cluster.transport import SocketAddress

__all__ = ["Resolver", "SystemResolver"]


class Resolver(Protocol):
    """Turns a host and a port into the addresses to try, in order."""

    async def resolve(self, host: str, port: int) -> list[SocketAddress]:
        """Return the addresses; raises OSError where there are none."""
        ...


class SystemResolver:
    """The operating system's resolver.

    It blocks, so each look-up has a daemon thread of its own: a pool's threads would be waited for at exit, and a name
    server that does not answer would hold up every other look-up, or the interpreter's end.
    """

    async def resolve(self, host: str, port: int) -> list[SocketAddress]:
        """Return the addresses; raises OSError."""
        try:
            family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        except ValueError:
            return await _in_thread(_look_up, host, port)
        if family == socket.AF_INET6:
            return _look_up(host, port)  # Numeric, so it asks nobody; it turns a scope's name into its number.
        return [SocketAddress(family, (host, port))]


def _look_up(host: str, port: int) -> list[SocketAddress]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    unique: dict[SocketAddress, None] = {}
    for family, _, _, _, address in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            unique[SocketAddress(family, address)] = None
    return list(unique)


async def _in_thread(function: Callable[..., list[SocketAddress]], *args: Any) -> list[SocketAddress]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[SocketAddress]] = loop.create_future()

    def settle(result: list[SocketAddress], error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        try:
            result, error = function(*args), None
        except Exception as caught:  # getaddrinfo also raises UnicodeError, for a label that is too long
            result, error = [], caught if isinstance(caught, OSError) else OSError(str(caught))
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # The loop has been closed: nobody waits any more.

    try:
        threading.Thread(target=work, name="felice-resolver", daemon=True).start()
    except RuntimeError:
        # The interpreter is ending and starts no more threads, while a client still drains: nobody else is held up.
        work()
    return await future
