"""``forestall drill``: a real training job is killed again and again, under static Young and under forestall."""

from __future__ import annotations

import argparse
import sys

from connectors.errors import WrongUse
from infra import clock
from infra.cli.options import report
from infra.settings import Settings

KILLS, KILLS_MAX = 3, 200
RANKS_MAX = 16
_EXAMPLES = """\
examples
  forestall drill                                      3 kills of a small GPT under torch, six minutes
  forestall drill --job torch --ranks 4 --kills 20 --json
  forestall drill --job numpy --kills 2                without torch
  forestall drill --elastic                            no spare: four ranks, then three, then four again

The job trains under real cluster agents on brokers of its own, once under static Young and once under forestall, by the
same script: a node's telemetry goes bad, or not, and some seconds later the node dies by kill -9; it comes back as a
spare. A third run is never killed. Exit code 1: something that must hold did not."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall drill``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--job", choices=("torch", "numpy"), default="torch", help="what trains (default torch)")
    parser.add_argument("--ranks", type=int, default=4, metavar="N", help="processes of the job (default 4)")
    parser.add_argument("--kills", type=int, metavar="N", help="nodes that die (default 3)")
    parser.add_argument(
        "--elastic", action="store_true", help="no spare: one dies, the job goes on smaller, grows back"
    )
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="of the script (default 7)")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run the drill, and report."""
    kills = KILLS if options.kills is None else options.kills
    _check_use(options, kills, settings)
    from infra.drill import report as told
    from infra.drill.run import DrillPlan, run_elastic
    from infra.drill.run import run as run_arms
    from infra.up.terminal import Terminal
    from infra.wiring import served_predictor

    served_predictor(settings)
    terminal = Terminal(to_stderr=True, monotonic=clock.monotonic)
    plan = DrillPlan(job=options.job, ranks=options.ranks, kills=kills, seed=options.seed)
    if options.elastic:
        result = run_elastic(plan, settings, terminal)
        lines, faults = told.elastic_lines(result), told.elastic_faults(result, plan.ranks)
    else:
        result = run_arms(plan, settings, terminal)
        lines, faults = told.lines_of(result), told.faults_of(result)
    report(options, result, lines)
    for fault in faults:
        print(f"forestall: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _check_use(options: argparse.Namespace, kills: int, settings: Settings) -> None:
    if not 1 <= kills <= KILLS_MAX:
        raise WrongUse(f"--kills {kills}: 1 to {KILLS_MAX}")
    if not 2 <= options.ranks <= RANKS_MAX:
        raise WrongUse(f"--ranks {options.ranks}: 2 to {RANKS_MAX}")
    if options.elastic and options.kills is not None:
        raise WrongUse("--kills: with --elastic one node dies; leave one of them out")
    if settings.broker.brokers:
        raise WrongUse("--brokers: a drill kills processes and runs on brokers of its own; leave it out")
