"""The pytest plugin: a Kafka for each test, in the test's own process, or a real one on request.

    @pytest.mark.felice(topics={"letters": 4}, nodes=3, seed=7)
    def test_mine(felice_broker): ...

- `felice_broker`: a fresh `felice.broker.Broker` for each test. `felice_module_broker` and `felice_session_broker`: one
  for a module's tests, or for all (of one process, under pytest-xdist). Its marker stands on what it lives for:
  `pytestmark` in the module; `session.add_marker(...)` in `conftest.py`'s hook `pytest_sessionstart(session)`.
- `felice_cluster`: what a test needs that shall also run on a real cluster: addresses and topics. It is a fresh
  embedded broker, unless the tests run with `--felice-bootstrap HOST:PORT` and the test is marked with `real=True`.
- The marker `felice` takes `Broker`'s own arguments; of a test, its class and its module the closest wins.

When a test fails, its output tells the broker's seed, the faults there were, and the last requests.
"""

import inspect
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from felice.broker import Broker
    from felice.testing.cluster import ClusterUnderTest, RealCluster

__all__ = ["felice_broker", "felice_cluster", "felice_module_broker", "felice_session_broker"]

MARKER = "felice"
OPTION = "--felice-bootstrap"
LAST_REQUESTS = 20

OF_A_TEST = frozenset({"felice_broker", "felice_cluster"})
"""Fixtures that each test has for itself."""
SHARED = {
    "felice_module_broker": "a module's pytestmark",
    "felice_session_broker": "the session, in conftest.py's hook pytest_sessionstart(session): session.add_marker(...)",
}
"""Fixtures of several tests, and where their marker stands."""

_brokers = pytest.StashKey[list[tuple[str, "Broker"]]]()
_unreachable = pytest.StashKey[str]()


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
    address = config.getoption(OPTION)
    if address:
        from felice.config.addresses import parse_addresses
        from felice.errors import ConfigError

        try:
            parse_addresses(address, OPTION)
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None


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
        request.node.stash.setdefault(_brokers, []).append((request.fixturename or "", broker))
        yield broker


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what the markers around a test ask for."""
    options: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(MARKER))):
        if mark.args:
            raise pytest.UsageError(f"{request.node.nodeid}: the marker {MARKER} takes named arguments only")
        options |= mark.kwargs
    known = _known_options()
    for name in options.keys() - known:
        raise pytest.UsageError(
            f"{request.node.nodeid}: the marker {MARKER} has no argument {name!r}; it has {', '.join(known)}"
        )
    return options


def _known_options() -> list[str]:
    """Return what the marker takes."""
    from felice.broker import Broker

    return [*inspect.signature(Broker).parameters, "real"]


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
        _connect(cluster, request.config.stash)
        for name, partitions in (options.get("topics") or {}).items():
            cluster.topic(name, partitions)
        yield cluster
    finally:
        cluster.close()


def _connect(cluster: "RealCluster", stash: pytest.Stash) -> None:
    """Find the real cluster; where it was not there for one test, the others do not wait for it again."""
    from felice.errors import FeliceError

    if _unreachable not in stash:
        try:
            cluster.connect()
            return
        except FeliceError as error:
            stash[_unreachable] = f"{OPTION} {cluster.bootstrap_servers}: {error}"
    raise pytest.UsageError(stash[_unreachable])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a test's marker that would change nothing: the test has only a broker that was there before it."""
    fixtures = set(getattr(item, "fixturenames", ()))
    marked = any(mark.name == MARKER for mark in item.own_markers)
    if marked and not fixtures & OF_A_TEST:
        for fixture in fixtures & SHARED.keys():
            raise pytest.UsageError(
                f"{item.nodeid}: {fixture} serves more than this test, and its marker {MARKER} stands on "
                f"{SHARED[fixture]}"
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell, with a failure, what was the matter with the brokers that the test had; then let go of its own."""
    report = yield
    if report.failed:
        for node in item.listchain():
            for fixture, broker in node.stash.get(_brokers, []):
                if node is item or fixture in getattr(item, "fixturenames", ()):
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
