"""``forestall lab detect``: the detector against its peers on a folder of real telemetry."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.cli.lab.simulating import Stopwatch, bar, lab, reading, seed
from infra.cli.options import report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall lab detect``."""
    parser.epilog = """\
examples
  forestall lab detect --data ../shared/data/smd        every method on 13 servers, and the two trials
  forestall lab detect --data my-fleet --json           a folder of your own, for a program

the folder holds, for each machine, NAME.train.csv.gz and NAME.test.csv.gz (columns t, the metrics, and in the test half
label) and NAME.events.csv (start,end); dataset.toml gives interval_s, the seconds between two rows"""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder of labelled telemetry")
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="of isolation forest and random (default: 1)")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Read, learn, score, tell."""
    watch = Stopwatch()
    with lab():
        result = _detect(options)
    result["seed"] = options.seed
    result["measured_s"] = {"detecting": watch.seconds}
    report(options, result, _lines(result))
    return 0


def _detect(options: argparse.Namespace) -> dict[str, Any]:
    from experiments.detection import compare, machine_names, read_folder, work

    with reading():
        names = machine_names(options.data)
        with bar("read", len(names)) as progress:
            folder = read_folder(options.data, progress)
    with bar("detect", work(folder)) as progress:
        return compare(folder, options.seed, progress)


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{result['folder']}: {len(result['machines'])} machines, {result['events']} events in "
        f"{result['machine_days']:g} machine-days, a row each {result['interval_s']:g} s; no point-adjustment"
    )
    yield ""
    yield f"{'method':<30}{'AUC-PR':>8}{'recall':>8}{'precision':>11}{'false a day':>13}"
    for method in result["methods"]:
        yield (
            f"{method['name']:<30}{method['auc_pr']:>8.3f}{method['event_recall']:>8.2f}"
            f"{method['event_precision']:>11.2f}{method['false_episodes_per_day']:>13.2f}"
        )
    lasting = result["lasting"]
    yield ""
    yield (
        f"a lasting fault: an incident {lasting['step_hours']:.2f} h after a step, {lasting['ramp_hours']:.2f} h after "
        f"a ramp begins; {lasting['incidents']:g} incident(s), open for {lasting['covered']:.1%} of what remains"
    )
    yield f"a quiet fleet: {result['quiet_false_per_day']:.2f} false episodes a machine-day"
