"""Where the parts of a worker are joined: settings become the arguments that everything below is given."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from infra import clock
from infra.logs import complain
from infra.settings import Settings

#: The readers of schemas and inventory stay open for the life of a worker; 50 ms is soon enough for them.
LASTING_FETCH_WAIT_MS = 50

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import faust
    import numpy as np
    from numpy.typing import NDArray

    from connectors.signing import FileSealer, Keyring
    from infra.metrics.written import Written
    from models.foresight import Fetch, Foresight
    from models.incident import IncidentSettings
    from models.mlp import Predictor
    from models.policy_settings import PolicySettings


def policy_settings(settings: Settings) -> PolicySettings:
    """What an operator has set about deciding, as the pure policies take it."""
    from models.policy_settings import DAY_S, PolicySettings

    given = settings.policy.model_dump() | settings.brakes.model_dump()
    given |= {"retention_s": settings.topics.control_retention_d * DAY_S}
    return PolicySettings(**{f.name: given[f.name] for f in fields(PolicySettings) if f.name in given})


def incident_settings(settings: Settings) -> IncidentSettings:
    """What an operator has set about incidents, as the fold takes it."""
    from models.incident import IncidentSettings

    return IncidentSettings(
        theta=settings.policy.theta,
        open_frames=settings.incident.open_frames,
        close_frames=settings.incident.close_frames,
    )


def served_predictor(settings: Settings) -> Predictor:
    """The artefact that the settings name; ``WrongUse`` when it is missing, damaged, or reads other features."""
    from connectors.artefacts import load_artefact

    predictor = load_artefact(settings.predictor.artefact)
    require_fit(predictor)
    return predictor


def require_fit(predictor: Predictor) -> None:
    """See that a predictor reads this forestall's features and is sound; ``WrongUse`` names what differs."""
    from connectors.artefacts import require_features
    from connectors.errors import WrongUse
    from models.features import FEATURE_NAMES
    from models.limits import WINDOW_FRAMES
    from models.soundness import unsound

    require_features(predictor, FEATURE_NAMES, WINDOW_FRAMES)
    if faults := unsound(predictor):
        raise WrongUse(f"artefact {predictor.digest[:16]}… cannot be used: {'; '.join(faults)}; train it anew")


def foresight_of(predictor: Predictor) -> Foresight:
    """A predictor as the fold uses it: given all features, it reads its own."""
    from models.features import FEATURE_NAMES, columns_of
    from models.foresight import Foresight

    if predictor.feature_names == FEATURE_NAMES:
        return Foresight(predictor.probability, predictor.horizon_s, predictor.digest)
    columns = columns_of(predictor.feature_names)

    def probability(features: NDArray[np.float32]) -> NDArray[np.float64]:
        return predictor.probability(features[:, columns])

    return Foresight(probability, predictor.horizon_s, predictor.digest)


def fetching(brokers: str) -> Fetch:
    """Looks models up on the log, each once; what is there and cannot be used is refused with the reason."""
    from connectors.artefacts import read_artefact
    from connectors.errors import WrongUse
    from connectors.kafka.artefacts import artefact_records
    from models.foresight import Refused

    known: dict[str, Foresight] = {}

    def read(content: bytes, digest: str) -> Foresight:
        predictor, _ = read_artefact(content, digest[:16])
        if predictor.digest != digest:
            raise WrongUse(f"what stands there has the digest {predictor.digest[:16]}")
        require_fit(predictor)
        return foresight_of(predictor)

    def fetch(digest: str) -> Foresight:
        if digest not in known:
            reasons = ["it is not on telemetry.schema.v1"]
            for content in artefact_records(brokers, digest):
                try:
                    known[digest] = read(content, digest)
                    return known[digest]
                except WrongUse as wrong:
                    reasons.append(str(wrong))
            log.warning("model %s is refused: %s", digest[:16], reasons[-1])
            raise Refused(reasons[-1])
        return known[digest]

    return fetch


def keyring_of(settings: Settings, say: Callable[[str], None]) -> Keyring:
    """The keyring that a cluster agent trusts; ``WrongUse`` when there is none."""
    from connectors.signing import Keyring
    from infra.keys import key_files

    return Keyring(key_files(settings).keyring, say)


def command_sealer(settings: Settings) -> FileSealer | None:
    """What signs a worker's commands; None at level observe, which gives none; ``WrongUse`` without a usable key."""
    from connectors.signing import FileSealer
    from infra.keys import key_files

    if settings.policy.level == "observe":
        return None
    return FileSealer(key_files(settings), log.warning)


def worker_app(settings: Settings, brokers: str, sealer: FileSealer | None, written: Written) -> faust.App:
    """The Faust app of a worker on these brokers, with the artefact that the settings name.

    ``sealer`` signs its commands; ``written`` counts what goes by.
    """
    from connectors.kafka import topics
    from connectors.kafka.log import open_reader
    from connectors.kafka.schemas import SchemaTable
    from streams.agents.assess import assess_stage
    from streams.agents.decide import decide_stage
    from streams.app import WorkerParts, WorkerSettings, build_app
    from streams.owner import Owner

    foresight = foresight_of(served_predictor(settings))
    schemas = SchemaTable(open_reader(brokers, fetch_wait_ms=LASTING_FETCH_WAIT_MS), clock.monotonic)
    return build_app(
        WorkerSettings(
            brokers=brokers,
            group=settings.worker.group,
            directory=Path(platformdirs.user_data_dir("forestall")) / "worker",
            snapshot_topic=topics.SNAPSHOT,
            snapshot_s=settings.worker.snapshot_s,
            live_ticks=settings.worker.ticks == "live",
        ),
        WorkerParts(
            stages=(
                assess_stage(schemas, foresight, incident_settings(settings), fetching(brokers), written.assessed),
                decide_stage(policy_settings(settings), sealer, written.decided, written.observed),
            ),
            owner=lambda lanes: Owner(lanes, open_reader(brokers, fetch_wait_ms=LASTING_FETCH_WAIT_MS)),
            now=clock.now,
            monotonic=clock.monotonic,
            fail=end_at_once,
        ),
    )


def end_at_once(why: str) -> None:
    """End this process without another word to the log: what the worker holds is restored by the next one."""
    complain(f"the worker cannot go on: {why}")
    os._exit(1)
