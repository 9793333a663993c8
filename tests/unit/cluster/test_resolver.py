"""Names to addresses."""

import asyncio
import socket
import threading
import time

import pytest

from felice.cluster import resolver as module
from felice.cluster.resolver import SystemResolver
from felice.cluster.transport import SocketAddress


async def test_a_number_is_its_own_address_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_in_thread", None)
    assert await SystemResolver().resolve("127.0.0.1", 9092) == [SocketAddress(socket.AF_INET, ("127.0.0.1", 9092))]
    (found,) = await SystemResolver().resolve("::1", 9092)
    assert (found.family, found.address[:2], str(found)) == (socket.AF_INET6, ("::1", 9092), "[::1]:9092")


async def test_a_name_is_looked_up_each_address_once() -> None:
    found = await SystemResolver().resolve("localhost", 9092)
    assert SocketAddress(socket.AF_INET, ("127.0.0.1", 9092)) in found
    assert len(found) == len(set(found))


@pytest.mark.parametrize("name", ["no-such-host.invalid", "a" * 64 + ".example"])
async def test_a_name_without_address_is_an_oserror(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that cannot even be encoded, for which Python raises another kind."""

    def look_up(host: str, port: int, **options: object) -> list[object]:
        host.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(OSError):
        await SystemResolver().resolve(name, 9092)


async def test_a_look_up_that_hangs_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **options: object) -> object:
        if host == "slow":
            gate.wait(10)
        return real("127.0.0.1", port, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    slow = asyncio.create_task(SystemResolver().resolve("slow", 1))
    await asyncio.sleep(0)
    started = time.monotonic()
    assert await SystemResolver().resolve("quick", 2)
    assert time.monotonic() - started < 5
    slow.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await slow


async def test_when_no_thread_can_be_started_any_more_the_look_up_is_done_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a client drains at the interpreter's exit."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert await SystemResolver().resolve("localhost", 9092)
