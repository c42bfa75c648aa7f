"""``forestall model show``: what an artefact is, from what it was made, and how good it was on what it never saw."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import WrongUse
from infra.cli.options import report
from infra.settings import Settings

if TYPE_CHECKING:
    from models.mlp import Predictor

BAR = 40
_FIGURES = {
    "accuracy": "accuracy at P ≥ .5",
    "accuracy_of_never": 'accuracy of "never"',
    "auc": "ROC AUC over rows",
    "brier": "Brier score",
    "brier_of_base_rate": "Brier score of the base rate alone",
    "ece": "expected calibration error",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall model show``."""
    parser.epilog = """\
examples
  forestall model show                              the one that forestall ships
  forestall model show my-model/mlp.safetensors     with the card beside it (mlp.json)"""
    parser.add_argument("artefact", metavar="ARTEFACT", nargs="?", help="a file, default or eq1 (default: default)")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Read the artefact and the card beside it."""
    from connectors.artefacts import artefact_path, load_artefact

    path = artefact_path(None if options.artefact is None else Path(options.artefact))
    predictor = load_artefact(path)
    about = _card(path.with_suffix(".json"))
    own = about is not None and about.get("digest") == predictor.digest
    result = {"artefact": str(path), **_itself(predictor), "card": about, "card_is_its_own": own}
    report(options, result, _lines(path, predictor, about, own))
    return 0


def _itself(predictor: Predictor) -> dict[str, Any]:
    """What the artefact says of itself, without its card."""
    return {
        "digest": predictor.digest,
        "form": "logistic (Eq. 1)" if predictor.is_literal else "mlp",
        "widths": [len(predictor.feature_names), *(len(layer.bias) for layer in predictor.layers)],
        "horizon_s": predictor.horizon_s,
        "window_frames": predictor.window,
        "calibration": type(predictor.calibration).__name__,
        "provenance": dict(predictor.provenance),
    }


def _card(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as wrong:
        raise WrongUse(f"card {path}: cannot be read ({wrong})") from wrong
    if not isinstance(about, dict):
        raise WrongUse(f"card {path}: is no JSON object")
    return about


def _lines(path: Path, predictor: Predictor, about: Mapping[str, Any] | None, own: bool) -> Iterator[str]:
    itself = _itself(predictor)
    yield f"{path}"
    yield f"  digest       {predictor.digest}"
    yield f"  form         {itself['form']}, widths {' → '.join(map(str, itself['widths']))}"
    yield f"  says         P(failure within {predictor.horizon_s:g} s), from windows of {predictor.window} frames"
    yield f"  calibration  {itself['calibration']}"
    for name, text in predictor.provenance.items():
        yield f"  {name.replace('_', ' '):<12} {text}"
    if about is None:
        yield f"no card beside it ({path.with_suffix('.json').name}): its figures are not known"
    elif not own:
        yield f"the card beside it is of another artefact ({str(about.get('digest'))[:16]}…): its figures are not shown"
    else:
        yield from _parts(about.get("parts", {}))
        yield from _figures(about.get("test", {}))


def _parts(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not parts:
        return
    yield ""
    yield f"{'part':<12} {'nodes':>6} {'rows':>10} {'failures':>9} {'positive':>9}  steps"
    for name, held in parts.items():
        yield (
            f"{name:<12} {held.get('nodes', '–'):>6} {held.get('rows', 0):>10,} {held.get('failures', '–'):>9} "
            f"{held.get('positive_share', 0.0):>9.2%}  {held.get('steps', '–')}"
        )


def _figures(test: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "on the part test, which nothing was fitted or chosen on"
    intervals = test.get("ci95", {})
    for name, what in _FIGURES.items():
        if name in test:
            yield f"  {what:<44} {test[name]:>8.4f}{_interval(intervals.get(name))}"
    for group, what in (("at_threshold", "P ≥ "), ("at_budget", "at most false a node-day ")):
        for name, found in test.get(group, {}).items():
            yield f"  {what}{name}: {_alarms(found)}"
    yield from _reliability(test.get("reliability"))


def _alarms(found: Mapping[str, Any]) -> str:
    words = []
    intervals = found.get("ci95", {})
    for name, value in found.items():
        if isinstance(value, (int, float)):
            words.append(f"{name.replace('_', ' ')} {value:g}{_interval(intervals.get(name))}")
    return ", ".join(words) or "no alarm"


def _interval(bounds: Any) -> str:
    return f" [{bounds[0]:g}, {bounds[1]:g}]" if isinstance(bounds, list) and len(bounds) == 2 else ""


def _reliability(bins: Any) -> Iterator[str]:
    """A row a bin: what was said against what came; in the bar ``█`` is what came and ``|`` what was said."""
    yield ""
    if not isinstance(bins, list) or not bins:
        yield "the card holds no reliability bins: it was made by an older forestall"
        return
    yield f"calibration: {'said':>6} {'came':>6} {'rows':>10}   █ what came, | what was said"
    for one in bins:
        said, came, rows = one.get("said"), one.get("came"), one.get("rows", 0)
        if not rows or said is None or came is None:
            continue
        yield f"             {said:>6.3f} {came:>6.3f} {rows:>10,}   {bar(said, came)}"


def bar(said: float, came: float) -> str:
    """A bar of ``came`` with a mark at ``said``, both 0…1.

    >>> bar(0.5, 0.25)
    '██████████          |'
    """
    mark, full = round(said * BAR), round(came * BAR)
    cells = ["█" if place < full else " " for place in range(max(mark + 1, full))]
    cells[mark] = "|"
    return "".join(cells)
