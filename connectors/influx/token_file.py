"""The file of a token: one line that nobody but its owner can read. A token is in no setting and on no command line."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from connectors.errors import WrongUse
from connectors.lasting_files import write_atomically

MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_token(path: Path | None) -> str:
    """The token in a file; raises :class:`WrongUse` where there is none, or where others can read it."""
    if path is None:
        raise WrongUse(
            "no token for InfluxDB: put one that may write to the bucket into a file of mode 600, "
            "and name it: --set influx.token_file=FILE; `forestall influx apply` makes both"
        )
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise WrongUse(f"influx.token_file {path} cannot be read: {fault}") from None
    if mode & _OTHERS:
        raise WrongUse(f"influx.token_file {path} can be read by others (mode {mode & 0o777:o}): chmod 600 {path}")
    if not text or any(not character.isprintable() or character == " " for character in text):
        raise WrongUse(f"influx.token_file {path} holds no token: it should be one line")
    return text


def write_token(path: Path, token: str) -> None:
    """Keep a token for its owner alone."""
    write_atomically(path, f"{token}\n".encode(), MODE)
