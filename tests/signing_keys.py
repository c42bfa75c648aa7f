"""One set of keys for all tests of a session: workers sign with it, agents trust it, and tests sign by hand."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from connectors.codecs.records import encode_command
from connectors.signing import FileSealer, KeyFolder
from models.records import Command

MADE_AT = 1_763_942_400.0


@cache
def shared_keys() -> KeyFolder:
    """The key folder of this session, made on first use and removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="forestall-test-keys-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    files = KeyFolder.at(folder)
    files.new(MADE_AT, "of the tests")
    return files


@cache
def shared_sealer() -> FileSealer:
    """Signs with the session's key."""
    return FileSealer(shared_keys(), print)


def signing_settings() -> list[str]:
    """The settings of a worker that signs with the session's key."""
    return [f"signing.key={shared_keys().key}", f"signing.keyring={shared_keys().keyring}"]


def keyring_setting() -> str:
    """The setting of a cluster agent that trusts the session's key."""
    return f"signing.keyring={shared_keys().keyring}"


def sealed(command: Command, previous: bytes | None = None) -> bytes:
    """A command's bytes as a worker would write them."""
    return shared_sealer().seal(previous, encode_command(command))
