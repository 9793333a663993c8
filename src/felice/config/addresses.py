"""Where a cluster is: addresses as people write them."""

import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from felice.errors import ConfigError

_HINT = 'write "host:port", "[IPv6]:port" or (host, port); several as a list or separated by commas'
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.%\w]+)\](?::(.*))?")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")


class Address(NamedTuple):
    """A host (a name, or an IP address without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Addresses: TypeAlias = str | Iterable[str | tuple[str, int]]
"""One string with commas, or a series of strings and (host, port) pairs."""


def parse_addresses(given: Addresses, option: str = "bootstrap_servers") -> tuple[Address, ...]:
    """Return the addresses, each once, in order; `ConfigError` names the one that is wrong."""
    parts: list[str | tuple[str, int]] = []
    try:
        items = [given] if isinstance(given, str) else list(given)
    except TypeError:
        raise ConfigError(f"{option}: {given!r} is not an address", hint=_HINT) from None
    for item in items:
        if isinstance(item, str):
            parts.extend(part.strip() for part in item.split(","))
        else:
            parts.append(item)
    found = dict.fromkeys(_parse(part, option) for part in parts if part != "")
    if not found:
        raise ConfigError(f"{option} is empty", hint=_HINT)
    return tuple(found)


def _parse(part: str | tuple[str, int], option: str) -> Address:
    """Parse one address."""
    if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str):
        host, port = part[0], str(part[1])
        valid = bool(_HOST.fullmatch(host)) or ":" in host
    elif not isinstance(part, str):
        raise ConfigError(f"{option}: {part!r} is not an address", hint=_HINT)
    elif bracketed := _BRACKETED.fullmatch(part):
        host, port = bracketed[1], bracketed[2] or ""
        valid = ":" in host
    else:
        host, _, port = part.rpartition(":")
        valid = bool(_HOST.fullmatch(host))
    if not valid:
        hint = "leave out the scheme; " + _HINT if "://" in str(part) else _HINT
        raise ConfigError(f"{option}: {part!r} is not an address", hint=hint)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError(f"{option}: {part!r} has no port between 1 and 65535", hint=_HINT)
    return Address(host, int(port))
