"""``forestall lab ablate``: which groups of metrics, and which normalisation, the predictor needs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from infra.cli.lab.predict import bars
from infra.cli.lab.simulating import Stopwatch, lab, seed
from infra.cli.options import report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall lab ablate``."""
    parser.epilog = """\
examples
  forestall lab ablate                  each group of metrics left out, under each of three normalisations
  forestall lab ablate --json --seed 2  other fleets, for a program
  forestall lab ablate --quick          that it works, in seconds; its figures mean nothing"""
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="of fleets and fitting (default: 1)")
    parser.add_argument("--quick", action="store_true", help="two groups of a fleet too small to judge by: a trial")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Watch, fit without each group, judge, tell."""
    watch = Stopwatch()
    with lab():
        result = _result(options)
    result["measured_s"] = {"whole": watch.seconds}
    report(options, result, _lines(result))
    return 0


def _result(options: argparse.Namespace) -> dict[str, Any]:
    from experiments.prediction import ablation as study
    from experiments.prediction.plan import HORIZON

    plan = replace(study.QUICK if options.quick else study.FULL, seed=options.seed)
    groups = study.GROUPS[:1] if options.quick else study.GROUPS
    with bars(study.stages(plan, groups)) as progress:
        rows, line = study.ablation(plan, progress, groups)
    return {
        "seed": plan.seed,
        "node_days": round(line.days, 1),
        "failures": len(line.failures),
        "horizon_s": HORIZON * 60,
        "budget": study.BUDGET,
        "normalisations": {
            "adaptive": "the node's own units, against a baseline that follows it (the pipeline's)",
            "own": "the node's own units, as its first hour set them",
            "fleet": "mean and standard deviation of the whole fleet",
        },
        "rows": rows,
    }


def _lines(result: dict[str, Any]) -> list[str]:
    head = (
        f"{result['node_days']:,.0f} node-days, {result['failures']} failures; usable recall at at most "
        f"{result['budget']:g} false episodes a node-day"
    )
    rows = [
        f"{row['normalisation']:<9} without {row['dropped'] or 'nothing':<14} recall {row['usable_recall']:.3f} "
        f"[{row['usable_recall_ci95'][0]:.3f}, {row['usable_recall_ci95'][1]:.3f}]  ece {row['ece']:.4f}  "
        f"auc {row['auc']:.3f}"
        for row in result["rows"]
    ]
    return [head, *rows]
