"""Fixtures that start real Apache Kafka.

Where Java or Maven is missing, what needs them is skipped with that reason; with `FELICE_REQUIRE_KAFKA=1`, as in CI, it
fails.
"""

import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from cluster import RACK_AWARE, RACKS, KafkaCluster
from jars import REQUIRED, KafkaMissingError, libraries

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder `kafka`."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("kafka")


@pytest.fixture(scope="session")
def kafka_libs() -> Path:
    """The folder with Kafka's jars; `kafka-clients-4.3.1.jar` holds the message definitions."""
    try:
        return libraries()
    except KafkaMissingError as error:
        if REQUIRED:
            pytest.fail(f"FELICE_REQUIRE_KAFKA=1, but {error}")
        pytest.skip(f"real Kafka left out: {error}")


@pytest.fixture(scope="session")
def kcat() -> str:
    """The path of kcat, the command-line client on librdkafka."""
    path = shutil.which("kcat")
    if path is None:
        if REQUIRED:
            pytest.fail("FELICE_REQUIRE_KAFKA=1, but kcat is not installed")
        pytest.skip("kcat left out: it is not installed")
    return path


@pytest.fixture(scope="session")
def kafka(kafka_libs: Path) -> Iterator[KafkaCluster]:
    """One node, shared by the whole session: use topics of your own, and leave it running."""
    with KafkaCluster(nodes=1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka3(kafka_libs: Path) -> Iterator[KafkaCluster]:
    """Three nodes on three racks, started at the first use: leave all of them running, whatever you did to them."""
    with KafkaCluster(3, {"replica.selector.class": RACK_AWARE}, racks=RACKS) as cluster:
        yield cluster


@pytest.fixture
def topic(kafka: KafkaCluster) -> Callable[..., str]:
    """Makes a new topic on `kafka` at each call: `topic(partitions=4, max_message_bytes=1000)`."""
    return kafka.create_topic


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the nodes' logs with a test that failed."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, KafkaCluster):
                report.sections.append(("Kafka's log", value.logs()))
    return report
