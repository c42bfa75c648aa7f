"""Two trials of what the labels of a folder cannot show: a fault that lasts, and a fleet in which nothing happens."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.detection.folder import Machine

Doubles = NDArray[np.float64]

KINDS: Final = ("step", "ramp")
SD: Final = 10.0  # size of the lasting fault, in standard deviations of the train half
METRICS: Final = 6  # of largest interquartile range in the train half
BEGINS: Final = 0.25  # of the test half
LASTS_S: Final = 4 * 86400.0
RAMP_S: Final = 86400.0  # until the ramp has its full size
DUE_S: Final = {"step": 3600.0, "ramp": 6 * 3600.0}  # an incident should be open by then


def span(machine: Machine, interval_s: float) -> slice:
    """Rows of the test half during which the fault lasts."""
    begins = int(BEGINS * len(machine.test.values))
    return slice(begins, min(begins + round(LASTS_S / interval_s), len(machine.test.values)))


def inject(machine: Machine, kind: str, interval_s: float) -> Doubles:
    """The test half with a lasting fault: 10 sd on the 6 metrics of largest IQR, at once or risen over 24 h."""
    train, values = machine.train.values, machine.test.values.copy()
    known = np.flatnonzero(~np.isnan(train).all(axis=0))
    first, third = np.nanpercentile(train[:, known], [25, 75], axis=0)
    chosen = known[np.argsort(-(third - first), kind="stable")[:METRICS]]
    during = span(machine, interval_s)
    age = (np.arange(during.stop - during.start) + 1) * interval_s
    size = np.ones(len(age)) if kind == "step" else np.minimum(age / RAMP_S, 1.0)
    values[during, chosen] += size[:, None] * SD * np.nanstd(train[:, chosen], axis=0)
    return values


def lasting(incident: NDArray[np.int64], during: slice, kind: str, interval_s: float) -> dict[str, float]:
    """How a lasting fault was told.

    ``hours``: until an incident was open (the whole span when none ever was). ``covered``: the share of the time from
    when one was due (1 h after a step, 6 h after a ramp began) to the fault's end in which one was open. ``incidents``:
    how many different ones were open at some time. ``open_before``: whether one was open already.
    """
    told = incident[during]
    open_ = np.flatnonzero(told)
    due = min(round(DUE_S[kind] / interval_s), len(told) - 1)
    return {
        "hours": float(open_[0] if len(open_) else len(told)) * interval_s / 3600.0,
        "covered": float((told[due:] > 0).mean()),
        "incidents": float(len(np.unique(told[told > 0]))),
        "open_before": float(during.start > 0 and incident[during.start - 1] > 0),
    }


def summary(found: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """Medians over machines; of both kinds of fault the worse for ``covered`` and ``incidents``."""
    median = {
        kind: {name: float(np.median([each[name] for each in of_kind])) for name in of_kind[0]}
        for kind, of_kind in found.items()
    }
    incidents = [median[kind]["incidents"] for kind in KINDS]
    return {
        "step_hours": round(median["step"]["hours"], 3),
        "ramp_hours": round(median["ramp"]["hours"], 3),
        "covered": round(min(median[kind]["covered"] for kind in KINDS), 4),
        "incidents": max(incidents, key=lambda count: abs(count - 1.0)),
        "open_before": round(float(np.mean([each["open_before"] for each in found["step"]])), 4),
    }
