"""kafka-python's integration suite, from its source distribution, against the wheel of the same version."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from judges.cache import DISTRIBUTION, LOGS, WantingError, distribution, kafka_python, python
from judges.contestant import Contestant
from judges.outcome import Outcome, State
from judges.process import Child, DeadlineError
from judges.suite import Order, Suite, brief, plain

KAFKA_VERSION = "4.1.0"  # the newest that the suite knows
TIMEOUT, CASE_TIMEOUT = 900.0, 90

_LINE = re.compile(r"^test/integration/\S+::(\S.*?) (PASSED|FAILED|ERROR|SKIPPED)\b")


def _prepare() -> None:
    distribution()
    kafka_python()


def _run(contestant: Contestant, order: Order) -> Iterator[Outcome]:
    """Run the suite, then read the outcomes from pytest's own report."""
    folder, report = kafka_python(), LOGS / f"kafka-python-{contestant.name}.xml"
    log = report.with_suffix(".log")
    LOGS.mkdir(parents=True, exist_ok=True)
    for old in (report, log):
        old.unlink(missing_ok=True)
    command: list[str | Path] = [python(), "-m", "pytest", "-v", "--tb=short", "-p", "no:cacheprovider"]
    command += [f"--rootdir={folder}"]
    command += [f"--timeout={CASE_TIMEOUT}", f"--junitxml={report}", "test/integration"]
    if order.words:
        command += ["-k", " or ".join(order.words)]
    with contestant.start() as servers:
        extra = {
            "KAFKA_URI": f"kafka://{servers}",
            "KAFKA_VERSION": KAFKA_VERSION,
            "KAFKA_ROOT": str(DISTRIBUTION),
            "KAFKA_PATH": str(DISTRIBUTION),
        }
        seen: set[str] = set()
        with Child(command, folder=folder, extra=extra, log=log) as suite:
            try:
                for line in map(plain, suite.lines(TIMEOUT)):
                    if found := _LINE.search(line):
                        seen.add(found[1])
                suite.end()
            except DeadlineError as error:
                yield Outcome("the suite as a whole", State.FAILED, TIMEOUT, str(error))
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            yield _outcome(case)
    elif not seen:
        raise WantingError(f"kafka-python's suite did not run: {log}")


def _outcome(case: Element) -> Outcome:
    """Read one case; what fails in a fixture is pytest's error, and here a failure."""
    name = f"{case.get('classname', '').rsplit('.', 1)[-1].removesuffix('_integration')}::{case.get('name')}"
    seconds = float(case.get("time", 0))
    for tag, state in (("failure", State.FAILED), ("error", State.FAILED), ("skipped", State.SKIPPED)):
        found = case.find(tag)
        if found is not None:
            return Outcome(name, state, seconds, brief(found.get("message") or found.text or tag))
    return Outcome(name, State.PASSED, seconds)


SUITES = (Suite("kafka-python", "kafka-python's integration suite", _prepare, _run),)
