"""``forestall lab predict``: the predictor beside its peers and the ceiling, on nodes and times never seen."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infra.cli.lab.simulating import Stopwatch, lab, seed
from infra.cli.options import report
from infra.settings import Settings

if TYPE_CHECKING:
    from experiments.prediction.study import Progress


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall lab predict``."""
    parser.epilog = """\
examples
  forestall lab predict                  over 5,000 node-days of test, in some minutes on two cores
  forestall lab predict --json --seed 2  other fleets, for a program
  forestall lab predict --quick          that it works, in seconds; its figures mean nothing"""
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="of fleets and fitting (default: 1)")
    parser.add_argument("--quick", action="store_true", help="a fleet too small to judge by: a trial in seconds")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Watch, fit, judge, tell."""
    watch = Stopwatch()
    with lab():
        result = _result(options)
    result["measured_s"] = {"whole": watch.seconds}
    report(options, result, _lines(result))
    return 0


def _result(options: argparse.Namespace) -> dict[str, Any]:
    from experiments.prediction.figures import figures, labels
    from experiments.prediction.plan import FULL, QUICK
    from experiments.prediction.study import stages, study
    from experiments.prediction.told import told

    plan = replace(QUICK if options.quick else FULL, seed=options.seed)
    with bars(stages(plan)) as progress:
        lines, held = study(plan, progress)
        failed = labels(next(iter(lines.values())))
        found = {name: figures(line, failed, plan.seed) for name, line in lines.items()}
    return told(plan, held, lines, failed, found)


@contextmanager
def bars(stages: dict[str, int]) -> Iterator[Progress]:
    """A bar on stderr for each stage of a study."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True)) as bars:
        tasks = {stage: bars.add_task(stage, total=work) for stage, work in stages.items()}
        yield lambda stage, done: bars.advance(tasks[stage], done)


def _lines(result: dict[str, Any]) -> list[str]:
    days, never = result["node_days"], result["never_accuracy"]
    rows = [_line(one) for one in (*result["models"], {"name": "ceiling", **result["ceiling"]})]
    return [
        f"{days:,.0f} node-days never seen, {result['failures']} failures; accuracy of 'never' {never:.4f}",
        "usable recall at at most so many false episodes a node-day, [95 % interval]",
        *rows,
    ]


def _line(one: dict[str, Any]) -> str:
    cells = []
    for budget, value in one["usable_recall"].items():
        low, high = one["usable_recall_ci95"][budget]
        cells.append(f"{budget}: {value:.3f} [{low:.3f}, {high:.3f}]")
    return (
        f"{one['name']:<11} {'  '.join(cells)}  precision {one['event_precision']:.2f}  ece {one['ece']:.4f}  "
        f"accuracy {one['accuracy']:.4f}"
    )
