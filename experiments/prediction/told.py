"""The study's result as JSON values, with what one must know to read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.fleet.presets import USABLE_LEAD_STEPS
from experiments.prediction.figures import BUDGETS
from experiments.prediction.plan import HORIZON, Plan
from experiments.prediction.predictors import NAMES
from experiments.prediction.watching import CEILING
from models.training.scores import CLOSE_FRAMES, OPEN_FRAMES, Timeline


def told(
    plan: Plan,
    held: Mapping[str, Any],
    lines: Mapping[str, Timeline],
    failed: NDArray[np.bool_],
    found: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What ``forestall lab predict --json`` prints, but for measured seconds."""
    line = lines[CEILING]
    return {
        "seed": plan.seed,
        "split": {"how": f"by node and by time, {plan.gap} minutes between the parts", **plan.said()},
        "trained": "in this run, all predictors on the same rows: a fleet in which far more goes wrong, "
        "what the ceiling says of its rows as the target, calibrated on nodes of the fleet that is judged",
        "parts": dict(held),
        "rule": f"an alarm opens after {OPEN_FRAMES} frames at or over the threshold and closes after {CLOSE_FRAMES} "
        f"under half of it; it is false when its node does not fail until {HORIZON} minutes after its last frame; a "
        f"failure is foreseen in time when its alarm opened at least {USABLE_LEAD_STEPS} minutes before",
        "horizon_s": HORIZON * 60,
        "budgets": list(BUDGETS),
        "node_days": round(line.days, 1),
        "failures": len(line.failures),
        "false_episodes": {name: found[name]["false_episodes"] for name in (*NAMES, CEILING)},
        "never_accuracy": round(float(1 - failed.mean()), 5),
        "models": [{"name": name, **found[name]} for name in NAMES],
        "ceiling": dict(found[CEILING]),
    }
