"""Runs all benchmarks one after another, keeps their figures in `results/`, and writes the table in README.md."""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
README = HERE.parent / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"

RUNS = (
    ("codec", "none"),
    ("start", "none"),
    ("broker", "none"),
    ("idle", "embedded"),
    ("latency", "embedded"),
    ("latency", "kafka"),
    ("produce", "null"),
    ("produce", "kafka"),
    ("consume", "null"),
    ("consume", "kafka"),
    ("memory", "null"),
)


@dataclass(frozen=True)
class Figure:
    """One number of a cell."""

    name: str
    unit: str
    scale: float
    digits: int
    more_is_better: bool = False

    def show(self, values: list[float]) -> str:
        """Write the median of the rounds with its unit."""
        return f"{statistics.median(values) * self.scale:,.{self.digits}f} {self.unit}"

    def advantage(self, ours: list[float], theirs: list[float]) -> str:
        """Write how many times better ours is, the median over the rounds."""
        rounds = zip(ours, theirs, strict=True)
        return f"{statistics.median(a / b if self.more_is_better else b / a for a, b in rounds):.1f}"


RATE, CPU = Figure("rate", "M/s", 1e-6, 2, more_is_better=True), Figure("cpu", "ns", 1e9, 0)
SHARE, P50, START = Figure("share", "%", 100, 2), Figure("p50", "ms", 1e3, 2), Figure("seconds", "ms", 1e3, 0)


@dataclass(frozen=True)
class Line:
    """One line of the README's table: what is compared, and the cases of felice and of its peers."""

    label: str
    run: str
    figures: tuple[Figure, ...]
    felice: str
    peers: tuple[str, str, str]
    size: int = 100

    def cells(self, report: dict[str, Any]) -> list[str]:
        """Give the line's cells: felice's figures, then each peer's with felice's advantage over it."""
        rows = {row["case"]: row["figures"] for row in report["rows"] if row["size"] == self.size and not row["failed"]}
        return [self.label, self._cell(rows, self.felice), *(self._cell(rows, peer) for peer in self.peers)]

    def _cell(self, rows: dict[str, dict[str, list[float]]], case: str) -> str:
        ours, found = rows.get(self.felice), rows.get(case)
        if found is None:
            return "-"
        cell = ", ".join(figure.show(found[figure.name]) for figure in self.figures)
        if ours is None or case == self.felice:
            return cell
        times = ", ".join(figure.advantage(ours[figure.name], found[figure.name]) for figure in self.figures)
        return f"{cell} (× {times})"


PRODUCE = ("confluent produce", "aiokafka send_batch", "kafka-python send")
CONSUME = ("confluent consume(1000)", "aiokafka getmany", "kafka-python poll")
LATENCY = ("confluent produce, flush", "aiokafka send_and_wait", "kafka-python send, get")
IDLE = ("confluent poll", "aiokafka getmany", "kafka-python poll")
IMPORT = ("confluent: import Producer, Consumer", "aiokafka: the same", "kafka-python: the same")
LINES = [
    Line(f"{what}, {size} B", run, (RATE, CPU), felice, peers, size)
    for size in (100, 1000)
    for what, run, felice, peers in (
        ("`send`", "produce-null", "felice send", PRODUCE),
        ("`send_many`", "produce-null", "felice send_many", PRODUCE),
        ("`send` to Apache Kafka", "produce-kafka", "felice send", PRODUCE),
        ("`values()`", "consume-null", "felice poll, values()", CONSUME),
        ("messages", "consume-null", "felice poll, messages", CONSUME),
        ("messages from Apache Kafka", "consume-kafka", "felice poll, messages", CONSUME),
    )
] + [
    Line("one record awaited, Apache Kafka, median", "latency-kafka", (P50,), "felice send_and_wait", LATENCY),
    Line("a waiting consumer's CPU", "idle-embedded", (SHARE,), "felice poll", IDLE, 0),
    Line("importing producer and consumer", "start-none", (START,), "felice: the same", IMPORT, 0),
]


def table() -> str:
    """Make the README's table from the figures kept."""
    reports = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    lines = ["| | felice | confluent-kafka | aiokafka | kafka-python |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(line.cells(reports[line.run]))} |" for line in LINES if line.run in reports]
    lines += ["", "In brackets: how many times better felice is, by wall clock and by the client's CPU per record."]
    machine = next(iter(reports.values()))["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines += ["", f"{machine['cores']} cores of {machine['cpu']}, Python {machine['python']}; {versions}."]
    return "\n".join(lines)


def write_readme() -> None:
    """Put the table between the two markers."""
    text = README.read_text()
    if BEGIN not in text:
        raise click.ClickException(f"README.md has no line {BEGIN}")
    before, rest = text.split(BEGIN, 1)
    README.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END, 1)[1]}")


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Each benchmark within 50 seconds; leaves README.md alone.")
@click.option("--table", "only_table", is_flag=True, help="Measure nothing; write the table from the figures kept.")
def main(quick: bool, only_table: bool) -> None:
    """Run everything, then write the table."""
    failed = []
    for name, broker in () if only_table else RUNS:
        command = [sys.executable, str(HERE / f"{name}.py"), "--broker", broker]
        command += ["--quick"] if quick else ["--json", str(RESULTS / f"{name}-{broker}.json")]
        if subprocess.run(command, check=False).returncode:
            failed.append(f"{name} on {broker}")
    if not quick:
        write_readme()
    if failed:
        raise click.ClickException(f"not all could be measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
