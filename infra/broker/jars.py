"""Kafka's jars: resolved once from Maven's repository, verified by digest at every start.

``jars.sha256`` beside this file lists what they must be, in the format of ``sha256sum``.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

import platformdirs

from connectors.errors import Failed, Unreachable

KAFKA_VERSION = "4.1.0"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
#: Fetches the jars into the folder that it is given.
Fetch = Callable[[Path], None]


def cache_directory() -> Path:
    """Return where whatever can be made again is kept between runs."""
    return platformdirs.user_cache_path("forestall") / f"kafka-{KAFKA_VERSION}"


def listed() -> dict[str, str]:
    """Return the file name → sha256 of every jar, in class-path order."""
    lines = resources.files("infra.broker").joinpath("jars.sha256").read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def ready_jars(directory: Path, digests: Mapping[str, str], fetch: Fetch, say: Callable[[str], None]) -> list[Path]:
    """Return the verified jars under ``directory``, fetched first where they are not there yet.

    Raises
    ------
    Unreachable
        They are not there and cannot be fetched.
    Failed
        A jar is not what its digest says.
    """
    if not directory.is_dir():
        say(f"fetching Apache Kafka {KAFKA_VERSION} ({len(digests)} jars, 43 MB, once)")
        _fetch_whole(directory, digests, fetch)
    _verify(directory, digests)
    return [directory / name for name in digests]


def _fetch_whole(directory: Path, digests: Mapping[str, str], fetch: Fetch) -> None:
    """Fetch beside ``directory`` and rename, so that a half-fetched folder never stands in its place."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="fetching-") as temporary:
        fresh = Path(temporary, "jars")
        fresh.mkdir()
        fetch(fresh)
        _verify(fresh, digests)
        with contextlib.suppress(OSError):  # another process was first; its jars are verified as ours are
            fresh.rename(directory)


def _verify(directory: Path, digests: Mapping[str, str]) -> None:
    cure = f"remove {directory} and start again with the network at hand"
    for name, expected in digests.items():
        try:
            with Path(directory, name).open("rb") as jar:
                found = hashlib.file_digest(jar, "sha256").hexdigest()
        except OSError as fault:
            raise Failed(f"the jar {name} of the embedded broker cannot be read: {fault}; {cure}") from None
        if found != expected:
            raise Failed(f"the jar {directory / name} is not the one listed (its sha256 is {found}); {cure}")


def fetch_by_jgo(directory: Path) -> None:
    """Resolve Kafka and what it needs with jgo, and lay the jars in ``directory``."""
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="maven-") as temporary:
        context = MavenContext(repo_cache=Path(temporary, "repository"))
        builder = EnvironmentBuilder(
            context=context, cache_dir=Path(temporary, "environment"), link_strategy=LinkStrategy.HARD
        )
        try:
            environment = builder.from_endpoint(COORDINATES)
        except (OSError, RuntimeError, ValueError) as fault:
            raise Unreachable(
                "the embedded broker's jars are not in the cache and cannot be fetched "
                f"({str(fault).splitlines()[0]}); connect this machine to the network once, "
                "or name a Kafka of your own with --brokers HOST:PORT"
            ) from None
        for jar in Path(environment.path).rglob("*.jar"):
            shutil.move(jar, directory / jar.name)
