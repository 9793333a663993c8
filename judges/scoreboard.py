"""Both columns side by side, from the outcomes kept, and every miss with its cause: shown, and written to the docs."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from judges.cache import HERE, ROOT
from judges.outcome import Outcome, Report, State
from judges.suite import Suite

CAUSES = HERE / "causes.toml"
PAGE = ROOT / "docs" / "judges.md"
UNEXPLAINED = "unexplained"

Causes = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Row:
    """A suite with its outcomes on both."""

    suite: Suite
    kafka: Report
    felice: Report

    @property
    def cases(self) -> list[str]:
        """Every case that ran on either."""
        return sorted({*self.kafka.outcomes, *self.felice.outcomes})

    @property
    def misses(self) -> list[Outcome]:
        """What passes on Kafka and not on ours; nothing where a column is wanting."""
        if not self.felice.outcomes:
            return []
        return [
            self.felice.outcomes.get(case, Outcome(case, State.FAILED, 0.0, "not run"))
            for case, outcome in sorted(self.kafka.outcomes.items())
            if outcome.state is State.PASSED and not self._passes(self.felice, case)
        ]

    @property
    def kafkas_own(self) -> list[Outcome]:
        """What fails on Kafka itself."""
        return [outcome for _, outcome in sorted(self.kafka.outcomes.items()) if outcome.state is State.FAILED]

    @property
    def skipped(self) -> list[Outcome]:
        """What passes on neither and fails on neither: the cases left out."""
        outcomes = [self.kafka.outcomes.get(case) or self.felice.outcomes[case] for case in self.cases]
        return [outcome for outcome in outcomes if outcome.state is State.SKIPPED]

    @staticmethod
    def _passes(report: Report, case: str) -> bool:
        return case in report.outcomes and report.outcomes[case].state is State.PASSED

    def figures(self) -> list[str]:
        """Give the row's cells."""
        cells = [self.suite.name]
        for report in (self.kafka, self.felice):
            count = report.count()
            cells += [str(count[state]) for state in State] if report.outcomes else ["-"] * 3
        return [*cells, str(len(self.misses)) if self.felice.outcomes else "-"]


HEADINGS = ("suite", "Kafka: passed", "failed", "skipped", "felice: passed", "failed", "skipped", "Kafka alone passes")


class Scoreboard:
    """The last outcomes of every suite on both, and the causes known."""

    def __init__(self, suites: Sequence[Suite]) -> None:
        """Read what was kept."""
        self.rows = [
            Row(suite, Report.load(suite.name, "kafka"), Report.load(suite.name, "felice")) for suite in suites
        ]
        self.causes: Causes = tomllib.loads(CAUSES.read_text())

    def cause(self, row: Row, case: str) -> str:
        """Give the cause that the table names for a case."""
        return self.causes.get(row.suite.name, {}).get(case, UNEXPLAINED)

    def unexplained(self) -> list[tuple[Row, Outcome]]:
        """Give the misses of ours that the table of causes does not name."""
        return [(row, miss) for row in self.rows for miss in row.misses if self.cause(row, miss.case) == UNEXPLAINED]

    def outdated(self) -> Iterator[tuple[str, str]]:
        """Give the causes, as suite and case, that nothing is the matter with any more."""
        for row in self.rows:
            amiss = {outcome.case for outcome in (*row.misses, *row.kafkas_own)}
            for case in self.causes.get(row.suite.name, {}):
                if row.felice.outcomes and case not in amiss:
                    yield row.suite.name, case

    def show(self, console: Console) -> None:
        """Print the table and the misses."""
        table = Table(title="other people's judges", title_justify="left")
        for number, heading in enumerate(HEADINGS):
            table.add_column(heading, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row.figures())
        console.print(table)
        for row in self.rows:
            for miss in row.misses:
                console.print(f"{row.suite.name}: {miss.case}: {self.cause(row, miss.case)}", markup=False)
                console.print(f"    {miss.state}: {miss.detail}", markup=False, style="dim")
        for suite, case in self.outdated():
            console.print(f"causes.toml names {suite}: {case}, which passes", style="yellow", markup=False)

    def write(self) -> None:
        """Write the page in docs."""
        PAGE.write_text("\n".join(self._page()) + "\n")

    def _page(self) -> Iterator[str]:
        versions = {report.version for row in self.rows for report in (row.kafka, row.felice) if report.version}
        yield "# What other people's judges say of the embedded broker"
        yield ""
        yield "Suites that nobody here wrote, each on a fresh broker: once on Apache Kafka, started by ourselves with"
        yield "an authorizer, and once on `felice.broker`. Kafka does not pass everything either, so parity is the"
        yield "measure: the last column counts what passes there and not here. What was skipped has not passed."
        yield ""
        yield "librdkafka's cases run four at a time, in quick mode where they have one. What fails so, on either"
        yield "broker, is tried alone, then on three nodes; what comes back within a millisecond counts as skipped."
        yield ""
        yield f"Versions: {', '.join(sorted(versions))}. Made by `make judges`."
        yield ""
        yield from _table(HEADINGS, [row.figures() for row in self.rows], numbers=True)
        yield ""
        for row in self.rows:
            yield f"- **{row.suite.name}**: {row.suite.about}."
        yield ""
        yield "## What passes on Kafka and not on ours"
        yield ""
        misses = [(row, miss) for row in self.rows for miss in row.misses]
        cells = [[row.suite.name, f"`{miss.case}`", miss.state, self.cause(row, miss.case)] for row, miss in misses]
        yield from _table(("suite", "case", "here", "cause"), cells) if cells else ["Nothing."]
        yield ""
        yield "## What fails on Kafka itself"
        yield ""
        own = [(row, outcome) for row in self.rows for outcome in row.kafkas_own]
        cells = [[row.suite.name, f"`{each.case}`", self._ours(row, each), self._why(row, each)] for row, each in own]
        yield from _table(("suite", "case", "on ours", "cause"), cells) if cells else ["Nothing."]
        yield ""
        yield "## What was skipped"
        yield ""
        reasons: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            for outcome in row.skipped:
                reasons.setdefault((row.suite.name, outcome.detail), []).append(outcome.case)
        cells = [
            [suite, reason, ", ".join(f"`{case}`" for case in cases)] for (suite, reason), cases in reasons.items()
        ]
        yield from _table(("suite", "reason", "cases"), cells) if cells else ["Nothing."]

    def _why(self, row: Row, outcome: Outcome) -> str:
        """Give the cause of a failure on Kafka: only one that names the case is meant for it, too."""
        return self.causes.get(row.suite.name, {}).get(outcome.case, outcome.detail)

    @staticmethod
    def _ours(row: Row, outcome: Outcome) -> str:
        found = row.felice.outcomes.get(outcome.case)
        return found.state if found else "-"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> Iterator[str]:
    """Write a table of Markdown; with `numbers` all columns but the first are aligned to the right."""
    yield f"| {' | '.join(headings)} |"
    yield f"|---|{'--:|' * (len(headings) - 1) if numbers else '---|' * (len(headings) - 1)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
