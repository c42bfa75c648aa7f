"""``forestall drill``: a real training job is killed again and again, under static Young and under forestall."""

from __future__ import annotations

import argparse
import sys

from connectors.errors import WrongUse
from infra import clock
from infra.cli.options import report
from infra.settings import Settings

KILLS_MAX = 200
RANKS_MAX = 16
_EXAMPLES = """\
examples
  forestall drill                                      3 kills of a small GPT under torch, six minutes
  forestall drill --job torch --ranks 4 --kills 20 --json
  forestall drill --job numpy --kills 2                without torch

The job trains under real cluster agents on brokers of its own, once under static Young and once under forestall, by the
same script: a node's telemetry goes bad, or not, and some seconds later the node dies by kill -9; it comes back as a
spare. A third run is never killed. Exit code 1: something that must hold did not."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall drill``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--job", choices=("torch", "numpy"), default="torch", help="what trains (default torch)")
    parser.add_argument("--ranks", type=int, default=4, metavar="N", help="processes of the job (default 4)")
    parser.add_argument("--kills", type=int, default=3, metavar="N", help="nodes that die (default 3)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="of the script (default 7)")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run both arms and the unkilled run, and report."""
    _check_use(options, settings)
    from infra.drill.report import faults_of, lines_of
    from infra.drill.run import DrillPlan
    from infra.drill.run import run as run_drill
    from infra.up.terminal import Terminal
    from infra.wiring import served_predictor

    served_predictor(settings)
    terminal = Terminal(to_stderr=True, monotonic=clock.monotonic)
    plan = DrillPlan(job=options.job, ranks=options.ranks, kills=options.kills, seed=options.seed)
    result = run_drill(plan, settings, terminal)
    report(options, result, lines_of(result))
    faults = faults_of(result)
    for fault in faults:
        print(f"forestall: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _check_use(options: argparse.Namespace, settings: Settings) -> None:
    if not 1 <= options.kills <= KILLS_MAX:
        raise WrongUse(f"--kills {options.kills}: 1 to {KILLS_MAX}")
    if not 2 <= options.ranks <= RANKS_MAX:
        raise WrongUse(f"--ranks {options.ranks}: 2 to {RANKS_MAX}")
    if settings.broker.brokers:
        raise WrongUse("--brokers: a drill kills processes and runs on brokers of its own; leave it out")
