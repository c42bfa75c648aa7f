"""``forestall model verify``: whether workers of this forestall could use an artefact, and every fault that says no."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from infra.cli.options import report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall model verify``."""
    parser.epilog = """\
examples
  forestall model verify                             the one that forestall ships
  forestall model verify my-model/mlp.safetensors    before it is activated

exit codes: 0 whole and usable, 1 it has faults (each is told), 2 there is no such file"""
    parser.add_argument("artefact", metavar="ARTEFACT", nargs="?", help="a file, default or eq1 (default: default)")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Look at everything; 1 with every fault."""
    from connectors.artefacts import artefact_path

    path = artefact_path(None if options.artefact is None else Path(options.artefact))
    result = examine(path)
    faults = result["faults"]
    lines = [f"FAULT {fault}" for fault in faults] or [
        f"ok    whole, of this forestall's features, and sound: digest {result['digest']}"
    ]
    report(options, {"ok": not faults, **result}, [f"{path}", *lines])
    return 1 if faults else 0


def examine(path: Path) -> dict[str, Any]:
    """An artefact's digest and faults; raises ``WrongUse`` when there is no such file."""
    from connectors.artefacts import artefact_content, changed, feature_differences, read_artefact
    from connectors.errors import WrongUse
    from models.features import FEATURE_NAMES
    from models.limits import WINDOW_FRAMES
    from models.soundness import unsound

    content = artefact_content(path)
    try:
        predictor, stated = read_artefact(content, str(path))
    except WrongUse as wrong:
        return {"artefact": str(path), "digest": None, "faults": [str(wrong)]}
    faults = [] if predictor.digest == stated else [changed(predictor, stated)]
    faults += feature_differences(predictor, FEATURE_NAMES, WINDOW_FRAMES)
    faults += unsound(predictor)
    return {"artefact": str(path), "digest": predictor.digest, "faults": faults}
