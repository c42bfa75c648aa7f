"""Figures of timelines: recall at budgets with intervals over nodes, calibration, the precision-recall curve, leads."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from experiments.fleet.presets import USABLE_LEAD_STEPS
from experiments.prediction.plan import HORIZON
from models.training import paired
from models.training.examples import before
from models.training.scores import Alarms, Timeline, at_budget, auc, calibration_error, curve

BUDGETS: Final = (2e-3, 1e-2, 5e-2)
DRAWS: Final = 1_000
#: The budget whose alarms are told in detail.
_TOLD_AT: Final = BUDGETS[0]
_CURVE_POINTS: Final = 24
_LEAD_QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)


def labels(line: Timeline) -> NDArray[np.bool_]:
    """Whether the node fails within the horizon, of each told (step, node), in the order of ``told``."""
    step, column = np.nonzero(~np.isnan(line.probability))
    return before(line.node[column], step + line.first, (*line.failures, *line.later), HORIZON)


def figures(line: Timeline, failed: NDArray[np.bool_], seed: int) -> dict[str, Any]:
    """All figures of a predictor, as JSON values; ``failed`` as of :func:`labels`."""
    told = line.probability[~np.isnan(line.probability)].astype(np.float64)
    found = curve(line, HORIZON, 4 * max(BUDGETS), USABLE_LEAD_STEPS)
    at = {budget: at_budget(found, line, budget, HORIZON) for budget in BUDGETS}
    draws = node_draws(line, seed)
    strict = at[_TOLD_AT]
    return {
        "usable_recall": {f"{budget:g}": round(one.recall, 4) for budget, one in at.items()},
        "usable_recall_ci95": {f"{budget:g}": interval(one, line, draws) for budget, one in at.items()},
        "event_precision": round(strict.precision, 4),
        "event_precision_at": {f"{budget:g}": round(one.precision, 4) for budget, one in at.items()},
        "false_episodes": {f"{budget:g}": one.false for budget, one in at.items()},
        "threshold": {f"{budget:g}": _finite(one.threshold) for budget, one in at.items()},
        "ece": round(calibration_error(told, failed), 5),
        "brier": round(float(((told - failed) ** 2).mean()), 6),
        "auc": round(auc(told, failed), 4),
        "accuracy": round(float(((told >= 0.5) == failed).mean()), 5),
        "pr_curve": _pr(found),
        "lead_minutes": _leads(strict),
    }


def _finite(threshold: float) -> float | None:
    return round(threshold, 6) if np.isfinite(threshold) else None


def node_draws(line: Timeline, seed: int) -> NDArray[np.float64]:
    """How often each node is drawn, ``(draws, nodes)``: a bootstrap over nodes, the same for all predictors."""
    return paired.node_draws(len(line.node), DRAWS, np.random.default_rng(seed))


def interval(found: Alarms, line: Timeline, draws: NDArray[np.float64]) -> list[float]:
    """95 % interval of the usable recall: nodes drawn anew, at the same threshold (Efron and Tibshirani 1993)."""
    order = np.argsort(line.node)
    column = order[np.searchsorted(line.node[order], [node for node, _ in found.leads])]
    usable = np.array([lead >= found.usable_lead for _, lead in found.leads], np.float64)
    weights = draws[:, column]
    recall = (weights @ usable) / np.maximum(weights.sum(axis=1), 1)
    low, high = np.quantile(recall, [0.025, 0.975]).tolist()
    return [round(low, 4), round(high, 4)]


def _pr(found: list[Alarms]) -> list[dict[str, float]]:
    places = sorted(set(np.linspace(1, len(found) - 1, _CURVE_POINTS).astype(int).tolist())) if len(found) > 1 else []
    return [
        {
            "threshold": round(found[k].threshold, 6),
            "usable_recall": round(found[k].recall, 4),
            "event_precision": round(found[k].precision, 4),
            "false_per_node_day": round(found[k].false_per_day, 5),
        }
        for k in places
    ]


def _leads(found: Alarms) -> dict[str, float]:
    """Quantiles of the usable leads, in minutes."""
    if not found.usable:
        return {}
    values = np.quantile(found.usable, _LEAD_QUANTILES)
    return {f"p{100 * q:g}": round(float(v), 1) for q, v in zip(_LEAD_QUANTILES, values, strict=True)}
