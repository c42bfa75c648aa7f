"""``forestall lab pool``: how many spares a cluster should keep."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from connectors.errors import WrongUse
from infra.cli.lab.experiment import table
from infra.cli.lab.simulating import Progress, Stopwatch, bar, case_of, known, lab, profile_of, seed, seeds
from infra.cli.options import report
from infra.settings import Settings

if TYPE_CHECKING:
    from experiments.policy_lab.profile import Profile
    from experiments.policy_lab.sizing import Lost

INCIDENTS = 100
CONCURRENT_MAX = 16


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall lab pool``."""
    parser.epilog = """\
examples
  forestall lab pool --profile llama3-16k          waste against idle spares, 0 to 32, under the default policy
  forestall lab pool --profile small-256 --concurrent 3     where three nodes fail at once"""
    parser.add_argument("--profile", default="llama3-16k", metavar="NAME|FILE", help="the cluster and its job")
    parser.add_argument("--policy", default="hazard+break-even", metavar="NAME", help="(default: hazard+break-even)")
    parser.add_argument("--case", default="honest", metavar="NAME", help="how true the predictor is (default: honest)")
    parser.add_argument(
        "--concurrent",
        type=concurrent,
        metavar="K",
        help="each failure takes K nodes at once, and what is lost is standstill alone, under no policy",
    )
    parser.add_argument("--seeds", type=seeds, default=20, metavar="N", help="paired runs of each size (default: 20)")
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="the first seed (default: 1)")


def concurrent(text: str) -> int:
    """Return how many nodes fail at once."""
    if not text.isdecimal() or not 1 <= int(text) <= CONCURRENT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of nodes that fail at once; 1 to {CONCURRENT_MAX}")
    return int(text)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Simulate every size of the pool and recommend one."""
    watch = Stopwatch()
    with lab():
        from experiments.policy_lab.sizing import SIZES, sized

        profile = profile_of(options.profile)
        if options.concurrent and options.concurrent > profile.nodes:
            raise WrongUse(f"--concurrent {options.concurrent}: {profile.name} has {profile.nodes} nodes")
        with bar("simulate", len(SIZES)) as progress:
            found = sized(profile, _counted(_lost(options, profile), progress))
    result = {
        "profile": profile.name,
        "policy": None if options.concurrent else options.policy,
        "concurrent": options.concurrent or 1,
        "seeds": options.seeds,
        "seed": options.seed,
        **found,
        "measured_s": {"simulating": watch.seconds},
    }
    report(options, result, _lines(result))
    return 0


def _lost(options: argparse.Namespace, profile: Profile) -> Lost:
    """What is lost at one size: a policy's waste, or the standstill of failures of several nodes."""
    chosen = range(options.seed, options.seed + options.seeds)
    if options.concurrent:
        return _standstill(options.concurrent, profile, chosen)
    from experiments.policy_lab import POLICIES, simulate

    case, policy = case_of(options.case), known(options.policy, POLICIES, "--policy")
    return lambda pool: simulate(pool, case, (policy,), chosen).waste[0]


def _standstill(together: int, profile: Profile, chosen: range) -> Lost:
    import numpy as np

    from experiments.seed.standing import draws, incidents

    paired = [draws(profile, together, INCIDENTS, one) for one in chosen]
    return lambda pool: np.array([incidents(pool, pool.spares or 0, together, one).still_share for one in paired])


def _counted(lost: Lost, progress: Progress) -> Lost:
    done = 0

    def counted(pool: Profile) -> Any:
        nonlocal done
        share = lost(pool)
        done += 1
        progress(done)
        return share

    return counted


def _lines(result: dict[str, Any]) -> Iterator[str]:
    under = f"under {result['policy']}" if result["policy"] else f"{result['concurrent']} nodes failing at once"
    yield f"{result['profile']}, {under}: keep {result['recommended']} spares"
    yield f"as good, as far as {result['seeds']} seeds tell: {', '.join(map(str, result['as_good']))}"
    yield from table(result["rows"])
