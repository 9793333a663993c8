"""Kafka's own tools in real use, their output checked; the cases are in `judges.jvm`."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from judges.cache import LOGS, distribution
from judges.contestant import Contestant
from judges.jvm import CASES
from judges.jvm.shell import Shell
from judges.outcome import Outcome, State
from judges.suite import Order, Suite, brief


def _run(contestant: Contestant, order: Order) -> Iterator[Outcome]:
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"tools-{contestant.name}.log"
    log.unlink(missing_ok=True)
    with contestant.start() as servers, tempfile.TemporaryDirectory() as folder:
        shell = Shell(servers, Path(folder), log)
        for case in CASES:
            if not order.wants(case.name) or (order.quick and not case.quick):
                continue
            begun = time.monotonic()
            try:
                case.use(shell)
                state, detail = State.PASSED, ""
            except Exception as error:  # a case that stumbles over what a tool says has failed, however it does
                state, detail = State.FAILED, brief(str(error) or repr(error))
            yield Outcome(case.name, state, time.monotonic() - begun, detail)


SUITES = (Suite("kafka-tools", "the tools of Kafka's own distribution, in real use", distribution, _run, quick=True),)
