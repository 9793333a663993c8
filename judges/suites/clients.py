"""Round trips with other people's clients: produce, group consume, transaction, admin; each a process of its own."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from judges.cache import HERE, LOGS, kafkajs, need, python
from judges.contestant import Contestant
from judges.outcome import Outcome, State
from judges.process import DeadlineError, run
from judges.suite import Order, Suite, brief

STEP_TIMEOUT = 90.0
PROGRAMS = HERE / "clients"

Command = Callable[[], list[str | Path]]


def _python(program: str) -> list[str | Path]:
    return [python(), PROGRAMS / program]


def _kcat() -> list[str | Path]:
    need("kcat")
    return _python("with_kcat.py")


def _kafkajs() -> list[str | Path]:
    kafkajs()
    return ["node", PROGRAMS / "with_kafkajs.cjs"]


def _client(name: str, about: str, command: Command) -> Suite:
    """Make the suite of one client, whose program lists its steps and runs one."""

    def steps(contestant: Contestant, order: Order) -> Iterator[Outcome]:
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / f"{name}-{contestant.name}.log"
        log.unlink(missing_ok=True)
        program = command()
        extra = {"NODE_PATH": str(kafkajs() / "node_modules")} if program[0] == "node" else {}
        listed = run([*program, "--list"], STEP_TIMEOUT, extra=extra).text.splitlines()
        with contestant.start() as servers:
            for step in filter(order.wants, listed):
                begun = time.monotonic()
                try:
                    done = run([*program, servers, step], STEP_TIMEOUT, extra=extra, log=log)
                    state = State.FAILED if done.status else State.PASSED
                    detail = _error(done.text) if done.status else ""
                except DeadlineError as error:
                    state, detail = State.FAILED, str(error)
                yield Outcome(step, state, time.monotonic() - begun, brief(detail))

    return Suite(name, about, command, steps, quick=True)


def _error(text: str) -> str:
    """Find the line that names the error in a traceback of Python's or Node's."""
    named = [line for line in text.splitlines() if "Error" in line.split(":")[0] or "Exception" in line.split(":")[0]]
    return named[-1] if named else text[-300:]


SUITES = (
    _client("confluent-kafka", "round trips with confluent-kafka", partial(_python, "with_confluent.py")),
    _client("aiokafka", "round trips with aiokafka", partial(_python, "with_aiokafka.py")),
    _client("kafka-python-trips", "round trips with kafka-python", partial(_python, "with_kafka_python.py")),
    _client("kcat", "round trips with kcat", _kcat),
    _client("kafkajs", "round trips with kafkajs", _kafkajs),
)
