"""Fetches Apache Kafka through Maven, once, into `.cache/kafka/libs`; run it as a program to do only that."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBS = HERE.parents[1] / ".cache" / "kafka" / "libs"
REQUIRED = os.environ.get("FELICE_REQUIRE_KAFKA") == "1"


class KafkaMissingError(Exception):
    """Says which program is wanting before Kafka can run here."""


def _complete() -> bool:
    """Tell whether the jars lie there, fetched by the `pom.xml` as it is now."""
    stamp = LIBS / ".complete"
    return stamp.exists() and stamp.read_bytes() == (HERE / "pom.xml").read_bytes()


def libraries() -> Path:
    """Give the folder with Kafka's jars, fetching them if need be.

    Raises KafkaMissingError where Java or Maven is not installed.
    """
    if shutil.which("java") is None:
        raise KafkaMissingError("Java is not installed")
    LIBS.mkdir(parents=True, exist_ok=True)
    with open(LIBS.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may start at once
        if not _complete():
            _fetch()
    return LIBS


def _fetch() -> None:
    if shutil.which("mvn") is None:
        raise KafkaMissingError("Maven is not installed")
    for old in LIBS.glob("*.jar"):
        old.unlink()
    command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
    subprocess.run([*command, f"-DoutputDirectory={LIBS}"], check=True, timeout=600)
    shutil.copyfile(HERE / "pom.xml", LIBS / ".complete")


if __name__ == "__main__":
    try:
        print(f"{len(list(libraries().glob('*.jar')))} jars in {LIBS.relative_to(Path.cwd())}")
    except KafkaMissingError as error:
        sys.exit(f"Kafka cannot be fetched: {error}")
