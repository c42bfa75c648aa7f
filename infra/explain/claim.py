"""Why P was what it was at a frame: what each feature gave, which metrics stand behind them, and odd transitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from infra.explain.watching import HEALTHY_FRAMES, Metric, Shown
from models.explaining.contributions import contributions
from models.explaining.sources import NOBODY
from models.explaining.transitions import Transition
from models.features import columns_of

Doubles = NDArray[np.float64]

#: What a feature that no single metric shows is put down to.
OF_NODE: Final = "node"
#: A metric's own value is told to so many digits: it was kept as float32.
DIGITS: Final = 6
#: Features that are named beside a metric.
NAMED: Final = 3


def claim(node: str, shown: Shown) -> dict[str, Any]:
    """The part of an explanation that is about P."""
    predictor = shown.predictor
    columns = columns_of(predictor.feature_names)
    features = shown.features[columns].astype(np.float64)
    baseline, about = _baseline(node, shown, columns)
    given = contributions(predictor, features, baseline)
    logits = predictor.logit(np.stack([features, baseline]))
    told = predictor.calibration(logits)
    metrics = [_metric(shown, int(source)) for source in shown.sources[columns]]
    rows: list[dict[str, Any]] = [
        {"metric": metric, "feature": name, "value": float(value), "baseline": float(usual), "contribution": float(c)}
        for metric, name, value, usual, c in zip(
            metrics, predictor.feature_names, features, baseline, given, strict=True
        )
    ]
    rows.sort(key=lambda row: (-abs(row["contribution"]), row["feature"]))
    return {
        "probability": float(told[0]),
        "model": predictor.digest,
        "baseline": about | {"probability": float(told[1]), "logit": float(logits[1])},
        "contributions": rows,
        "metrics": _by_metric(rows, shown.metrics),
        "logit_difference": float(logits[0] - logits[1]),
        "transitions": [_transition(one) for one in shown.transitions],
    }


def _baseline(node: str, shown: Shown, columns: NDArray[np.intp]) -> tuple[Doubles, dict[str, Any]]:
    """The node's own ordinary state, where it was seen healthy for long enough; else what the model was trained on."""
    count = len(shown.healthy)
    if count >= HEALTHY_FRAMES[0]:
        usual = np.median(shown.healthy[:, columns].astype(np.float64), axis=0)
        return usual, {"of": "node", "frames": count, "what": f"median of {count} healthy frames of {node} before"}
    what = f"mean of what the model was trained on: {node} was seen healthy for {count} frames only"
    return shown.predictor.mean.astype(np.float64), {"of": "model", "frames": count, "what": what}


def _metric(shown: Shown, source: int) -> str:
    return OF_NODE if source == NOBODY else shown.metrics[source].name


def _by_metric(rows: Sequence[dict[str, Any]], metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """What each metric gave in all, the largest first, with its value now and what is usual for the node."""
    known = {metric.name: metric for metric in metrics}
    given: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["contribution"]:
            given.setdefault(row["metric"], []).append(row)
    told = [
        {
            "metric": name,
            **_measured(known.get(name)),
            "contribution": sum(row["contribution"] for row in own),
            "features": [row["feature"] for row in own[:NAMED]],
        }
        for name, own in given.items()
    ]
    return sorted(told, key=lambda one: -abs(one["contribution"]))


def _measured(metric: Metric | None) -> dict[str, Any]:
    """Its unit, value now, usual value, the value farthest from that of late, and how far that is."""
    numbers = ("value", "usual", "extreme", "z")
    if metric is None:
        return {"unit": ""} | dict.fromkeys(numbers)
    return {"unit": metric.unit} | {name: _rounded(getattr(metric, name)) for name in numbers}


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None


def _transition(one: Transition) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "at": one.at,
        "from": one.source,
        "to": one.target,
        "p": one.p,
        "from_range": [None if end is None else _rounded(end) for end in one.source_range],
        "to_range": [None if end is None else _rounded(end) for end in one.target_range],
    }
