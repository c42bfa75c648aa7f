"""Where the tokens lie: files that nobody but their owner can read. None is in a setting or on a command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from connectors.errors import WrongUse
from connectors.influx.token_file import read_token, write_token
from infra.influx.provision import Provisioned
from infra.settings import Settings


@dataclass(frozen=True, slots=True)
class TokenFiles:
    """That of the sink, which writes, and that of dashboards, which read."""

    sink: Path
    dashboards: Path


def token_files(settings: Settings) -> TokenFiles:
    """Where the settings say, else in the platform's data directory."""
    sink = settings.influx.token_file or platformdirs.user_data_path("forestall") / "influx" / "sink.token"
    return TokenFiles(sink, sink.with_name("dashboards.token"))


def keep(settings: Settings, made: Provisioned) -> TokenFiles:
    """Write both tokens into their files."""
    files = token_files(settings)
    try:
        write_token(files.sink, made.write_token)
        write_token(files.dashboards, made.read_token)
    except OSError as fault:
        raise WrongUse(
            f"the tokens cannot be kept in {files.sink.parent}: {fault}; say where: [influx] token_file"
        ) from None
    return files


def admin_token(file: str) -> str:
    """The token in a file, or on standard input where ``file`` is ``-``."""
    if file != "-":
        return read_token(Path(file))
    token = sys.stdin.readline().strip()
    if not token:
        raise WrongUse("--admin-token -: there is no token on standard input")
    return token
