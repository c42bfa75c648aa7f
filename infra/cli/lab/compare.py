"""``forestall lab compare``: policies side by side on paired seeds."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import Failed, WrongUse
from infra.cli.lab.simulating import Stopwatch, bar, case_of, known, lab, profile_of, seed, seeds, trace_of
from infra.cli.options import number_of_nodes, report
from infra.settings import Settings

if TYPE_CHECKING:
    from experiments.failure_trace.trace import Trace
    from experiments.policy_lab.profile import Profile
    from experiments.policy_lab.runs import Runs

REFERENCE = "young"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall lab compare``."""
    parser.epilog = """\
examples
  forestall lab compare --profile llama3-16k-ample --report out   every policy at 16,384 GPUs, as a page in out/
  forestall lab compare --profile small-256 --case fa10 --policies young,hazard+break-even --seeds 2000
  forestall lab compare --profile my-cluster.toml --json          a cluster of your own
  forestall lab compare --trace faults.csv --nodes 400            real failures in place of simulated ones"""
    parser.add_argument("--profile", default="llama3-16k", metavar="NAME|FILE", help="the cluster and its job")
    parser.add_argument("--seeds", type=seeds, default=20, metavar="N", help="paired runs of each policy (default: 20)")
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="the first seed (default: 1)")
    parser.add_argument("--case", default="honest", metavar="NAME", help="how true the predictor is (default: honest)")
    parser.add_argument("--policies", metavar="A,B", help="these only (default: all)")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="failures of a log: node,t_start,t_end in seconds")
    parser.add_argument(
        "--nodes", type=number_of_nodes, default=400, metavar="N", help="fleet of the log (default 400)"
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="also write report.html and report.json there")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Simulate, compare, tell."""
    if options.report is not None and options.report.exists() and not options.report.is_dir():
        raise WrongUse(f"--report {options.report}: is a file; name a folder")
    watch = Stopwatch()
    with lab():
        profile = profile_of(options.profile)
        result = _compare(options, profile)
    result["measured_s"] = {"simulating": watch.seconds}
    written = _written(options, result)
    report(options, result, [*_lines(result), *written])
    return 0


def _compare(options: argparse.Namespace, profile: Profile) -> dict[str, Any]:
    from experiments.policy_lab import simulate
    from experiments.policy_lab.statistics import rows

    case, asked, trace = case_of(options.case), _policies(options.policies), trace_of(options.trace, options.nodes)
    policies = tuple(dict.fromkeys([REFERENCE, *asked]))
    chosen = range(options.seed, options.seed + options.seeds)
    with bar("simulate", len(policies) * len(chosen)) as progress:
        runs = simulate(profile, case, policies, chosen, trace=trace, progress=progress)
    told = {row["name"]: row for row in rows(runs, REFERENCE)}
    return {
        "profile": profile.name,
        "case": options.case,
        "seeds": options.seeds,
        "seed": options.seed,
        "trace": None if trace is None else {"file": str(options.trace), "nodes": trace.nodes, "merged": trace.merged},
        "wall_s": runs.wall_s,
        "about": _about(options, profile, runs, trace),
        "policies": [told[name] for name in asked],
        "goals": _goals(options, runs),
        "command": _command(options),
    }


def _policies(given: str | None) -> tuple[str, ...]:
    from experiments.policy_lab import POLICIES

    if given is None:
        return POLICIES
    return tuple(dict.fromkeys(known(name.strip(), POLICIES, "--policies") for name in given.split(",")))


def _goals(options: argparse.Namespace, runs: Runs) -> dict[str, dict[str, Any]]:
    from experiments.policy_lab.goals import Place, goals

    return goals({Place(options.profile, options.case, options.trace is not None): runs})


def _about(options: argparse.Namespace, profile: Profile, runs: Runs, trace: Trace | None) -> str:
    pool = "the pool never empty" if profile.spares is None else f"{profile.spares} spares"
    length = f"{options.seeds} paired seeds of {runs.wall_s / 86_400:,.1f} days"
    if trace is None:
        fleet = f"{profile.nodes:,} nodes of {profile.gpus_per_node} GPUs"
        return f"{length}; {fleet}, a failure each {profile.mtbf_s / 3600:,.2f} h in the mean, {pool}"
    faults = f"{len(trace.node)} faults on {trace.nodes} nodes of a real log"
    return f"{length}; {faults}, {pool}; seeds vary the predictor only"


def _command(options: argparse.Namespace) -> str:
    """The command that makes the same numbers again."""
    words = ["forestall", "lab", "compare", "--profile", options.profile, "--case", options.case]
    words += ["--seeds", str(options.seeds), "--seed", str(options.seed)]
    if options.policies is not None:
        words += ["--policies", options.policies]
    if options.trace is not None:
        words += ["--trace", str(options.trace), "--nodes", str(options.nodes)]
    return shlex.join(words)


def _written(options: argparse.Namespace, result: dict[str, Any]) -> list[str]:
    if options.report is None:
        return []
    from experiments.policy_lab.report import write

    try:
        return [f"report: {write(result, options.report)}"]
    except OSError as fault:
        raise Failed(f"--report {options.report}: cannot be written: {fault.strerror}") from fault


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"{result['profile']}, predictor {result['case']}: {result['about']}"
    yield f"{'policy':<24}{'waste':>9}{'saved':>10}   95 % interval"
    for row in result["policies"]:
        low, high = (100 * end for end in row["ci95"])
        waste, saved = 100 * row["waste"], 100 * row["saved_vs_young"]
        yield f"{row['name']:<24}{waste:>7.2f} %{saved:>+8.1f} %   {low:+.1f} to {high:+.1f} %"
    yield from goal_lines(result["goals"])


def goal_lines(goals: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines for people: each goal, and each of its bars."""
    for name, goal in goals.items():
        yield f"{name}: {'met' if goal['met'] else 'missed'}{'' if goal['complete'] else ', by what was measured'}"
        for part in goal.get("parts", [goal]):
            sign = "≥" if part["value"] >= part["bar"] else "<"
            yield f"  {part['value']:.3f} {sign} {part['bar']:g}  {part['what']}"
        for part in goal.get("beside", []):
            yield f"  {part['value']:.3f}  (no bar) {part['what']}"
