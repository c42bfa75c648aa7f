"""The card of an artefact: what it is, from what it was made, how good it is, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.mlp import Predictor

_OF_A_SIMULATION: Final = """\
The simulated fleet lives faster than a real one: it is sampled once a second, and the median lead from the first sign
to the failure is 72 s where operators report minutes. Rates and horizon hold for intervals, whatever their length.
Probabilities are calibrated for a fleet as faulty as the one named above, which is far more than a real one.
"""
_OF_A_HISTORY: Final = """\
Learned from recorded telemetry and the failures that were told of its nodes. It holds for fleets like that one, at its
sampling interval; probabilities are calibrated for nodes that fail as often.
"""
_SUDDEN: Final = """\
About four failures in ten come without any sign, so no predictor can foresee many more than six in ten.
"""
_NOT_REAL: Final = """
All figures are of simulated faults; none says how this predictor does on a real fleet.
"""


def card(predictor: Predictor, parts: Mapping[str, Mapping[str, Any]], figures: Mapping[str, Any]) -> dict[str, Any]:
    """The card as JSON values, from the predictor, what its parts hold and its figures on the part ``test``."""
    widths = [len(predictor.feature_names), *(len(layer.bias) for layer in predictor.layers)]
    return {
        "digest": predictor.digest,
        "form": "logistic (Eq. 1)" if predictor.is_literal else "mlp",
        "widths": widths,
        "horizon_s": predictor.horizon_s,
        "window_frames": predictor.window,
        "calibration": "folded into the weights" if predictor.is_literal else type(predictor.calibration).__name__,
        **predictor.provenance,
        "parts": {name: dict(held) for name, held in parts.items()},
        "test": dict(figures),
    }


def markdown(about: Mapping[str, Any], name: str) -> str:
    """The card as a page for people."""
    test = about["test"]
    simulated = str(about["data"]).startswith("simulated")
    parts = "\n".join(
        f"| {part} | {held['nodes']} | {held['steps']} | {held['rows']:,} | {held['failures']} "
        f"| {held['positive_share']:.2%} |"
        for part, held in about["parts"].items()
    )
    return f"""# Model card: {name}

P(a node fails within {about["horizon_s"]:g} s), from {about["widths"][0]} features of a window of \
{about["window_frames"]} frames.

| | |
|---|---|
| form | {about["form"]}, widths {" → ".join(map(str, about["widths"]))} |
| digest | `{about["digest"]}` |
| calibration | {about["calibration"]} |
| data | {about["data"]} |
| split | {about["split"]} |
| seed | {about["seed"]} |
| made with | {about["made_with"]} |
| made again by | `{about["regenerate"]}` |

{_OF_A_SIMULATION if simulated else _OF_A_HISTORY}
## Data

| part | nodes | steps | rows | failures | positive rows |
|---|---|---|---|---|---|
{parts}

No node and no time is in two parts. Features are those of the pipeline's own operator. The weights were fitted on
*train*, the fitting was stopped by *validation*, the probabilities were calibrated on *calibration*; *test* was looked
at once, for the figures below.

## Figures on the part *test*

| figure | value |
|---|---|
| accuracy at P ≥ .5 | {test["accuracy"]:.4f} |
| accuracy of "never" | {test["accuracy_of_never"]:.4f} |
| ROC AUC over rows | {test["auc"]:.3f}{_interval(test, "auc")} |
| Brier score (of the base rate alone) | {test["brier"]:.4f}{_interval(test, "brier")} \
({test["brier_of_base_rate"]:.4f}) |
| expected calibration error | {test["ece"]:.4f}{_interval(test, "ece")} |

{_SUDDEN if simulated else ""}\
An alarm opens after 3 frames over the threshold and lasts until 30 are under it. Recall counts failures with an alarm
at least 12 intervals ahead. A day is 1,440 intervals; {test["node_days"]:g} node-days with \
{test["failures"]} failures were tested.

| alarms | threshold | usable recall | precision | false episodes a node-day | median lead, intervals |
|---|---|---|---|---|---|
{_rows("P ≥ ", test["at_threshold"])}
{_rows("at most false a node-day ", test["at_budget"])}
{_calibration(test)}{_NOT_REAL if simulated else ""}"""


def _interval(test: Mapping[str, Any], name: str) -> str:
    """The 95 % interval of a figure, over nodes; nothing where the card has none."""
    bounds = test.get("ci95", {}).get(name)
    return "" if bounds is None else f" [{bounds[0]:g}, {bounds[1]:g}]"


def _calibration(test: Mapping[str, Any]) -> str:
    """A row for each bin of the reliability that holds any; nothing where the card has none."""
    bins = [one for one in test.get("reliability", ()) if one["rows"]]
    if not bins:
        return ""
    rows = "\n".join(f"| {one['said']:.3f} | {one['came']:.3f} | {one['rows']:,} |" for one in bins)
    return f"\n## Calibration\n\n| P that was said | share that failed | rows |\n|---|---|---|\n{rows}\n"


def _rows(what: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    def cell(value: float | None) -> str:
        return "–" if value is None else f"{value:g}"

    return "\n".join(
        f"| {what}{name} | " + " | ".join(cell(value) for value in figures.values()) + " |"
        for name, figures in found.items()
    )
