"""`python -m felice.broker`: the embedded broker as a command, for programs in any language."""

import logging
import os
import signal
import sys
import threading
from pathlib import Path

import click

from felice.broker import Broker
from felice.errors import FeliceError


def _topics(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, int]:
    """Read `name` or `name:partitions`."""
    topics = {}
    for text in given:
        name, colon, number = text.partition(":")
        if colon and not number.isdecimal():
            raise click.BadParameter(f"{text!r}: write name or name:partitions")
        topics[name] = int(number) if colon else 1
    return topics


def _configs(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Read `key=value`."""
    configs = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r}: write key=value")
        configs[key.strip()] = value
    return configs


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on; anything but loopback is open to the network.")
@click.option("--advertised-host", help="Name that clients are told to connect to, if it is not --host.")
@click.option("--port", default=9092, type=click.IntRange(0, 65535),
              help="Port of the first node, the others follow; 0 for free ports.")  # fmt: skip
@click.option("--nodes", default=1, type=click.IntRange(1, 1000), help="Number of nodes.")
@click.option("--rack", "racks", multiple=True, help="Rack of a node; once for each, the first node's first.")
@click.option("--topic", "topics", multiple=True, callback=_topics, metavar="NAME[:PARTITIONS]",
              help="A topic to begin with; may be given again.")  # fmt: skip
@click.option("--auto-create/--no-auto-create", default=True, help="Create topics when clients ask for them.")
@click.option("--config", "configs", multiple=True, callback=_configs, metavar="KEY=VALUE",
              help="A broker configuration by Kafka's name, such as message.max.bytes=100000.")  # fmt: skip
@click.option("--ready-file", type=click.Path(dir_okay=False, path_type=Path),
              help="File to write the addresses to when the broker is ready.")  # fmt: skip
@click.option("--seed", type=int, help="Makes IDs repeatable.")
@click.option("-v", "--verbose", count=True, show_default=False,
              help="Log which clients, topics and nodes come and go; twice: every request.")  # fmt: skip
def main(
    host: str,
    advertised_host: str | None,
    port: int,
    nodes: int,
    racks: tuple[str, ...],
    topics: dict[str, int],
    auto_create: bool,
    configs: dict[str, str],
    ready_file: Path | None,
    seed: int | None,
    verbose: int,
) -> None:
    """Run felice's embedded Kafka broker until SIGTERM or SIGINT (Ctrl-C).

    Records live in memory and end with it. When it is ready it prints one line, "ready" and its addresses.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("felice").setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    if ready_file is not None and not ready_file.parent.is_dir():
        raise click.BadParameter(f"there is no folder {ready_file.parent}", param_hint="--ready-file")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    broker = Broker(
        topics,
        nodes=nodes,
        racks=racks or None,
        host=host,
        port=port,
        advertised_host=advertised_host,
        auto_create=auto_create,
        configs=configs,
        seed=seed,
    )
    with broker:
        addresses = broker.bootstrap_servers
        if ready_file is not None:
            # Whoever waits for the file must never see half of it.
            half = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
            half.write_text(f"{addresses}\n")
            half.replace(ready_file)
        click.echo(f"ready {addresses}")
        ended.wait()
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        main()
    except (FeliceError, OSError) as error:
        click.echo(f"felice.broker: {error}", err=True)
        sys.exit(1)
