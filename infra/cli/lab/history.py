"""``forestall lab history``: what a fleet's past faults foretell of its next ones, and what knowing that saves."""

from __future__ import annotations

import argparse
import platform
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import WrongUse
from infra.cli.lab.simulating import Stopwatch, bar, lab, profile_of, reading, seed, seeds, trace_of
from infra.cli.options import number_of_nodes, report
from infra.settings import Settings

if TYPE_CHECKING:
    from experiments.failure_trace.trace import Trace

NODES, SEEDS, SEED = 400, 6, 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall lab history``."""
    parser.epilog = """\
examples
  forestall lab history --trace faults.csv                    the shipped shape on your log: node,t_start,t_end in s
  forestall lab history --trace faults.csv --nodes 2048       the fleet that the log is of; others never fail
  forestall lab history --trace faults.csv --fit mine.json    a shape of your own, fitted to the whole log
  forestall lab history --trace later.csv --shape mine.json   and how it does on a later one"""
    parser.add_argument("--trace", type=Path, required=True, metavar="FILE", help="the fault log, CSV or gzip of it")
    parser.add_argument("--nodes", type=number_of_nodes, default=NODES, help=f"size of the fleet (default: {NODES})")
    parser.add_argument(
        "--spares", type=_spares, metavar="N", help="nodes the job does not hold (default: never waits)"
    )
    parser.add_argument("--profile", default="llama3-16k-ample", metavar="NAME|FILE", help="what C, W, D and R are")
    parser.add_argument("--shape", type=Path, metavar="FILE", help="a shape in place of the shipped one")
    parser.add_argument(
        "--fit", type=Path, metavar="FILE", help="fit a shape to the whole log, write it, score nothing"
    )
    parser.add_argument("--seeds", type=seeds, default=SEEDS, help=f"runs of each policy (default: {SEEDS})")
    parser.add_argument("--seed", type=seed, default=SEED, help=f"the first of them (default: {SEED})")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Read the log, score the shape forward in time (or fit one), print."""
    with lab():
        trace = trace_of(options.trace, options.nodes)
        if trace is None:
            raise WrongUse("--trace FILE: name a fault log")
        _check(options, trace)
        result = _fit(options, trace) if options.fit else _score(options, trace)
    report(options, result, _fitted(result) if options.fit else _lines(result))
    return 0


def _spares(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of spares; 0 or more")
    return int(text)


def _check(options: argparse.Namespace, trace: Trace) -> None:
    from experiments.failure_trace.report import FAULTS_MIN

    if len(trace.node) < FAULTS_MIN:
        raise WrongUse(f"{options.trace}: {len(trace.node)} faults show nothing; name a log of at least {FAULTS_MIN}")
    if options.spares is not None and options.spares >= options.nodes:
        raise WrongUse(f"--spares {options.spares}: the fleet has {options.nodes} nodes, and the job needs one of them")
    if options.fit and options.shape:
        raise WrongUse("--fit makes a shape and --shape scores one: give one of them")


def _fit(options: argparse.Namespace, trace: Trace) -> dict[str, Any]:
    from connectors.history_shape import ShapeFile, save_history
    from experiments.failure_trace.scoring import digest, fault_log
    from models.history_fit import fit_history

    log = fault_log(trace)
    with reading():
        shape = fit_history(log)
    words = ["forestall", "lab", "history", "--trace", options.trace.name, "--nodes", str(options.nodes), "--fit"]
    provenance = {
        "data": f"{len(trace.node)} faults of {trace.nodes} nodes over {(log.finish - log.begin) / 86_400:.1f} days",
        "trace": digest(trace),
        "made_with": f"Python {platform.python_version()}",
        "regenerate": shlex.join([*words, options.fit.name]),
    }
    save_history(ShapeFile(shape, provenance), options.fit)
    return {"shape": str(options.fit), **provenance}


def _score(options: argparse.Namespace, trace: Trace) -> dict[str, Any]:
    from connectors.history_shape import load_history
    from experiments.failure_trace.job import Prices
    from experiments.failure_trace.report import Asked, history_report, runs_of

    watch = Stopwatch()
    profile = profile_of(options.profile)
    prices = Prices(
        cost_s=profile.cost_s,
        durable_s=profile.durable_s,
        detection_s=profile.detection_s,
        restart_s=profile.restart_s,
    )
    loaded = load_history(options.shape)
    asked = Asked(prices=prices, spares=options.spares, seeds=range(options.seed, options.seed + options.seeds))
    fitted_on = loaded.provenance.get("trace")
    with bar("runs", runs_of(trace, fitted_on, asked)) as progress:
        result = history_report(trace, loaded.shape, fitted_on, asked, progress)
    return result | {"profile": profile.name, "seed": options.seed, "measured_s": watch.seconds}


def _fitted(result: dict[str, Any]) -> Iterator[str]:
    yield f"{result['shape']}: fitted to {result['data']}"
    yield f"score it on a later log: forestall lab history --trace FILE --shape {result['shape']}"


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield from _part(result)
    if result["in_sample"]:
        yield ""
        yield "This shape was fitted to this very log. Fitted to its first half only, on the second:"
        yield from _part(result["forward"])


def _part(result: dict[str, Any]) -> Iterator[str]:
    nats, lift, job = result["nats"], result["lift"], result["job"]
    low, high = nats["ci95"]
    days = f"{result['days']:.1f} days"
    yield f"{result['faults']} faults of {result['nodes']} nodes in {days}, {result['merged']} merged"
    yield (
        f"nats a fault over the constant rate known in hindsight {nats['over_hindsight']:.2f} "
        f"({low:.2f} to {high:.2f}), learned online {nats['over_online']:.2f}"
    )
    yield (
        f"  by the node's own past alone {nats['own_past_only']:.2f}, without bursts of seconds "
        f"{nats['without_bursts']:.2f}"
    )
    yield (
        f"lift of the top 1 % of node-hours {result['lift_top_1pct']:.1f}; of those within a day of a repair "
        f"({lift['day_rule_share']:.2%}) {lift['day_rule']:.1f}, of as many by hazard {lift['same_share']:.1f}"
    )
    yield (
        f"a job on {job['nodes']} nodes with {job['spares']} spares, Young's interval {job['young_interval_s']:.0f} s, "
        f"{result['seeds']} seeds"
    )
    yield f"{'policy':<20}{'waste':>8}  {'saved against young':<28}{'against its queue':<28}{'stops':>6}"
    for one in result["policies"]:
        yield (
            f"{one['name']:<20}{one['waste']:>8.2%}  {_saved(one['saved_vs_young'], one['ci95']):<28}"
            f"{_saved(one['saved_vs_queue'], one['saved_vs_queue_ci95']):<28}{one['interruptions']:>6.0f}"
        )


def _saved(value: float, ends: list[float]) -> str:
    return f"{value:+.1%} ({ends[0]:+.1%} to {ends[1]:+.1%})"
