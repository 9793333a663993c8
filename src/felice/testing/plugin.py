"""The pytest plugin: a Kafka for each test, in the test's own process, or a real one on request.

    @pytest.mark.felice(topics={"letters": 4}, nodes=3, seed=7)
    def test_mine(felice_broker): ...

- `felice_broker`: a fresh `felice.broker.Broker` for each test. `felice_module_broker` and `felice_session_broker`: one
  for a module's tests, or for all (of one process, under pytest-xdist).
- `felice_cluster`: what a test needs that shall also run on a real cluster: addresses and topics. It is a fresh
  embedded broker, unless the tests run with `--felice-bootstrap HOST:PORT` and the test is marked with `real=True`.
- The marker `felice` takes `Broker`'s own arguments; of a test, its class and its module the closest wins.

When a test fails, its output tells the broker's seed, the faults there were, and the last requests.
"""

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from felice.broker import Broker
    from felice.testing.cluster import ClusterUnderTest

__all__ = ["felice_broker", "felice_cluster", "felice_module_broker", "felice_session_broker"]

MARKER = "felice"
OPTION = "--felice-bootstrap"
LAST_REQUESTS = 20

_brokers = pytest.StashKey[list["Broker"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for a real cluster."""
    group = parser.getgroup("felice", "Kafka for tests (felice)")
    group.addoption(
        OPTION,
        metavar="HOST:PORT",
        help="run tests marked felice(real=True) on this Kafka cluster, with topics of their own, deleted afterwards",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(topics=None, nodes=1, seed=None, real=False, **options): what the test's embedded Kafka is like "
        f"(options of felice.broker.Broker), and whether the test may run on a real cluster ({OPTION})",
    )


def _fixture(scope: Any) -> Callable[..., Any]:
    """Make the fixture of a broker that lives as long as `scope` says."""

    def broker(request: pytest.FixtureRequest) -> Iterator["Broker"]:
        yield from _running(request)

    broker.__doc__ = f"An embedded Kafka broker, {'fresh for each test' if scope == 'function' else f'one a {scope}'}."
    return broker


def _running(request: pytest.FixtureRequest) -> Iterator["Broker"]:
    """Run a broker of the marker's arguments."""
    from felice.broker import Broker

    options = _options(request)
    options.pop("real", None)
    with Broker(**options) as broker:
        request.node.stash.setdefault(_brokers, []).append(broker)
        yield broker


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what the markers around a test ask for."""
    options: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(MARKER))):
        if mark.args:
            raise pytest.UsageError(f"{request.node.nodeid}: the marker {MARKER} takes named arguments only")
        options |= mark.kwargs
    return options


felice_broker = pytest.fixture(_fixture("function"), name="felice_broker")
felice_module_broker = pytest.fixture(_fixture("module"), scope="module", name="felice_module_broker")
felice_session_broker = pytest.fixture(_fixture("session"), scope="session", name="felice_session_broker")


@pytest.fixture
def felice_cluster(request: pytest.FixtureRequest) -> Iterator["ClusterUnderTest"]:
    """A Kafka cluster with the marker's topics: the embedded broker, or the real one that the command line names."""
    from felice.testing.cluster import EmbeddedCluster, RealCluster

    options = _options(request)
    address = request.config.getoption(OPTION)
    if not (address and options.get("real")):
        for broker in _running(request):
            yield EmbeddedCluster(broker)
        return
    cluster = RealCluster(address)
    try:
        for name, partitions in (options.get("topics") or {}).items():
            cluster.topic(name, partitions)
        yield cluster
    finally:
        cluster.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell, with a failure, what was the matter with the brokers that the test had; then let go of its own."""
    report = yield
    if report.failed:
        for node in item.listchain():
            for broker in node.stash.get(_brokers, []):
                report.sections.append(("felice broker", _told(broker)))
    if call.when == "teardown" and _brokers in item.stash:
        del item.stash[_brokers]
    return report


def _told(broker: "Broker") -> str:
    """Describe a broker for whoever looks for the reason of a failure."""
    lines = [f"seed={broker.seed}"]
    lines += [f"{fault!r}" for fault in broker.faults.history] or ["no faults were injected"]
    requests = list(broker.requests)[-LAST_REQUESTS:]
    lines.append(f"the last {len(requests)} of {broker.requests.count} requests:" if requests else "no requests came")
    lines += [f"  {seen!r}" for seen in requests]
    return "\n".join(lines)
