"""Hostile bytes: valid messages spoiled in all the ways that have ever broken a reader, and bytes by chance."""

import random
from collections.abc import Iterator

from felice.wire.schema import Message
from message_values import Override, for_all, no_override, values

NASTY = [
    b"\x00",
    b"\x01",
    b"\x02",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\x7f\xff",
    b"\xff\xff",
    b"\x80\x00\x00\x00",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\x7f",
    b"\xff\xff\xff\xff\xff\xff",
    b"\x80\x80\x80\x80\x08",
    b"\x80\x80\x00",
    b"\xed\xa0\x80",
]
"""Counts, lengths, varints and text at the edges and over them."""


def mutated(frame: bytes, rng: random.Random) -> bytes:
    """Spoil a frame in one to four ways."""
    out = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(out))
        match rng.randrange(6):
            case 0:
                del out[at:]
            case 1:
                out[at : at + 1] = bytes((rng.randrange(256),))
            case 2:
                nasty = rng.choice(NASTY)
                out[at : at + len(nasty)] = nasty
            case 3:
                out[at:at] = rng.choice(NASTY)
            case 4:
                del out[at : at + rng.randint(1, 8)]
            case 5:
                out[at:at] = out[at : at + rng.randint(1, 40)] * rng.randint(1, 5)
    return bytes(out)


def samples(message: type[Message], version: int, count: int, override: Override = no_override) -> list[bytes]:
    """A few valid frames of a message."""
    found: list[bytes] = []
    for_all(values(message, version, override), lambda value: found.append(b"".join(value.encode(version))), count)
    return found


def hostile(message: type[Message], version: int, rng: random.Random, count: int) -> Iterator[bytes]:
    """Spoiled frames, random bytes, and bytes of few values, which go deeper as they are likelier to be lengths."""
    valid = samples(message, version, 8)
    for _ in range(count):
        kind = rng.random()
        if kind < 0.7:
            yield mutated(rng.choice(valid), rng)
        elif kind < 0.8:
            yield rng.randbytes(rng.randrange(120))
        else:
            yield bytes(rng.choices((0, 0, 0, 1, 1, 2, 3, 127, 128, 255), k=rng.randrange(200)))
