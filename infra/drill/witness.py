"""What writes down each start of a rank's process before the process becomes the rank: nobody else's word is needed."""

from __future__ import annotations

from pathlib import Path

#: One line a start, in one write: ``node rank world resume``; then the shell becomes the rank under the same process.
_SHELL = (
    'printf "%s\\n" "$FORESTALL_NODE $FORESTALL_RANK $FORESTALL_WORLD ${FORESTALL_RESUME_STEP:--}" >>"$0"; exec "$@"'
)


def witnessed(command: list[str], starts: Path) -> list[str]:
    """Return the command line that first appends to ``starts`` and then is ``command``."""
    return ["/bin/sh", "-c", _SHELL, str(starts), *command]


def lines_of(starts: Path) -> list[str]:
    """Return what was written down; nothing where no rank was started."""
    return starts.read_text(encoding="utf-8").splitlines() if starts.exists() else []
