"""Runs other people's suites on real Kafka and on the embedded broker, and keeps the score in docs/judges.md."""

import signal
import sys
import time
from collections.abc import Sequence

import click
from rich.console import Console

from judges.cache import WantingError
from judges.contestant import CONTESTANTS, Contestant
from judges.outcome import Outcome, Report, State, tally
from judges.scoreboard import Scoreboard
from judges.suite import Order, Suite
from judges.suites import SUITES

STYLES = {State.PASSED: "green", State.FAILED: "red", State.SKIPPED: "cyan"}

console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)


def _run(suite: Suite, contestant: Contestant, order: Order) -> list[Outcome]:
    """Run a suite on a contestant, showing each outcome as it comes."""
    console.rule(f"{suite.name} on {contestant.name}", align="left")
    begun = time.monotonic()
    outcomes = []
    for outcome in suite.run(contestant, order):
        outcomes.append(outcome)
        console.print(f"[{STYLES[outcome.state]}]{outcome.state:8}[/]{outcome.seconds:7.1f} s ", end="")
        detail = f": {outcome.detail}" if outcome.detail else ""
        console.print(f"{outcome.case}{detail}", markup=False, soft_wrap=True)
    count = tally(outcomes)
    figures = ", ".join(f"{count[state]} {state}" for state in State)
    console.print(f"{suite.name} on {contestant.name}: {figures}, {time.monotonic() - begun:.0f} s")
    return outcomes


@click.command(help=__doc__)
@click.option("--suite", "names", multiple=True, type=click.Choice([suite.name for suite in SUITES]),
              help="A suite to run instead of all; may be given again.")  # fmt: skip
@click.option("--broker", type=click.Choice(["kafka", "felice", "both"]), default="both", show_default=True,
              help="What to run them on.")  # fmt: skip
@click.option("--case", "words", multiple=True, help="Only cases with this in their name; may be given again.")
@click.option("--quick", is_flag=True, help="Only what takes seconds, on the embedded broker; keeps no score.")
@click.option(
    "--table", "only_table", is_flag=True, help="Run nothing; put the scoreboard together from the last results."
)
def main(names: Sequence[str], broker: str, words: Sequence[str], quick: bool, only_table: bool) -> None:
    """Run what is asked for, then show the scoreboard."""
    # So that the blocks that end children run when we are ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    order = Order(tuple(words), quick)
    suites = [suite for suite in SUITES if (suite.name in names if names else suite.quick or not quick)]
    broker = "felice" if quick else broker
    contestants = [each for each in CONTESTANTS if broker in (each.name, "both")]
    wanting, failed = [], 0
    for suite in [] if only_table else suites:
        try:
            suite.prepare()
        except WantingError as error:
            wanting.append(f"{suite.name} was not run: {error}")
            continue
        for contestant in contestants:
            outcomes = _run(suite, contestant, order)
            if quick and (again := tuple(each.case for each in outcomes if each.state is State.FAILED)):
                # Clients have time-outs of their own, which a busy machine can run into: such a case passes now.
                outcomes = _run(suite, contestant, Order(again, quick))
            failed += tally(outcomes)[State.FAILED]
            if not quick:
                report = Report.load(suite.name, contestant.name)
                kept = report.outcomes if words else {}
                report.outcomes = kept | {outcome.case: outcome for outcome in outcomes}
                report.version = contestant.version()
                report.save()
    for line in wanting:
        console.print(line, style="yellow")
    if quick:
        sys.exit(1 if failed else 0)
    board = Scoreboard(SUITES)
    board.show(console)
    if not words:
        board.write()
    if unexplained := board.unexplained():
        raise click.ClickException(
            f"{len(unexplained)} misses are unexplained: name their causes in judges/causes.toml"
        )


if __name__ == "__main__":
    main()
