"""``forestall train``: make a model artefact, with its card, on the simulated fleet or on a history of your own."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import Failed, WrongUse
from infra.cli.options import duration, report
from infra.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from experiments.fleet import FleetSpec
    from infra.training_sources import Material, Told
    from models.mlp import Predictor
    from models.training.examples import Examples
    from models.training.recording import Part

#: Two and a half median leads: of the faults that give a sign, seven in eight fail within it.
HORIZON_STEPS = 180
#: Nodes and steps of the parts train, validation, calibration and test, and of a quick trial.
NODES, STEPS = (512, 192, 640, 256), (3_000, 1_500, 2_100, 2_400)
QUICK_NODES, QUICK_STEPS = (32, 16, 16, 16), (900, 700, 700, 700)
#: Faults and look-alikes are four times as frequent as in the fleet's default, so that a few minutes show enough.
RATE = 1 / 1_500
#: Passes over the rows of a history in a trial.
QUICK_EPOCHS = 5
FLEET, KAFKA = "fleet", "kafka"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall train``."""
    parser.epilog = """\
examples
  forestall train --out my-model                   the MLP, as the shipped one was made (a few minutes on one core)
  forestall train --out eq1 --model logistic       the literal P = σ(wᵀx + b)
  forestall train --out trial --quick              a small fleet: to see that it works, not to use
  forestall train --out ours --source kafka        what your own log holds: frames, and fates of nodes as labels
  forestall train --out ours --source recordings/  a folder of telemetry with its faults.csv
  forestall model activate ours/mlp.safetensors    in running workers, without a restart

A folder holds NAME.csv(.gz) for each node, or NAME.train.csv.gz and NAME.test.csv.gz as for produce, and faults.csv
with a line for each time that a node was down: node,t_start,t_end."""
    parser.add_argument(
        "--source", default=FLEET, metavar="SOURCE", help="fleet (default), kafka, or a folder of recordings"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the artefact and its card go")
    parser.add_argument("--model", choices=("mlp", "logistic"), default="mlp", help="the form (default: mlp)")
    parser.add_argument(
        "--horizon", type=duration, metavar="TIME", help="of a history: how far ahead (default: 180 intervals)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of fleet and fitting (default: 1)")
    parser.add_argument(
        "--quick", action="store_true", help="a small fleet, or few passes over a history: a trial, not to use"
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Watch, fit, calibrate, test and write."""
    if options.seed < 0:
        raise WrongUse(f"--seed {options.seed}: must be 0 or more")
    if options.horizon is not None and options.source == FLEET:
        raise WrongUse("--horizon goes with a history: that of the simulated fleet is fixed")
    if options.out.exists() and not options.out.is_dir():
        raise WrongUse(f"--out {options.out}: is a file; name a folder")
    try:
        import torch  # noqa: F401
    except ImportError as missing:
        raise Failed(
            "training needs torch, which running does not: make dev, or infra/deploy/install.sh web,train"
        ) from missing
    with _progress() as progress:
        predictor, parts, figures = _train(options, _material(options, settings, _telling(progress)), progress)
    about = _write(options, predictor, parts, figures)
    best = figures["at_threshold"]["0.5"]
    report(
        options,
        {"artefact": str(_path(options)), **about},
        [
            f"{_path(options)}: {about['form']}, digest {predictor.digest[:16]}…",
            f"never seen, P ≥ .5: usable recall {best['usable_recall']:.2f}, precision {best['precision']:.2f}",
            f"accuracy {figures['accuracy']:.4f}, of 'never' {figures['accuracy_of_never']:.4f}",
        ],
    )
    return 0


def _path(options: argparse.Namespace) -> Path:
    path: Path = options.out / f"{options.model}.safetensors"
    return path


@contextmanager
def _progress() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        yield progress


def _material(options: argparse.Namespace, settings: Settings, told: Told) -> Material:
    """What the named source gives to learn from."""
    from infra.training_sources import folder_material, kafka_material

    if options.source == FLEET:
        return _fleet_material(options)
    if options.source == KAFKA:
        from infra.broker.locate import locate_broker

        with locate_broker(settings) as broker:
            return kafka_material(broker.bootstrap, options.horizon, told)
    folder = Path(options.source)
    if not folder.is_dir():
        raise WrongUse(f"--source {options.source}: is neither {FLEET} nor {KAFKA} nor a folder")
    return folder_material(folder, options.horizon, told)


def _fleet_material(options: argparse.Namespace) -> Material:
    from experiments.fleet import FleetRecording
    from infra.training_sources import Material
    from models.limits import WINDOW_FRAMES
    from models.training.recording import split

    gap = HORIZON_STEPS + WINDOW_FRAMES
    nodes, steps = (QUICK_NODES, QUICK_STEPS) if options.quick else (NODES, STEPS)
    spec = _fleet(options.seed, sum(nodes))
    return Material(
        FleetRecording(spec),
        split(nodes, steps, gap),
        HORIZON_STEPS,
        gap,
        {"train": 6, "calibration": 3},
        f"simulated fleet of {spec.nodes} nodes at {spec.interval_s:g} s; faults and each look-alike 1 in "
        f"{1 / spec.fault_rate:,.0f} node-intervals, {spec.sudden_share:.0%} of the faults sudden, lead lognormal with "
        f"median {spec.lead_median:g} and sigma {spec.lead_sigma:g}",
    )


def _telling(progress: Progress) -> Told:
    """Shows what a source reads; its task is made when it first says something."""
    tasks: dict[str, TaskID] = {}

    def told(what: str, done: int, whole: int | None) -> None:
        if what not in tasks:
            tasks[what] = progress.add_task(what, total=whole)
        progress.update(tasks[what], completed=done, total=whole)

    return told


def _train(
    options: argparse.Namespace, material: Material, progress: Progress
) -> tuple[Predictor, dict[str, dict[str, Any]], dict[str, Any]]:
    import numpy as np

    from models.features import FEATURE_NAMES
    from models.limits import WINDOW_FRAMES
    from models.training.fit import Recipe, fit
    from models.training.scores import score
    from models.training.uncertainty import uncertainty

    held = _watch(material, progress)
    test = held.pop("test")
    recipe = Recipe(form=options.model, seed=options.seed)
    if options.quick and options.source != FLEET:
        recipe = replace(recipe, epochs=QUICK_EPOCHS)
    fitting = progress.add_task("fit", total=recipe.epochs)

    def epoch(number: int, train: float, validation: float) -> None:
        progress.update(fitting, completed=number, description=f"fit {train:.4f}, validation {validation:.4f}")

    frame = {
        "feature_names": FEATURE_NAMES,
        "horizon_s": material.horizon * material.recording.interval_s,
        "window": WINDOW_FRAMES,
        "provenance": _provenance(options, material),
    }
    try:
        predictor = fit(recipe, held, frame, epoch)
    except ValueError as wrong:
        raise Failed(f"too little to learn from: {wrong}; gather a longer history") from wrong
    progress.update(fitting, completed=recipe.epochs)
    sizes = {part.name: _size(part, (held | {"test": test})[part.name]) for part in material.parts}
    said = predictor.probability(test.features)
    figures = score(said, test, material.horizon) | uncertainty(
        said, test, material.horizon, np.random.default_rng(options.seed)
    )
    return predictor, sizes, figures


def _fleet(seed: int, nodes: int) -> FleetSpec:
    from experiments.fleet import FleetSpec

    return FleetSpec(nodes=nodes, seed=seed, interval_s=1.0, fault_rate=RATE, look_alike_rate=RATE)


def _watch(material: Material, progress: Progress) -> dict[str, Examples]:
    from models.training.examples import examples

    plan = material.parts
    watching = progress.add_task("watch", total=sum(len(part.nodes) * (part.end - part.first) for part in plan))
    held = {}
    watched = examples(material.recording, plan, material.horizon, material.gap, material.every)
    for part, (name, rows) in zip(plan, watched, strict=True):
        held[name] = rows
        progress.update(watching, advance=len(part.nodes) * (part.end - part.first), description=f"watched {name}")
    return held


def _size(part: Part, rows: Examples) -> dict[str, Any]:
    return {
        "nodes": len(part.nodes),
        "steps": f"{part.first}–{part.end - 1}",
        "rows": len(rows.failed),
        "failures": len(rows.failures),
        "positive_share": round(float(rows.failed.mean()), 5),
    }


def _provenance(options: argparse.Namespace, material: Material) -> dict[str, str]:
    import numpy as np
    import torch

    words = [
        "forestall train --source",
        options.source if options.source in (FLEET, KAFKA) else "FOLDER",
        "--out DIR --model",
        options.model,
        "--seed",
        str(options.seed),
        *(() if options.horizon is None else ("--horizon", f"{options.horizon:g}s")),
    ]
    return {
        "data": material.data,
        "split": f"by node and by time, {material.gap} steps between the parts",
        "seed": str(options.seed),
        "made_with": f"Python {platform.python_version()}, numpy {np.__version__}, torch {torch.__version__}",
        "regenerate": " ".join([*words, *(["--quick"] if options.quick else [])]),
    }


def _write(
    options: argparse.Namespace, predictor: Predictor, parts: dict[str, dict[str, Any]], figures: dict[str, Any]
) -> dict[str, Any]:
    from connectors.artefacts import save_artefact
    from models.training.card import card, markdown

    path = _path(options)
    save_artefact(predictor, path)
    about = card(predictor, parts, figures)
    path.with_suffix(".json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(markdown(about, path.stem), encoding="utf-8")
    return about
