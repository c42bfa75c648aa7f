"""``forestall lab experiment``: the paper's three experiments, each of its claims beside what was measured."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from infra.cli.lab.simulating import Stopwatch, bar, lab, profile_of, seed
from infra.cli.options import report
from infra.settings import Settings

if TYPE_CHECKING:
    from experiments.policy_lab.cases import Case
    from experiments.policy_lab.policies import Settings as OpenSettings
    from experiments.policy_lab.profile import Profile
    from experiments.policy_lab.runs import Runs

#: Where experiments 1 and 2 run the job, and where 3 sizes a pool of 0 to 8 spares.
ACTING, POOLED = "llama3-16k-ample", "small-256"
DECISIONS = 2_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall lab experiment``."""
    parser.epilog = """\
experiments
  1   θ = .5, α = β = .5, a hundred failures: accuracy, overhead, recovery, by the unit in which α may be meant
  2   θ from .3 to .8: precision and recall, operating costs, the θ that costs least
  3   two and three nodes failing at once against pools of 0 to 8 spares

examples
  forestall lab experiment 1                       what holds of the paper's claims, and what does not
  forestall lab experiment 3 --json                rows and claims for a program"""
    parser.add_argument("number", type=int, choices=(1, 2, 3), help="which")
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="the first seed (default: 1)")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run one experiment and hold the claims against it."""
    watch = Stopwatch()
    with lab():
        result, measured_s = _third(options) if options.number == 3 else _operating(options, settings)
    result["seed"] = options.seed
    result["measured_s"] = {"all": watch.seconds, **measured_s}
    report(options, result, _lines(result))
    return 0


def _third(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, float]]:
    from experiments.seed.concurrent import experiment

    return experiment(profile_of(POOLED), options.seed), {}


def _operating(options: argparse.Namespace, settings: Settings) -> tuple[dict[str, Any], dict[str, float]]:
    from connectors.artefacts import load_artefact, require_features
    from experiments.seed.operating import fixed_threshold, thresholds
    from experiments.seed.watching import watch
    from models.features import FEATURE_NAMES
    from models.limits import WINDOW_FRAMES

    predictor, profile = load_artefact(settings.predictor.artefact), profile_of(ACTING)
    require_features(predictor, FEATURE_NAMES, WINDOW_FRAMES)
    steps = 3 if options.number == 1 else 7
    with bar(f"experiment {options.number}", steps) as progress:
        watched = watch(predictor, options.seed)
        progress(1)
        conduct, done = fixed_threshold if options.number == 1 else thresholds, [1]

        def simulated(*what: Any) -> Runs:
            runs = _simulate(*what)
            done[0] += 1
            progress(done[0])
            return runs

        result = conduct(profile, watched, options.seed, simulated)
    spent = round(watched.cpu_s / watched.node_hours, 6)
    return result, {"predictor_cpu_per_node_hour": spent, "one_decision": _decision(settings)}


def _simulate(
    profile: Profile, case: Case, policies: Sequence[str], seeds: Sequence[int], settings: OpenSettings
) -> Runs:
    from experiments.policy_lab import simulate

    return simulate(profile, case, policies, seeds, settings=settings)


def _decision(settings: Settings) -> float:
    """Seconds that one decision to stay or to leave, and one on the rate of checkpoints, take together."""
    from infra.wiring import policy_settings
    from models.checkpointing import Situation, checkpoint_policy
    from models.recovery import HealthChain, Suspicion, recovery_policy

    deciding = policy_settings(settings)
    pace, leave = checkpoint_policy(deciding), recovery_policy(deciding)
    situation = Situation(cost_s=5.0, mtbf_s=11_124.0, probability=0.5)
    suspicion = Suspicion(
        chain=HealthChain(),
        probability=0.5,
        spare_probability=0.001,
        ranks=4,
        unsaved_s=300.0,
        migration_s=140.0,
        detection_s=60.0,
        restart_s=180.0,
    )
    began = time.perf_counter()
    for _ in range(DECISIONS):
        pace.rate(situation)
        leave.choose(suspicion)
    return round((time.perf_counter() - began) / DECISIONS, 7)


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"experiment {result['experiment']} on {result['profile']}"
    yield from table(result["rows"])
    for claim in result["claims"]:
        yield f"\n{claim['claim']}: {holding(claim['holds'])}"
        yield f"  paper {claim['paper']}, measured {claim['measured']}"
        yield f"  {claim['reason']}"


def holding(holds: bool | str | None) -> str:
    """In words whether a claim holds."""
    if isinstance(holds, str):
        return holds
    return "nobody can say" if holds is None else "holds" if holds else "does not hold"


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Rows of plain values and intervals in columns; nested ones are left to ``--json``."""
    names = [name for name, value in rows[0].items() if not isinstance(value, dict)]
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(names))]
    for row in cells:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return " to ".join(map(_cell, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
