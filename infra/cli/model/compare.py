"""``forestall model compare``: two artefacts on the same held-out nodes, and whether one can be said to be better."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import WrongUse
from infra.cli.options import report
from infra.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from experiments.fleet import FleetSpec
    from models.mlp import Predictor
    from models.training.examples import Examples

SEED = 7_919
BUDGET = 0.05
#: Below this horizon the fleet lives by the second, as the one of ``forestall up`` does; else by the minute.
MINUTES_FROM_S = 600.0
FLEETS, NODES, STEPS = 4, 48, 2_400
RATE_BY_SECOND = 1 / 1_500
_WORDS = {
    "usable_recall": "usable recall",
    "auc": "ROC AUC over rows",
    "brier": "Brier score (less is better)",
    "ece": "calibration error (less is better)",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall model compare``."""
    parser.epilog = """\
examples
  forestall model compare default my-model/mlp.safetensors
  forestall model compare default eq1 --json

Both score the same simulated nodes, which neither has seen. The intervals are of the difference, by a bootstrap over
nodes. How two models do on your own nodes a shadow tells: forestall model activate --shadow."""
    parser.add_argument("a", metavar="A", type=Path, help="a file, default or eq1")
    parser.add_argument("b", metavar="B", type=Path, help="a file, default or eq1")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the fleet and of the draws (default {SEED})")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Score both and compare."""
    from connectors.artefacts import artefact_path, load_artefact
    from infra.wiring import require_fit

    if options.seed < 0:
        raise WrongUse(f"--seed {options.seed}: must be 0 or more")
    pair = [load_artefact(path) for path in (options.a, options.b)]
    for predictor in pair:
        require_fit(predictor)
    spec = fleet_of(pair, options.seed)
    found = compare(pair[0], pair[1], spec)
    named = [str(artefact_path(path)) for path in (options.a, options.b)]
    result = {
        "a": {"artefact": named[0], "digest": pair[0].digest, "horizon_s": pair[0].horizon_s},
        "b": {"artefact": named[1], "digest": pair[1].digest, "horizon_s": pair[1].horizon_s},
        **found,
        "verdict": verdict(found["figures"]),
    }
    report(options, result, _lines(result))
    return 0


def fleet_of(pair: list[Predictor], seed: int) -> FleetSpec:
    """The fleet on which two predictors are compared: of the pace that the shorter of their horizons means."""
    from experiments.fleet import FleetSpec, prediction_fleet

    if min(predictor.horizon_s for predictor in pair) >= MINUTES_FROM_S:
        return prediction_fleet(NODES, seed)
    return FleetSpec(nodes=NODES, seed=seed, interval_s=1.0, fault_rate=RATE_BY_SECOND, look_alike_rate=RATE_BY_SECOND)


def compare(a: Predictor, b: Predictor, spec: FleetSpec, steps: int = STEPS) -> dict[str, Any]:
    """Figures of both on the nodes of some fleets, each against its own horizon, with the paired differences."""
    import numpy as np

    from experiments.fleet.presets import USABLE_LEAD_STEPS
    from models.training.paired import compared, sums
    from models.training.scores import USABLE_LEAD

    horizons = [max(1, round(predictor.horizon_s / spec.interval_s)) for predictor in (a, b)]
    seen, said = _watch((a, b), horizons, spec, steps)
    nodes = np.unique(seen[0].node)
    lead = USABLE_LEAD if spec.interval_s == 1.0 else USABLE_LEAD_STEPS
    found = [sums(said[k], seen[k], nodes, horizons[k], BUDGET, lead) for k in range(2)]
    return {
        "fleet": {
            "nodes": spec.nodes * FLEETS,
            "steps": steps,
            "interval_s": spec.interval_s,
            "seed": spec.seed,
            "rows": len(seen[0].failed),
            "failures": len(seen[0].failures),
            "usable_lead_intervals": lead,
            "false_episodes_per_node_day": BUDGET,
        },
        "figures": compared(found[0], found[1], np.random.default_rng(spec.seed)),
    }


def _watch(
    pair: tuple[Predictor, Predictor], horizons: list[int], spec: FleetSpec, steps: int
) -> tuple[list[Examples], list[NDArray[np.float64]]]:
    """What both say of each row, one fleet after another: the features of all would fill the memory of a laptop."""
    import numpy as np

    from experiments.fleet import FleetRecording
    from models.features import columns_of
    from models.limits import WINDOW_FRAMES
    from models.training.examples import examples, side_by_side
    from models.training.recording import Part

    part = Part("test", np.arange(spec.nodes), 0, steps)
    seen: list[list[Examples]] = [[], []]
    said: list[list[NDArray[np.float64]]] = [[], []]
    for number in range(FLEETS):
        fleet = replace(spec, seed=spec.seed + number)
        watched: dict[int, Examples] = {}
        for k, horizon in enumerate(horizons):
            if horizon not in watched:
                [(_, watched[horizon])] = examples(FleetRecording(fleet), (part,), horizon, horizon + WINDOW_FRAMES, {})
            own = columns_of(pair[k].feature_names)
            said[k].append(pair[k].probability(watched[horizon].features[:, own]))
            seen[k].append(replace(watched[horizon], features=watched[horizon].features[:, :0].copy()))
    return [side_by_side(some, spec.nodes) for some in seen], [np.concatenate(some) for some in said]


def verdict(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """``a``, ``b``, ``cannot tell``, or ``each in something`` where the intervals speak for both."""
    told = {found["better"] for found in figures.values()} - {None}
    if not told:
        return "cannot tell"
    return "each in something" if len(told) > 1 else str(told.pop())


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    fleet = result["fleet"]
    for name in "ab":
        one = result[name]
        yield f"{name.upper()}  {one['artefact']}, digest {one['digest'][:16]}…, horizon {one['horizon_s']:g} s"
    yield (
        f"{fleet['nodes']} simulated nodes that neither has seen, {fleet['rows']:,} rows, {fleet['failures']} "
        f"failures; at most {fleet['false_episodes_per_node_day']:g} false episodes a node-day"
    )
    yield f"{'':<36} {'A':>8} {'B':>8} {'A − B':>9}  95 % interval"
    for name, found in result["figures"].items():
        low, high = found["ci95"]
        word = "cannot tell" if found["better"] is None else f"{found['better'].upper()} is better"
        yield (
            f"{_WORDS[name]:<36} {found['a']:>8.4f} {found['b']:>8.4f} {found['difference']:>+9.4f}  "
            f"[{low:+.4f}, {high:+.4f}]  {word}"
        )
    yield _said(result["verdict"])


def _said(verdict: str) -> str:
    if verdict in ("a", "b"):
        return f"{verdict.upper()} is better in what can be told, and in nothing worse"
    if verdict == "cannot tell":
        return "no difference can be told on these nodes: keep the one that you have"
    return "each is better in something: see which of the figures matters to you"
