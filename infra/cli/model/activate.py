"""``forestall model activate``: another model in running workers, without a restart; or one beside it, as a shadow."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.errors import WrongUse
from infra.cli.options import duration, report
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.activation import Answers, Artefact
    from models.records import InventoryModel, ModelRole

NONE = "none"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall model activate``."""
    parser.epilog = """\
examples
  forestall model activate my-model/mlp.safetensors            in all running workers, and in those to come
  forestall model activate default                             go back to the one that forestall ships
  forestall model activate my-model/mlp.safetensors --shadow   score it beside the active one, commanding nothing
  forestall model activate none --shadow                       end the shadow

Workers take it at a place of their log, look it up by its digest, and say so; one that cannot use it keeps the model
before it. What is activated stands on the log and outlives restarts; the setting predictor.artefact is what is used
where nothing was ever activated."""
    parser.add_argument("artefact", metavar="ARTEFACT", help="a file, default, eq1, or with --shadow none")
    parser.add_argument("--shadow", action="store_true", help="score it beside the active model, commanding nothing")
    parser.add_argument(
        "--wait", type=duration, default=30.0, metavar="TIME", help="for every partition's word (default 30s)"
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Check, publish, choose and wait; 1 when a partition does not use it in time."""
    from infra.activation import activate, chosen
    from infra.broker.locate import locate_broker

    role: ModelRole = "shadow" if options.shadow else "active"
    artefact = _artefact(options.artefact, role)
    with locate_broker(settings) as broker:
        before = chosen(broker.bootstrap, role)
        answers = activate(broker.bootstrap, role, artefact, options.wait)
    digest = None if artefact is None else artefact.digest
    result = {
        "ok": answers.complete,
        "role": role,
        "digest": digest,
        "before": None if before is None else before.digest,
        "in_use": list(answers.in_use),
        "refused": {str(p): why for p, why in answers.refused.items()},
        "silent": {str(p): why for p, why in answers.silent.items()},
    }
    report(options, result, _lines(role, digest, before, answers))
    return 0 if answers.complete else 1


def _artefact(name: str, role: ModelRole) -> Artefact | None:
    """What is meant, checked as a worker would check it."""
    from connectors.artefacts import artefact_content, artefact_path, load_artefact
    from infra.activation import Artefact
    from infra.wiring import require_fit

    if name == NONE:
        if role == "active":
            raise WrongUse("some model is always active: none goes with --shadow; to go back, activate the one before")
        return None
    path = artefact_path(Path(name))
    predictor = load_artefact(path)
    require_fit(predictor)
    return Artefact(predictor.digest, artefact_content(path))


def _lines(role: str, digest: str | None, before: InventoryModel | None, answers: Answers) -> Iterator[str]:
    what = "no shadow" if digest is None else f"{role} {digest[:16]}…"
    was = f" (before: {before.digest[:16]}…)" if before is not None and before.digest is not None else ""
    yield f"{what}{was}: in use on {len(answers.in_use)} of {_partitions(answers)} telemetry partitions"
    for partition, why in answers.refused.items():
        yield f"  partition {partition} refused it and keeps the model before it: {why}"
    for partition, why in answers.silent.items():
        yield f"  partition {partition} {why}"
    if answers.silent:
        yield "  the choice stands on the log: workers take it as they reach it"


def _partitions(answers: Answers) -> int:
    return len(answers.in_use) + len(answers.refused) + len(answers.silent)
