"""What faults do to the bytes of an answer."""

import random
from typing import Any, cast

import pytest

from felice.broker.faults import Action, Fault, Target
from felice.broker.sabotage import spoil_frame


class Garbling:
    """A fault that garbles."""

    action = Action.GARBLE
    target = Target()

    def __init__(self, flips: int) -> None:
        self.details: dict[str, Any] = {"flips": flips}


@pytest.mark.parametrize("seed", range(20))
def test_as_many_bytes_change_as_are_asked_for_and_there_are(seed: int) -> None:
    """No byte is changed back by chance, and an answer without a body stays as it is."""
    chance = random.Random(seed)
    for body in (b"", b"ab", bytes(100)):
        frame = b"\0\0\0\4\0\0\0\7" + body
        (garbled,) = spoil_frame(cast(Fault, Garbling(8)), [frame], chance)
        changed = [at for at, (before, after) in enumerate(zip(frame, garbled, strict=True)) if before != after]
        assert len(changed) == min(8, len(body))
        assert not changed or changed[0] >= 8
