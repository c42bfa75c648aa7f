"""Our detector beside its peers on a folder, in two processes: ours in the one, the peers in the other."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

import numpy as np

from experiments.detection.folder import Folder, Machine
from experiments.detection.ours import Run, fit_rows, watch
from experiments.detection.peers import scores
from experiments.detection.protocol import (
    DAY_S,
    Scored,
    events,
    lowest_threshold,
    mean,
    score_machine,
)
from experiments.detection.trials import KINDS, lasting, span, summary

OURS: Final = "forestall"
Progress = Callable[[int], None]


def compare(folder: Folder, seed: int = 1, progress: Progress = lambda done: None) -> dict[str, Any]:
    """Score every method on every machine, and ours in both trials; the figures are means over machines.

    ``progress`` is told how many rows have been taken in all, of :func:`work`.
    """
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as beside:
        peers = [beside.submit(_peers, machine, folder.interval_s, seed) for machine in folder.machines]
        done = 0

        def count(rows: int) -> None:
            nonlocal done
            done += rows
            progress(done)

        runs = watch(folder.machines, folder.interval_s, count)
        methods = _methods([_ours(run, folder.interval_s) for run in runs], [future.result() for future in peers])
    return {
        "folder": folder.name,
        "interval_s": folder.interval_s,
        "machines": [run.machine.name for run in runs],
        "events": sum(len(events(run.machine.label)) for run in runs),
        "machine_days": round(sum(len(m.label) for m in folder.machines) * folder.interval_s / DAY_S, 2),
        "methods": methods,
        "lasting": _lasting(runs, folder.interval_s),
        "false_by_the_hour_per_day": round(float(np.mean([_hourly(run, folder.interval_s) for run in runs])), 4),
        "quiet_false_per_day": round(float(np.mean([_quiet(run, folder.interval_s) for run in runs])), 4),
    }


def _ours(run: Run, interval_s: float) -> Scored:
    told = run.test
    return score_machine(run.machine.label, told.score.astype(np.float64), told.alarm, interval_s, told.opened)


def _hourly(run: Run, interval_s: float) -> float:
    """Our false episodes a day if an incident that is open did not keep the next exceedances from firing."""
    told = run.test
    return score_machine(run.machine.label, told.score.astype(np.float64), told.alarm, interval_s).false_per_day


def _peers(machine: Machine, interval_s: float, seed: int) -> dict[str, Scored]:
    fit, learned = fit_rows(machine), len(machine.train.values)
    found = {}
    for name, score in scores(machine, fit, interval_s, seed).items():
        test = score[learned:]
        over = test > lowest_threshold(score[fit:learned], interval_s)
        found[name] = score_machine(machine.label, test, over, interval_s)
    return found


def _methods(ours: list[Scored], peers: list[dict[str, Scored]]) -> list[dict[str, Any]]:
    methods = {OURS: ours} | {name: [found[name] for found in peers] for name in peers[0]}
    return [{"name": name} | mean(scored) for name, scored in methods.items()]


def _lasting(runs: list[Run], interval_s: float) -> dict[str, float]:
    return summary(
        {
            kind: [lasting(run.faulty[kind].incident, span(run.machine, interval_s), kind, interval_s) for run in runs]
            for kind in KINDS
        }
    )


def _quiet(run: Run, interval_s: float) -> float:
    """Incidents a day in the rest of the train half, with what its first 70 % taught."""
    rest = run.train.opened[fit_rows(run.machine) :]
    return int(rest.sum()) / (len(rest) * interval_s / DAY_S)


def work(folder: Folder) -> int:
    """How many rows the detector takes, machines side by side counted once if they all have one shape."""
    return max(len(m.train.values) for m in folder.machines) + max(len(m.test.values) for m in folder.machines)
