"""The files of uPlot, which draws the charts: from the package that ships them, if they are what uPlot released."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from typing import Final

from connectors.errors import Failed

PACKAGE: Final = "youplot"
#: SHA-256 of ``dist/uPlot.iife.min.js`` and ``dist/uPlot.min.css`` of uPlot 1.6.31 as its authors released it.
RELEASED: Final = {
    "uplot.iife.min.js": "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2",
    "uplot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


@cache
def chart_file(name: str) -> bytes:
    """The content of one of :data:`RELEASED`.

    Raises
    ------
    Failed
        The package is not installed, or its file is not the released one.
    """
    try:
        found = [path for path in files(PACKAGE) or () if path.name == name]
    except PackageNotFoundError:
        found = []
    if not found:
        raise Failed(
            f"the page's charts need the package {PACKAGE}, which is not installed: infra/deploy/install.sh web"
        )
    content = found[0].read_binary()
    if hashlib.sha256(content).hexdigest() != RELEASED[name]:
        raise Failed(f"{name} of the package {PACKAGE} is not what uPlot released: install the pinned version again")
    return content
