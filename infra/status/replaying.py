"""The model in use and the features of some nodes, as the workers' newest snapshots hold them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.artefacts import read_artefact
from connectors.errors import WrongUse
from connectors.kafka.artefacts import artefact_records
from connectors.kafka.log import partition_count, reader
from connectors.kafka.snapshots import read_newest
from connectors.kafka.topics import SNAPSHOT, TELEMETRY
from infra.settings import Settings
from infra.status.diagnosing import Replay, Replayed
from infra.wiring import served_predictor
from models.assessment import PartitionState
from models.assessment_state import UnreadableState, state_from_bytes
from models.features import columns_of
from models.limits import RANGE_FRAMES
from models.mlp import Predictor

#: So many nodes of a partition are looked at: enough for a spread, few enough for an instant.
NODES_MAX: Final = 200
Floats = NDArray[np.floating[Any]]


def replay_of(settings: Settings, brokers: str) -> Replay:
    """Looks up the model in use, of these settings where none was activated, and the features of its nodes."""
    return lambda: replay(brokers, served_predictor(settings))


def replay(brokers: str, served: Predictor) -> Replayed:
    """The model that assesses, and what it reads of nodes that are warm ``(nodes, features)``.

    ``served`` is the one that the settings name; another one that was activated is looked up on the log. Either is
    None where it cannot be had.
    """
    features, digest = [], None
    with reader(brokers) as consumer:
        for number in range(partition_count(consumer, TELEMETRY)):
            snapshot = read_newest(consumer, SNAPSHOT, TELEMETRY, number)
            if snapshot is None:
                continue
            try:
                state = state_from_bytes(snapshot.state)
            except UnreadableState:
                continue
            features += list(_features(state))
            digest = state.choices.digests.get("active") or digest
    model = _model(brokers, served, digest)
    if model is None or not features:
        return model, None
    return model, np.concatenate(features)[:, columns_of(model.feature_names)]


def _features(state: PartitionState) -> Iterator[Floats]:
    for cohort in state.cohorts.values():
        warm = np.flatnonzero(cohort.arrays()["frames"] > RANGE_FRAMES)[:NODES_MAX]
        if len(warm):
            yield cohort.features(warm)


def _model(brokers: str, served: Predictor, digest: str | None) -> Predictor | None:
    if digest is None or digest == served.digest:
        return served
    for content in artefact_records(brokers, digest):
        try:
            predictor, _ = read_artefact(content, digest[:16])
        except WrongUse:
            continue
        if predictor.digest == digest:
            return predictor
    return None
