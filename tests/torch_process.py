"""Processes that import torch, in tests: with compiled modules, which halves the seconds that takes."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "sdk" / "examples"


def environment(**more: str) -> Mapping[str, str]:
    """Return the environment of such a process; where no byte code is written, it is kept in a temporary folder."""
    told = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    if sys.dont_write_bytecode:
        del told["PYTHONDONTWRITEBYTECODE"]
        told["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / f"forestall-compiled-{os.getuid()}")
    return told
