"""librdkafka's regression suite: those of its cases that talk to a broker, not those on its own mock.

The runner gives a case thirty seconds or a few times as many, and is not made for a small machine: four cases at a time
suit it when nothing goes wrong. So it runs in passes, each on a fresh broker:

1. all cases, four at a time, in the suite's quick mode; those that are left when a time-out ends the runner, again;
2. those that did next to nothing in quick mode, and those that the end of the runner cut off, in full mode;
3. those that failed, one by one; and once more on three nodes, for so many the suite supposes. The best of it counts.

A case that comes back within a millisecond has asked no broker anything: it is skipped, not passed.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from judges.cache import DISTRIBUTION, LOGS, distribution, librdkafka
from judges.contestant import Contestant
from judges.outcome import Outcome, State
from judges.process import Child, DeadlineError
from judges.suite import Order, Suite, brief, plain

KAFKA_VERSION = "4.3.1"  # what the cases are to suppose of a broker
PASS_TIMEOUT, ALONE_TIMEOUT = 1500.0, 240.0
NOTHING = 0.001  # seconds in which no broker can have been asked
LITTLE = 0.05  # seconds in which a case can have made clients and topics, but not done much with them
QUICK, FULL = ("-Q", "-p4"), ("-p4",)

_STARTED = re.compile(r"Running test (\w+) =")
_ENDED = re.compile(r"= Test (\w+) (PASSED|FAILED|SKIPPED) =")
_SKIPPED = re.compile(r"^\[(\w+) */ .*SKIPPING TEST: (.*)")
_FAILED = re.compile(r'^### Test "(\w+).*" failed at ')
_SECONDS = re.compile(r"^\[\w+ */ *([\d.]+)s\]")
_NOT_OURS = re.compile(r"Filtered due to negative test flags|included in TESTS_SKIP list")


@dataclass(frozen=True)
class Scenario:
    """A way to run the suite: the runner's arguments and variables, the broker's settings, and which cases."""

    name: str
    about: str
    arguments: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    share: bool = False
    """Whether it is the cases of share groups, or all the others. Those have no quick mode, take minutes each, and so
    have one try only."""

    def selection(self, numbers: Sequence[str]) -> dict[str, str]:
        """Give the variables that choose cases by their numbers, all of the scenario where none is given."""
        shared = _share_cases()
        if numbers:
            return {"TESTS": ",".join(numbers)}
        return {"TESTS" if self.share else "TESTS_SKIP": ",".join(sorted(shared))}


class Pass:
    """One run of the runner on a fresh broker: what it says of each case, line by line."""

    def __init__(self, scenario: Scenario, contestant: Contestant, mode: Sequence[str], nodes: int = 1) -> None:
        """Prepare a run in one of the runner's modes, on so many nodes."""
        self._scenario = scenario
        self._contestant = contestant
        self._mode = mode
        self._nodes = nodes
        self._begun: dict[str, float] = {}
        self._failed: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._end = "the runner ended before the case"
        self.cut: set[str] = set()
        """After `outcomes`: the cases under way when the runner ended or its time was up."""
        self.whole = True
        """After `outcomes`: whether the runner came to its end, so that no case is left."""

    def outcomes(self, numbers: Sequence[str], seconds: float) -> Iterator[Outcome]:
        """Run the cases with these numbers, or all of the scenario; yield each as it ends."""
        tests = librdkafka() / "tests"
        with self._contestant.start(self._scenario.settings, nodes=self._nodes) as servers:
            conf = tests / f"{self._scenario.name}-{self._contestant.name}.conf"
            conf.write_text(f"metadata.broker.list={servers}\ntest.topic.random=true\n")
            extra = {
                "BROKERS": servers,
                "TEST_KAFKA_VERSION": KAFKA_VERSION,
                "RDKAFKA_TEST_CONF": conf.name,
                "KAFKA_PATH": str(DISTRIBUTION),
                "LD_LIBRARY_PATH": "../src:../src-cpp",
                **self._scenario.variables,
                **self._scenario.selection(numbers),
            }
            command = ["./test-runner", "-L", "-K", *self._scenario.arguments, *self._mode]
            with Child(command, folder=tests, extra=extra, log=log_of(self._scenario, self._contestant)) as runner:
                try:
                    yield from self._read(map(plain, runner.lines(seconds)))
                    if runner.returncode not in (0, 1):
                        self._end = f"the runner ended with {runner.returncode}"
                        self.whole = False
                except DeadlineError as error:
                    self._end = str(error)
                    self.whole = False
        # A case that fails ends its thread there and then, and says no more.
        for case in sorted(self.cut & self._failed.keys()):
            self.cut.discard(case)
            yield Outcome(case, State.FAILED, self._failed[case] - self._begun[case], self._reasons[case])

    def _read(self, lines: Iterator[str]) -> Iterator[Outcome]:
        failing = ""  # the case whose reason to fail is on the next line
        for line in lines:
            if failing:
                self._reasons.setdefault(failing, brief(line))
                self._failed[failing] = time.monotonic()
                failing = ""
            if found := _FAILED.search(line):
                failing = found[1]
            elif found := _STARTED.search(line):
                self.cut.add(found[1])
                self._begun[found[1]] = time.monotonic()
            elif found := _SKIPPED.search(line):
                self._reasons[found[1]] = brief(found[2])
                if found[1] not in self.cut and not _NOT_OURS.search(line):
                    yield Outcome(found[1], State.SKIPPED, 0.0, brief(found[2]))
            elif found := _ENDED.search(line):
                self.cut.discard(found[1])
                took = _SECONDS.search(line)
                detail = self._reasons.get(found[1], "") if found[2] != "PASSED" else ""
                yield Outcome(found[1], State(found[2].lower()), float(took[1]) if took else 0.0, detail)

    def reason(self, case: str) -> str:
        """Say why a case that was cut off did not end."""
        return self._reasons.get(case) or self._end


def log_of(scenario: Scenario, contestant: Contestant) -> Path:
    """Give the file that keeps what the runner says."""
    return LOGS / f"{scenario.name}-{contestant.name}.log"


def _number(case: str) -> str:
    return case.split("_")[0]


def _listed() -> dict[str, str]:
    """Give the names of all cases, each with the first of its flags, as the runner lists them."""
    source = (librdkafka() / "tests" / "test.c").read_text()
    return dict(re.findall(r"^ +_TEST\((\w+),\s*(\w+)", source, re.MULTILINE))


def _share_cases() -> set[str]:
    """Give the numbers of the cases of share groups, which are a suite of their own; none that is run by hand only."""
    return {_number(name) for name, flag in _listed().items() if "_share_" in name and flag != "TEST_F_MANUAL"}


def _left(scenario: Scenario, seen: set[str]) -> list[str]:
    """Give the numbers of the cases that talk to a broker and were not seen; those of other scenarios among them."""
    shared = _share_cases()
    apart = ("TEST_F_LOCAL", "TEST_F_MANUAL", "TEST_F_KNOWN_ISSUE")
    unseen = {_number(name) for name, flag in _listed().items() if name not in seen and flag not in apart}
    return sorted(number for number in unseen if (number in shared) == scenario.share)


def _took_less(outcome: Outcome, seconds: float) -> bool:
    return outcome.seconds < seconds and outcome.state is not State.FAILED


def _alone(scenario: Scenario, contestant: Contestant, case: str, nodes: int) -> Outcome:
    """Run one case by itself, in quick mode and, where it does nothing there, in full."""
    outcome = Outcome(case, State.FAILED)
    for mode in (("-Q", "-p1"), ("-p1",)):
        run, begun = Pass(scenario, contestant, mode, nodes), time.monotonic()
        found = [each for each in run.outcomes([_number(case)], ALONE_TIMEOUT) if each.case == case]
        outcome = found[0] if found else Outcome(case, State.FAILED, time.monotonic() - begun, run.reason(case))
        if not _took_less(outcome, LITTLE):
            break
    return outcome


def _once_more(scenario: Scenario, contestant: Contestant, case: str, reason: str) -> Outcome:
    """Run a case that failed beside others alone, on one node and on three; say what became of it."""
    outcome = Outcome(case, State.FAILED)
    for nodes in (1, 3):
        outcome = _alone(scenario, contestant, case, nodes)
        if outcome.state is State.PASSED:
            where = "alone" if nodes == 1 else "on three nodes"
            return Outcome(case, State.PASSED, outcome.seconds, brief(f"{where}; before that: {reason}"))
        reason = outcome.detail
    return outcome


def _run(scenario: Scenario, contestant: Contestant, order: Order) -> Iterator[Outcome]:
    LOGS.mkdir(parents=True, exist_ok=True)
    log_of(scenario, contestant).unlink(missing_ok=True)
    again: set[str] = set()
    failed: dict[str, str] = {}
    numbers, seen = sorted({_number(word) for word in order.words}), set[str]()
    while True:
        first, before = Pass(scenario, contestant, FULL if scenario.share else QUICK), len(seen)
        for outcome in first.outcomes(numbers, PASS_TIMEOUT):
            seen.add(outcome.case)
            if not order.wants(outcome.case):
                continue
            if outcome.state is State.FAILED:
                failed[outcome.case] = outcome.detail
            elif _took_less(outcome, LITTLE) and not scenario.share:
                again.add(outcome.case)
            else:
                yield outcome
        seen |= first.cut
        again |= {case for case in first.cut if order.wants(case)}
        numbers = _left(scenario, seen)
        if first.whole or order.words or not numbers or len(seen) == before:
            break
    if again:
        second = Pass(scenario, contestant, FULL)
        for outcome in second.outcomes(sorted(map(_number, again)), PASS_TIMEOUT):
            if outcome.case not in again:
                continue
            again.discard(outcome.case)
            if outcome.state is State.FAILED:
                failed[outcome.case] = outcome.detail
            elif _took_less(outcome, NOTHING):
                yield Outcome(outcome.case, State.SKIPPED, 0.0, outcome.detail or "asks no broker anything here")
            else:
                yield outcome
        failed |= {case: second.reason(case) for case in again}
    for case, reason in sorted(failed.items()):
        if scenario.share and case not in again:
            yield Outcome(case, State.FAILED, 0.0, reason)
        else:
            yield _once_more(scenario, contestant, case, reason)


def _prepare() -> None:
    distribution()
    librdkafka()


SCENARIOS = (
    Scenario("librdkafka", "librdkafka's regression suite, in its usual scenario"),
    Scenario(
        "librdkafka-noautocreate",
        "the same suite's cases for a broker that creates no topics by itself",
        arguments=("-s", "noautocreate"),
        settings={"auto.create.topics.enable": "false"},
    ),
    Scenario(
        "librdkafka-kip848",
        "the same suite with groups of the consumer protocol (KIP-848)",
        variables={"TEST_CONSUMER_GROUP_PROTOCOL": "consumer"},
    ),
    Scenario(
        "librdkafka-share",
        "the same suite's cases of share groups (KIP-932)",
        settings={"group.share.min.record.lock.duration.ms": "1000"},  # a case sets locks of three seconds
        share=True,
    ),
)


def _suite(scenario: Scenario) -> Suite:
    def run(contestant: Contestant, order: Order) -> Iterator[Outcome]:
        return _run(scenario, contestant, order)

    return Suite(scenario.name, scenario.about, _prepare, run)


SUITES = tuple(_suite(scenario) for scenario in SCENARIOS)
