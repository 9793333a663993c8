"""What the judges need of elsewhere: pinned, fetched through pip and npm as they are set up here, built once.

Each of it lies in a folder of its own under `.cache/judges`, with a stamp that says of which versions and recipe it
was made; a second run finds the stamp and does nothing.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
CACHE = ROOT / ".cache" / "judges"
LOGS = CACHE / "logs"
DISTRIBUTION = CACHE / "kafka"
"""What stands for a distribution of Kafka: `bin` with our scripts, `libs` with its jars."""

LIBRDKAFKA = "@confluentinc/kafka-javascript@1.10.1"  # carries librdkafka 2.15.1 with its tests
RAPIDJSON = "python-rapidjson==1.21"  # carries the headers without which some of librdkafka's tests are left out
KAFKA_PYTHON = "kafka-python==3.0.12"
KAFKAJS = "kafkajs@2.2.4"
REQUIREMENTS = HERE / "requirements.txt"

BUILD_TIMEOUT = 1800.0


class WantingError(Exception):
    """Says which program has to be installed before a suite can run here."""


def need(*programs: str) -> None:
    """Raise WantingError for the first of these programs that is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            raise WantingError(f"{program} is not installed")


Command = Sequence[str | Path]


def build(log: str, command: Command, folder: Path | None = None, extra: Mapping[str, str] | None = None) -> None:
    """Run one step of a recipe, in `folder` with `extra` variables; its output goes to a log.

    Raises RuntimeError with the end of the output when it fails.
    """
    from judges.process import run

    LOGS.mkdir(parents=True, exist_ok=True)
    # The make that calls us may say how many jobs it runs; that is not for the makes that we call.
    variables = {"MAKEFLAGS": "", "MFLAGS": "", "MAKELEVEL": "", **(extra or {})}
    done = run(["nice", *command], BUILD_TIMEOUT, folder=folder, extra=variables, log=LOGS / f"{log}.log")
    if done.status:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.status}:\n{done.text[-2000:]}")


@contextmanager
def made(name: str, recipe: str) -> Iterator[Path | None]:
    """Give the empty folder to be filled by `recipe`, None where that was done; stamped when the block ends well."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder, stamp = CACHE / name, CACHE / f"{name}.stamp"
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists() and stamp.exists() and stamp.read_text() == digest:
            yield None
            return
        stamp.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        print(f"making {folder.relative_to(ROOT)} ...", flush=True)
        yield folder
        stamp.write_text(digest)


def distribution() -> Path:
    """Give the folder that suites know as KAFKA_PATH, with Kafka's jars fetched.

    Raises WantingError where Java or Maven is not installed.
    """
    sys.path.insert(0, str(ROOT / "tests" / "kafka"))
    from jars import KafkaMissingError, libraries  # type: ignore[import-not-found]

    try:
        libs = libraries()
    except KafkaMissingError as error:
        raise WantingError(str(error)) from None
    DISTRIBUTION.mkdir(parents=True, exist_ok=True)
    for name, target in (("bin", HERE / "bin"), ("libs", libs)):
        link = DISTRIBUTION / name
        if not link.is_symlink() or link.resolve() != target.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(target, DISTRIBUTION))
    return DISTRIBUTION


def python() -> Path:
    """Give the interpreter that has the other clients, each in the version that `requirements.txt` pins."""
    pinned = REQUIREMENTS.read_text()
    with made("venv", f"{sys.version} {pinned}") as folder:
        if folder is not None:
            venv.create(folder, with_pip=True)
            pip: list[str | Path] = [
                folder / "bin" / "python",
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                "--quiet",
            ]
            build("venv", [*pip, "-r", REQUIREMENTS])
    return CACHE / "venv" / "bin" / "python"


def kafkajs() -> Path:
    """Give the folder where Node finds kafkajs."""
    need("node", "npm")
    with made("kafkajs", KAFKAJS) as folder:
        if folder is not None:
            build("kafkajs", ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, KAFKAJS])
    return CACHE / "kafkajs"


def librdkafka() -> Path:
    """Give the folder of librdkafka's sources with its libraries and its test runner built.

    Built with zstd where the headers of libzstd are installed; without them the cases that need it fail, on any broker.
    """
    need("npm", "make", "gcc", "g++", "pkg-config")
    zstd = subprocess.run(["pkg-config", "--exists", "libzstd"], check=False, timeout=30).returncode == 0
    if not zstd:
        print("librdkafka is built without zstd: install libzstd-dev for the cases that need it", flush=True)
    configure = ["./configure", "--enable-zstd" if zstd else "--disable-zstd"]
    steps = (configure, ["make", "libs"], ["make", "-C", "tests", "test-runner"])
    with made("librdkafka", f"{LIBRDKAFKA} {RAPIDJSON} {steps}") as folder:
        if folder is not None:
            packed = folder / "packed"
            packed.mkdir()
            build("librdkafka", ["npm", "pack", "--silent", "--pack-destination", packed, LIBRDKAFKA])
            _unpack("librdkafka", packed, folder, "package/deps/librdkafka")
            _download("librdkafka", RAPIDJSON, packed)
            _unpack("librdkafka", packed, folder / "include", "*/rapidjson/include")
            for step in steps:
                build("librdkafka", step, folder, {"CPLUS_INCLUDE_PATH": str(folder / "include")})
    return CACHE / "librdkafka"


def kafka_python() -> Path:
    """Give the folder with kafka-python's tests, without the package itself, so that the installed one is judged."""
    with made("kafka-python", f"{KAFKA_PYTHON} {SERVICE}") as folder:
        if folder is not None:
            packed = folder / "packed"
            _download("kafka-python", KAFKA_PYTHON, packed)
            _unpack("kafka-python", packed, folder, "*")
            shutil.rmtree(folder / "kafka")
            (folder / "test" / "__init__.py").touch()
            (folder / "test" / "service.py").write_text(SERVICE)
    return CACHE / "kafka-python"


def _download(log: str, requirement: str, folder: Path) -> None:
    """Fetch a source distribution of PyPI."""
    name = requirement.split("=")[0]
    pip: list[str | Path] = [python(), "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    build(log, [*pip, "--no-deps", "--no-binary", name, "--dest", folder, requirement])


def _unpack(log: str, packed: Path, folder: Path, inside: str) -> None:
    """Unpack one folder of the only archive in `packed`, as `folder`, and remove the archive."""
    (archive,) = packed.iterdir()
    folder.mkdir(exist_ok=True)
    depth = f"--strip-components={inside.count('/') + 1}"
    build(log, ["tar", "-xzf", archive, "-C", folder, depth, "--wildcards", inside])
    archive.unlink()


SERVICE = """class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        pass


class SpawnedService:
    def __init__(self, *arguments):
        raise RuntimeError("this run starts no broker of its own")
"""
"""A module that kafka-python's source distribution leaves out: how its tests start brokers, which here they do not."""
