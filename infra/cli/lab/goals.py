"""``forestall lab goals``: the goals G1 to G7, all in one run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cli.lab.compare import goal_lines
from infra.cli.lab.simulating import Stopwatch, bar, lab, profile_of, seed, trace_of
from infra.cli.options import number_of_nodes, report
from infra.settings import Settings

if TYPE_CHECKING:
    from experiments.failure_trace.trace import Trace
    from experiments.policy_lab.goals import Place
    from experiments.policy_lab.runs import Runs
    from infra.cli.lab.simulating import Progress

#: Seeds at 16,384 GPUs, where a run sees some 470 failures, and at 256, where it sees a dozen; of a trial as well.
SEEDS, SEEDS_SMALL = 100, 2000
SHORT, SHORT_SMALL = 10, 200


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall lab goals``."""
    parser.epilog = """\
examples
  forestall lab goals --trace faults.csv           all seven, in a few minutes on two cores
  forestall lab goals --short                      a trial in seconds; G2 needs a trace"""
    parser.add_argument("--trace", type=Path, metavar="FILE", help="failures of a log, for G2: node,t_start,t_end")
    parser.add_argument(
        "--nodes", type=number_of_nodes, default=400, metavar="N", help="fleet of the log (default 400)"
    )
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="the first seed (default: 1)")
    parser.add_argument("--short", action="store_true", help="a tenth of the seeds: a trial, not to quote")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Simulate every place that has a bar, and tell each goal."""
    watch = Stopwatch()
    with lab():
        from experiments.policy_lab.goals import goals, places

        trace = trace_of(options.trace, options.nodes)
        chosen = [place for place in places() if trace is not None or not place.traced]
        with bar("simulate", sum(_runs(options, place) for place in chosen)) as progress:
            measured = _measure(options, chosen, trace, progress)
        told = goals(measured)
    seeds = {"16k": len(_seeds(options, "16k")), "small": len(_seeds(options, "small"))}
    about = None if trace is None else {"file": str(options.trace), "nodes": trace.nodes, "merged": trace.merged}
    result = {"goals": told, "seeds": seeds, "seed": options.seed, "trace": about}
    result["measured_s"] = {"simulating": watch.seconds}
    report(options, result, goal_lines(told))
    return 0


def _seeds(options: argparse.Namespace, profile: str) -> range:
    few = SHORT if options.short else SEEDS
    many = SHORT_SMALL if options.short else SEEDS_SMALL
    return range(options.seed, options.seed + (many if profile.startswith("small") else few))


def _measure(
    options: argparse.Namespace, places: Sequence[Place], trace: Trace | None, progress: Progress
) -> dict[Place, Runs]:
    """The runs of each place, on paired seeds."""
    from experiments.policy_lab import simulate
    from experiments.policy_lab.cases import CASES
    from experiments.policy_lab.goals import policies_at

    measured, done = {}, 0
    for place in places:
        measured[place] = simulate(
            profile_of(place.profile),
            CASES[place.case],
            policies_at(place),
            _seeds(options, place.profile),
            trace=trace if place.traced else None,
            progress=_after(done, progress),
        )
        done += _runs(options, place)
    return measured


def _runs(options: argparse.Namespace, place: Place) -> int:
    """How many runs a place takes."""
    from experiments.policy_lab.goals import policies_at

    return len(policies_at(place)) * len(_seeds(options, place.profile))


def _after(done: int, progress: Progress) -> Progress:
    return lambda more: progress(done + more)
