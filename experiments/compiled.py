"""Compiling for the lab: the functions of ``models`` and of the simulator, by numba, kept between processes.

``compiled`` marks a function that other compiled ones may call; it stays a plain Python function, so that the whole
simulator also runs without the compiler. ``entry`` compiles one that Python calls.

numba finds its cache by the file of the entry alone and does not notice that a function which it calls has changed;
so the cache lies in a folder named by the digest of the sources that are compiled in.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numba
import platformdirs
from numba.core import config
from numba.extending import register_jitable

_HERE = Path(__file__).resolve().parent
_MODELS = _HERE.parent / "models"
_FOLDERS = (_HERE / "policy_lab", _MODELS / "checkpointing", _MODELS / "recovery")
_FILES = tuple(_MODELS / name for name in ("hazard_rate.py", "lead.py", "trust.py"))
Function = TypeVar("Function", bound=Callable[..., object])


def _cache_folder() -> Path:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in (*_FILES, *sorted(one for folder in _FOLDERS for one in folder.glob("*.py"))):
        digest.update(path.read_bytes())
    chosen = os.environ.get("NUMBA_CACHE_DIR") or str(Path(platformdirs.user_cache_dir("forestall"), "numba"))
    return Path(chosen, digest.hexdigest()[:16])


config.CACHE_DIR = str(_cache_folder())


def compiled(function: Function) -> Function:
    """Let compiled functions call ``function``, which itself stays as it is."""
    registered: Function = register_jitable(function)
    return registered


def entry(function: Function) -> Function:
    """Compile ``function``, without the interpreter's lock; the plain one stays as ``.py_func``."""
    kept: Function = numba.njit(cache=True, nogil=True)(function)
    return kept
