"""Which keys a command uses: those that the settings name, or those of a run of ``forestall up``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from infra.broker import runs
from infra.settings import Settings

if TYPE_CHECKING:
    from connectors.signing import KeyFolder


def key_files(settings: Settings) -> KeyFolder:
    """Where the keys are: as the settings say, else below the platform's data directory."""
    from connectors.signing.folder import KEYRING_NAME, KeyFolder

    given = settings.signing.key
    if given is None or given.is_dir() or not (given.suffix or given.exists()):
        files = KeyFolder.at(given or Path(platformdirs.user_data_path("forestall")) / "keys")
    else:
        files = KeyFolder(given, given.with_name(KEYRING_NAME))
    return files if settings.signing.keyring is None else replace(files, keyring=settings.signing.keyring)


def keys_of_run(settings: Settings, run: str | None) -> KeyFolder:
    """Where ``forestall up`` keeps the keys of a run of the embedded broker; None: of all its runs on your own."""
    from connectors.signing import KeyFolder

    if run is None:
        return KeyFolder.at(Path(platformdirs.user_data_path("forestall")) / "up" / "keys")
    return KeyFolder.at(runs.runs_directory(settings) / run / "keys")


def ready_keys(settings: Settings, run: str | None, now: float) -> KeyFolder:
    """The keys of a run, made where it has none yet; those that the settings name, where they name any."""
    if settings.signing.model_fields_set:
        return key_files(settings)
    files = keys_of_run(settings, run)
    if not files.keyring.exists():
        files.new(now, "made by forestall up")
    return files
