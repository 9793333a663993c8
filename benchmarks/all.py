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
class Line:
    """One line of the README's table: what is compared, and the cases of felice and the peers."""

    label: str
    run: str
    metric: str
    felice: str
    confluent: str = ""
    aiokafka: str = ""
    kafka_python: str = ""
    size: int = 100
    scale: float = 1e-6
    unit: str = "M/s"
    digits: int = 2

    def cells(self, report: dict[str, Any]) -> list[str]:
        """Give the line's cells: felice's figure, then each peer's with felice's advantage over it."""
        ours = self._median(report, self.felice)
        cells = [self.label, self._show(ours)]
        for case in (self.confluent, self.aiokafka, self.kafka_python):
            theirs = self._median(report, case) if case else None
            if theirs is None or ours is None:
                cells.append("-" if theirs is None else self._show(theirs))
            else:
                advantage = ours / theirs if self.unit == "M/s" else theirs / ours
                cells.append(f"{self._show(theirs)} ({advantage:.1f} ×)")
        return cells

    def _median(self, report: dict[str, Any], case: str) -> float | None:
        for row in report["rows"]:
            if (row["case"], row["size"]) == (case, self.size) and not row["failed"]:
                return statistics.median(row["figures"][self.metric])
        return None

    def _show(self, figure: float | None) -> str:
        return "-" if figure is None else f"{figure * self.scale:,.{self.digits}f} {self.unit}"


def _pairs(what: str, run: str, felice: str, confluent: str, aiokafka: str, kafka_python: str, size: int) -> list[Line]:
    """Make two lines of one comparison: by wall, and by CPU."""
    peers = {"confluent": confluent, "aiokafka": aiokafka, "kafka_python": kafka_python}
    return [
        Line(f"{what}, {size} B", run, "rate", felice, **peers, size=size),
        Line(f"{what}, {size} B, CPU", run, "cpu", felice, **peers, size=size, scale=1e9, unit="ns", digits=0),
    ]


PRODUCE = ("confluent produce", "aiokafka send_batch", "kafka-python send")
CONSUME = ("confluent consume(1000)", "aiokafka getmany", "kafka-python poll")
LATENCY = ("confluent produce, flush", "aiokafka send_and_wait", "kafka-python send, get")
LINES = [
    line
    for size in (100, 1000)
    for line in (
        *_pairs("`send`", "produce-null", "felice send", *PRODUCE, size),
        *_pairs("`send_many`", "produce-null", "felice send_many", *PRODUCE, size),
        *_pairs("`send`, Apache Kafka", "produce-kafka", "felice send", *PRODUCE, size),
        *_pairs("`values()`", "consume-null", "felice poll, values()", *CONSUME, size),
        *_pairs("messages", "consume-null", "felice poll, messages", *CONSUME, size),
        *_pairs("messages, Apache Kafka", "consume-kafka", "felice poll, messages", *CONSUME, size),
    )
] + [
    Line("one record awaited, p50", "latency-kafka", "p50", "felice send_and_wait", *LATENCY, 100, 1e3, "ms"),
    Line(
        *("a waiting consumer", "idle-embedded", "share", "felice poll"),
        *("confluent poll", "aiokafka getmany", "kafka-python poll", 0, 100, "% CPU"),
    ),
    Line(
        *("import producer and consumer", "start-none", "seconds", "felice: the same"),
        *("confluent: import Producer, Consumer", "aiokafka: the same", "kafka-python: the same", 0, 1e3, "ms", 0),
    ),
]


def table() -> str:
    """Make the README's table from the figures kept."""
    reports = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    lines = ["| | felice | confluent-kafka | aiokafka | kafka-python |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(line.cells(reports[line.run]))} |" for line in LINES if line.run in reports]
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
        if broker == "kafka" and not quick:
            command += ["--rounds", "3"]  # its rounds are the longest, and its figures the client's CPU above all
        if subprocess.run(command, check=False).returncode:
            failed.append(f"{name} on {broker}")
    if not quick:
        write_readme()
    if failed:
        raise click.ClickException(f"not all could be measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
