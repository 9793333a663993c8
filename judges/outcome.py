"""How a case went, and the outcomes of one suite on one contestant, kept under `.cache/judges/results`."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from judges.cache import CACHE

RESULTS = CACHE / "results"


class State(StrEnum):
    """How a case ended. One that was skipped has not passed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """One case of a suite: its name there, how it ended, why (one line), and how long it took."""

    case: str
    state: State
    seconds: float = 0.0
    detail: str = ""


@dataclass
class Report:
    """The last outcomes of a suite on a contestant, by case, and with which version of what they were had."""

    suite: str
    contestant: str
    version: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @classmethod
    def load(cls, suite: str, contestant: str) -> "Report":
        """Read what was kept; an empty report where nothing was."""
        path = RESULTS / f"{suite}-{contestant}.json"
        if not path.exists():
            return cls(suite, contestant)
        kept = json.loads(path.read_text())
        outcomes = [Outcome(o["case"], State(o["state"]), o["seconds"], o["detail"]) for o in kept["outcomes"]]
        return cls(suite, contestant, kept["version"], {outcome.case: outcome for outcome in outcomes})

    def save(self) -> None:
        """Keep the report for the scoreboard, and for runs of single cases to be added to."""
        RESULTS.mkdir(parents=True, exist_ok=True)
        outcomes = [asdict(self.outcomes[case]) for case in sorted(self.outcomes)]
        text = json.dumps({"version": self.version, "outcomes": outcomes}, indent=1)
        path = RESULTS / f"{self.suite}-{self.contestant}.json"
        half = path.with_suffix(".half")
        half.write_text(text)
        half.replace(path)

    def count(self) -> Counter[State]:
        """Count the cases by how they ended."""
        return tally(self.outcomes.values())


def tally(outcomes: Iterable[Outcome]) -> Counter[State]:
    """Count outcomes by state."""
    return Counter(outcome.state for outcome in outcomes)
