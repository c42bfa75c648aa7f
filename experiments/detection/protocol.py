"""How detectors are scored: by rows and by events, in stream order, and without point-adjustment.

* AUC-PR: average precision of the score over the rows of the test half.
* An *episode*: an alarm latches for 60 minutes, then fires again while the score is still over. It is *true* when one
  of its exceedances falls inside an event, false otherwise.
  Ours has a latch of its own, the incident, which only recovery closes: its episodes are its incidents, true by an
  exceedance in their first 60 minutes.
* Event recall: events with an exceedance inside. Event precision: true episodes among all.
* False episodes a day: measured on the test half.

All are computed for each machine and averaged over machines. Point-adjustment (one hit marks the whole event) is not
used: with it a random score reaches a best F1 of .80 on the shared machines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

DAY_S = 86400.0
LATCH_S = 3600.0


@dataclass(frozen=True, slots=True)
class Scored:
    """How one method did on one machine."""

    auc_pr: float
    event_recall: float
    event_precision: float
    false_per_day: float


def average_precision(label: Flags, score: Doubles) -> float:
    """Area under the precision–recall curve as its step function; equal scores are one step.

    >>> average_precision(np.array([True, False, True, False]), np.array([4.0, 3.0, 2.0, 1.0]))
    0.8333333333333333
    """
    order = np.argsort(-score, kind="stable")
    ranked, score = label[order], score[order]
    last = np.append(score[1:] != score[:-1], True)
    hits, taken = np.cumsum(ranked)[last], np.flatnonzero(last) + 1
    recall = hits / label.sum()
    return float((np.diff(recall, prepend=0.0) * hits / taken).sum())


def events(label: Flags) -> list[tuple[int, int]]:
    """The runs of ``label`` as [start, end).

    >>> events(np.array([False, True, True, False, True]))
    [(1, 3), (4, 5)]
    """
    edges = np.diff(label.astype(np.int8), prepend=0, append=0)
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def episodes(over: Flags, latch: int) -> list[int]:
    """Rows at which an alarm fires that then latches for ``latch`` rows.

    >>> episodes(np.array([False, True, True, True, False, True]), 2)
    [1, 3, 5]
    """
    fired: list[int] = []
    free = 0
    for at in np.flatnonzero(over).tolist():
        if at >= free:
            fired.append(at)
            free = at + latch
    return fired


def score_machine(label: Flags, score: Doubles, over: Flags, interval_s: float, opened: Flags | None = None) -> Scored:
    """Score one method on one machine; a machine without events has NaN for all but its false episodes.

    ``opened`` marks the rows at which the method's own incidents open, where it has a latch of its own: these are its
    episodes then, each judged, as all are, by the exceedances of its first 60 minutes.
    """
    latch = max(1, round(LATCH_S / interval_s))
    fired = episodes(over, latch) if opened is None else np.flatnonzero(opened).tolist()
    true = [bool((over[at : at + latch] & label[at : at + latch]).any()) for at in fired]
    found = [bool(over[start:end].any()) for start, end in events(label)]
    days = len(label) * interval_s / DAY_S
    return Scored(
        auc_pr=average_precision(label, score) if label.any() else np.nan,
        event_recall=float(np.mean(found)) if found else np.nan,
        event_precision=float(np.mean(true)) if fired else 0.0,
        false_per_day=(len(fired) - sum(true)) / days,
    )


def lowest_threshold(score: Doubles, interval_s: float, per_day: float = 1.0) -> float:
    """The lowest threshold at which ``score`` has at most ``per_day`` episodes a day."""
    latch = max(1, round(LATCH_S / interval_s))
    most = per_day * len(score) * interval_s / DAY_S
    blocks = -(-len(score) // latch)
    padded = np.append(score, np.full(blocks * latch - len(score), -np.inf)).reshape(blocks, latch)
    best = float(score.max())
    for candidate in np.sort(padded.max(axis=1))[::-1]:
        if len(episodes(score > candidate, latch)) > most:
            break
        best = float(candidate)
    return best


def mean(scored: list[Scored]) -> dict[str, float]:
    """The figures of a method: means over machines."""
    columns = {
        "auc_pr": [s.auc_pr for s in scored],
        "event_recall": [s.event_recall for s in scored],
        "event_precision": [s.event_precision for s in scored],
        "false_episodes_per_day": [s.false_per_day for s in scored],
    }
    return {name: round(float(np.nanmean(values)), 4) for name, values in columns.items()}
