"""InfluxDB 2 on this machine: found, how it is started, and set up once."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs

from connectors.errors import Failed, Unreachable
from connectors.influx.schema import RAW
from connectors.influx.token_file import read_token, write_token
from infra.broker.server import HOST, choose_port
from infra.influx.api import InfluxApi

#: What `infra/deploy/influxd.sh` builds; `make influxd` runs it.
VERSION: Final = "2.7.12"
WANTED_PORT: Final = 8086
ORG: Final = "forestall"
USER: Final = "forestall"
START_S: Final = 60.0
ASK_S: Final = 5.0
_TOKEN: Final = "admin.token"  # noqa: S105 - a file's name
_PASSWORD: Final = "password"  # noqa: S105 - a file's name


def find_influxd() -> Path:
    """The program: the one that was built, else the one on the PATH; raises :class:`Unreachable` with the cure."""
    built = platformdirs.user_cache_path("forestall") / f"influxd-{VERSION}" / "influxd"
    if os.access(built, os.X_OK):
        return built
    if found := shutil.which("influxd"):
        return Path(found)
    raise Unreachable(
        "there is no influxd: `make influxd` builds one (5 to 11 minutes, once), or put version 2.7 of it on the PATH; "
        "with an InfluxDB of your own, use `forestall influx apply` and `forestall sink influx`"
    )


@dataclass(frozen=True, slots=True)
class Server:
    """A server's place: its address, its folder, and the command line that runs it."""

    url: str
    directory: Path
    command: tuple[str, ...]

    @property
    def token_file(self) -> Path:
        """The file of the token that may do everything there, once it is set up."""
        return self.directory / _TOKEN

    @property
    def password_file(self) -> Path:
        """The file of its first user's password, for its pages."""
        return self.directory / _PASSWORD

    def token(self) -> str:
        """The token that may do everything there."""
        return read_token(self.token_file)

    def ready(self) -> bool:
        """Whether it answers, and takes requests."""
        try:
            status, _ = InfluxApi(self.url, "", ASK_S).try_to("GET", "/health", None, {})
        except Unreachable:
            return False
        return status == 200

    def has_pages(self) -> bool:
        """Whether it shows pages to a browser; one that was built from source alone does not."""
        status, answer = InfluxApi(self.url, "", ASK_S).try_to("GET", "/", None, {})
        return status == 200 and b"<html" in answer.lower()

    def set_up(self) -> None:
        """Make its user, organisation and first bucket where that was not done yet, and keep its token.

        Raises
        ------
        Unreachable
            It does not answer.
        Failed
            It was set up by somebody else.
        """
        api = InfluxApi(self.url, "", ASK_S)
        if not api.ask("GET", "/api/v2/setup")["allowed"]:
            if not self.token_file.exists():
                raise Failed(f"InfluxDB at {self.url} was set up already, and its token is not in {self.token_file}")
            return
        token = secrets.token_urlsafe(48)
        password = secrets.token_urlsafe(24)
        write_token(self.token_file, token)
        write_token(self.password_file, password)
        api.ask("POST", "/api/v2/setup", self._first(token, password))

    @staticmethod
    def _first(token: str, password: str) -> dict[str, Any]:
        return {
            "username": USER,
            "password": password,
            "org": ORG,
            "bucket": RAW.name,
            "retentionPeriodSeconds": RAW.retention_s,
            "token": token,
        }


def server_at(directory: Path, port: int = WANTED_PORT, influxd: Path | None = None) -> Server:
    """A server that keeps its data below ``directory``, on this port of the loopback address or a free one.

    Raises
    ------
    Unreachable
        There is no influxd.
    """
    program = influxd or find_influxd()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = choose_port(port)
    command = (
        str(program),
        f"--http-bind-address={HOST}:{port}",
        f"--bolt-path={directory / 'influxd.bolt'}",
        f"--sqlite-path={directory / 'influxd.sqlite'}",
        f"--engine-path={directory / 'engine'}",
        "--reporting-disabled",
        "--log-level=warn",
    )
    return Server(f"http://{HOST}:{port}", directory, command)


def environment() -> dict[str, str]:
    """What influxd inherits: nothing that would set it up otherwise."""
    return {name: value for name, value in os.environ.items() if not name.startswith("INFLUXD_")}
