"""What all benchmarks share: cases in processes of their own, run in turn, several rounds; medians, spread, ratios.

A benchmark is a program that makes a `Benchmark`, registers its cases with `@benchmark.case(...)`, and calls
`benchmark.main()`. Each case is a function that takes the `Setting` and gives its figures by name; it runs alone in
a new process, so that neither memory, nor threads, nor warm caches pass from one to the next.
"""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

QUICK_BUDGET = 42.0  # seconds for all rounds of a quick run; starting brokers comes on top
CASE_TIMEOUT = 180.0
PACKAGES = ("felice", "confluent-kafka", "aiokafka", "kafka-python")

console = Console(width=None if sys.stdout.isatty() else 140)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a case needs to know. `records` is how many a finite log holds, 0 where it never ends."""

    servers: str = ""
    topic: str = ""
    partitions: int = 4
    size: int = 100
    seconds: float = 2.0
    records: int = 0
    quick: bool = False

    @property
    def value(self) -> bytes:
        """A value of the size asked for."""
        return (b"Dearest Felice, " * (self.size // 16 + 1))[: self.size]


@dataclass(frozen=True)
class Metric:
    """One figure of a case: a column of the table."""

    name: str
    heading: str
    scale: float = 1.0
    digits: int = 2
    ratio: str | None = None  # the heading of the column that compares with the reference
    more_is_better: bool = False
    spread: bool = True  # whether the lowest and the highest round stand beside the median


RATE = Metric("rate", "M/s", 1e-6, 2, "× by wall", more_is_better=True)
CPU = Metric("cpu", "CPU ns", 1e9, 0, "× by CPU")

Case = Callable[[Setting], dict[str, float]]
Broker = Callable[[Setting], AbstractContextManager[Setting]]
Place = Callable[[], AbstractContextManager[Setting]]


class Meter:
    """Wall time, and CPU time of all threads of this process, from `start` to `figures`."""

    def start(self) -> None:
        """Start both clocks."""
        self.begin, self.cpu = time.perf_counter(), time.process_time()

    def running(self, seconds: float) -> bool:
        """Tell whether less than so many seconds have passed."""
        return time.perf_counter() - self.begin < seconds

    def figures(self, records: int) -> dict[str, float]:
        """Give records a second, and seconds of CPU a record."""
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.begin
        return {"rate": records / wall, "cpu": cpu / records}


@dataclass
class Row:
    """The figures of one case at one size, one entry a round."""

    case: str
    size: int
    figures: dict[str, list[float]] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    failed: str | None = None

    def add(self, figures: dict[str, float]) -> None:
        """Keep the figures of one more round."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)


class Benchmark:
    """A program that measures cases and prints a table."""

    def __init__(
        self,
        name: str,
        title: str,
        metrics: tuple[Metric, ...] = (RATE, CPU),
        *,
        sizes: tuple[int, ...] = (100, 1000),
        brokers: dict[str, Broker] | None = None,
        fresh: tuple[str, ...] = (),
        rounds: int = 3,
        seconds: float = 1.0,
        quick_seconds: float = 0.5,
    ) -> None:
        self.name, self.title, self.metrics, self.sizes = name, title, metrics, sizes
        self.brokers = brokers or {"none": nullcontext}
        self.fresh = fresh  # brokers that start anew for every measurement, for they keep what they are sent
        self.rounds, self.seconds, self.quick_seconds = rounds, seconds, quick_seconds
        self.cases: dict[str, Case] = {}
        self._reference: str | None = None
        self.references: dict[str, str] = {}

    def case(self, name: str, *, reference: bool = False) -> Callable[[Case], Case]:
        """Register a case; those after a reference are compared with it, up to the next reference."""
        self._reference = name if reference else self._reference

        def register(function: Case) -> Case:
            self.cases[name] = function
            if self._reference:
                self.references[name] = self._reference
            return function

        return register

    def main(self) -> None:
        """Run as a program: measure and print, or, as its own child, run one case."""
        if len(sys.argv) == 4 and sys.argv[1] == "--child":
            print(json.dumps(self.cases[sys.argv[2]](Setting(**json.loads(sys.argv[3])))))
            return
        self._command()

    def _command(self) -> None:
        @click.command(help=f"{self.title}. Cases: {', '.join(self.cases)}.")
        @click.option("--broker", type=click.Choice(list(self.brokers)), default=next(iter(self.brokers)))
        @click.option("--quick", is_flag=True, help="Few and short rounds: done within 50 seconds.")
        @click.option("--rounds", type=click.IntRange(min=1), help=f"How many; {self.rounds} without --quick.")
        @click.option("--size", "sizes", type=int, multiple=True, help="Bytes of a value; may be repeated.")
        @click.option("--only", help="Run only cases with this in their names (and the reference).")
        @click.option("--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here.")
        def command(
            broker: str, quick: bool, rounds: int | None, sizes: tuple[int, ...], only: str | None, path: Path | None
        ) -> None:
            wanted = [name for name in self.cases if only is None or only in name]
            wanted += [self.references[name] for name in wanted if name in self.references]
            chosen = [name for name in self.cases if name in wanted]
            rows = self.run(broker, chosen, sizes or self.sizes, rounds, quick)
            console.print(self.table(rows, broker))
            if path:
                path.parent.mkdir(parents=True, exist_ok=True)
                report = {"benchmark": self.name, "broker": broker, "machine": machine()}
                path.write_text(json.dumps(report | {"rows": [asdict(row) for row in rows]}, indent=1))
            sys.exit(any(row.failed for row in rows))

        command()

    def run(self, broker: str, cases: list[str], sizes: tuple[int, ...], rounds: int | None, quick: bool) -> list[Row]:
        """Measure every case at every size, round by round, each case once a round."""
        rows = [Row(case, size) for size in sizes for case in cases]
        seconds = self.quick_seconds if quick else self.seconds
        with self._progress() as show:
            for size in sizes:
                group = [row for row in rows if row.size == size]
                budget = QUICK_BUDGET / len(sizes) if quick and rounds is None else float("inf")
                begin = time.monotonic()
                setting = Setting(size=size, seconds=seconds, quick=quick)
                if broker in self.fresh:
                    place = partial(self.brokers[broker], setting)
                    self._rounds(group, place, rounds or self.rounds, begin + budget, show)
                else:
                    with self.brokers[broker](setting) as running:
                        self._rounds(group, partial(nullcontext, running), rounds or self.rounds, begin + budget, show)
        for row in rows:
            self._compare(row, rows)
        return rows

    def _rounds(self, rows: list[Row], place: Place, rounds: int, deadline: float, show: Callable[[str], None]) -> None:
        for number in range(rounds):
            begin = time.monotonic()
            for row in rows:
                show(f"{self.name} {row.size} B, round {number + 1}: {row.case}")
                if row.failed is None:
                    with place() as setting:
                        self._measure(row, setting)
            if 2 * time.monotonic() - begin > deadline:  # another round would end too late
                return

    def _measure(self, row: Row, setting: Setting) -> None:
        command = [sys.executable, sys.argv[0], "--child", row.case, json.dumps(asdict(setting))]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=CASE_TIMEOUT, check=False)
        except subprocess.TimeoutExpired:
            row.failed = f"not done within {CASE_TIMEOUT:.0f} s"
        else:
            if done.returncode:
                row.failed = (done.stderr.strip() or f"ended with {done.returncode}").splitlines()[-1]
                console.print(f"[red]{row.case} failed:[/]\n{done.stderr}", highlight=False)
            else:
                row.add(json.loads(done.stdout.splitlines()[-1]))

    def _compare(self, row: Row, rows: list[Row]) -> None:
        """Compare round by round, so that what slowed a whole round down cancels out."""
        reference = self.references.get(row.case)
        other = next((r for r in rows if r.size == row.size and r.case == reference), None)
        for metric in self.metrics:
            if other is None or metric.ratio is None or row.failed or other.failed:
                continue
            pairs = zip(row.figures[metric.name], other.figures[metric.name], strict=True)
            ratios = [mine / theirs if metric.more_is_better else theirs / mine for mine, theirs in pairs]
            row.ratios[metric.name] = statistics.median(ratios)

    def table(self, rows: list[Row], broker: str) -> Table:
        """Lay the medians out, with the lowest and the highest round beside them."""
        count = max((len(values) for row in rows for values in row.figures.values()), default=0)
        where = "" if broker == "none" else f", {broker} broker"
        table = Table(title=f"{self.title}{where}, medians of {count} rounds", title_justify="left")
        sized = any(row.size for row in rows)
        if sized:
            table.add_column("bytes", justify="right")
        table.add_column("case", no_wrap=True)
        for metric in self.metrics:
            table.add_column(metric.heading, justify="right", no_wrap=True)
            if metric.spread:
                table.add_column("low - high", justify="right", no_wrap=True, style="dim")
            if metric.ratio:
                table.add_column(metric.ratio, justify="right", no_wrap=True)
        for i, row in enumerate(rows):
            cells = [cell for metric in self.metrics for cell in self._cells(row, metric)]
            cells = ["[red]failed[/]"] if row.failed else cells
            last = i + 1 < len(rows) and rows[i + 1].size != row.size
            table.add_row(*([str(row.size)] if sized else []), row.case, *cells, end_section=last)
        return table

    def _cells(self, row: Row, metric: Metric) -> list[str]:
        values = [value * metric.scale for value in row.figures.get(metric.name, ())]
        if not values:
            return [""] * (1 + metric.spread + (metric.ratio is not None))
        low, middle, high = (f"{v:,.{metric.digits}f}" for v in (min(values), statistics.median(values), max(values)))
        cells = [middle, f"{low} - {high}"] if metric.spread else [middle]
        ratio = row.ratios.get(metric.name)
        return cells + ([f"{ratio:.2f}" if ratio else ""] if metric.ratio else [])

    @contextmanager
    def _progress(self) -> Iterator[Callable[[str], None]]:
        columns = [TextColumn("{task.description}"), TimeElapsedColumn()]
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(self.name)
            yield lambda text: progress.update(task, description=text)


def machine() -> dict[str, Any]:
    """Say what the figures were taken on."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), "versions": versions}
