"""Recorded logs give the outputs that are recorded beside them, byte for byte.

``telemetry.log`` and ``decisions.log`` are inputs, ``assessments.jsonl`` and ``commands.jsonl`` what the folds make of
them. A difference is a change of what forestall says: if it is meant, write the files anew with
``REWRITE_GOLDEN=1 .venv/bin/python -m pytest tests/golden`` and commit them with the reason.

Probabilities, deviations and z are rounded in the outputs, so that the last bits, in which the logarithms of NumPy may
differ between processors, do not show. Recorded on x86-64; a value just on the border of rounding is all that may
differ elsewhere.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest

from connectors.codecs.records import decode_assessment, decode_command
from connectors.kafka import topics
from models.features import FEATURE_NAMES
from models.foresight import Foresight
from models.incident import IncidentSettings
from models.limits import WINDOW_FRAMES
from models.mlp import Layer, Predictor
from models.policy_settings import PolicySettings
from models.records import Assessment
from streams.agents.assess import assess_stage
from streams.agents.decide import decide_stage
from streams.batch import Batch, Partition
from streams.fold import Stage

FOLDER = Path(__file__).parent
REWRITE = os.environ.get("REWRITE_GOLDEN") == "1"
Log = list[tuple[bytes, bytes]]


def predictor() -> Predictor:
    """Fixed weights from plain arithmetic, much of it on what is hot."""
    size = len(FEATURE_NAMES)
    weights = (np.arange(4 * size).reshape(4, size) * 7919 % 101 / 101 - 0.5) / 8
    weights[:, FEATURE_NAMES.index("thermal.high3")] = 1.0
    return Predictor(
        layers=(Layer(weights, np.array([0.1, -0.1, 0.2, 0.0])), Layer(np.full((1, 4), 0.9), np.array([-5.0]))),
        feature_names=FEATURE_NAMES,
        mean=np.zeros(size),
        std=np.ones(size),
        clip=5.0,
        horizon_s=120.0,
        window=WINDOW_FRAMES,
    )


def assess() -> Stage:
    from recording_logs import SCHEMA

    from connectors.codecs.frames import schema_id

    incidents = IncidentSettings(open_frames=3, close_frames=5)
    return assess_stage({schema_id(SCHEMA): SCHEMA}, Foresight(predictor().probability, 120.0), incidents)


def decide() -> Stage:
    return decide_stage(PolicySettings(level="migrate", node_mtbf_days=0.05, checkpoint_cost_s=0.2, migration_s=45.0))


def read(path: Path) -> Log:
    """A line a record: its key, and its value as it is (``j``) or in base 64 (``b``)."""
    log = []
    for line in path.read_bytes().splitlines():
        key, form, value = line.split(b"\t")
        log.append((key, value if form == b"j" else base64.b64decode(value)))
    return log


def write(path: Path, log: Log) -> None:
    plain = [b"\n" not in value and value[:1] == b"{" for _, value in log]
    rows = [(k, b"j" if p else b"b", v if p else base64.b64encode(v)) for (k, v), p in zip(log, plain, strict=True)]
    path.write_bytes(b"".join(b"\t".join(row) + b"\n" for row in rows))


def outputs(stage: Stage, source: str, log: Log) -> bytes:
    """A line an output: where it goes, its key and its value."""
    fold = stage.restore(0, None)
    made = fold.apply(Batch(Partition(source, 0), 0, [key for key, _ in log], [value for _, value in log]))
    rows = [(getattr(one, "topic", stage.output).encode(), one.key, one.value) for one in made]
    return b"".join(b"\t".join(row) + b"\n" for row in rows)


def compare(name: str, found: bytes) -> None:
    path = FOLDER / name
    if REWRITE:
        path.write_bytes(found)
        return
    pairs = zip_longest(path.read_bytes().splitlines(), found.splitlines())
    for number, (expected, line) in enumerate(pairs, 1):
        assert line == expected, f"{name}, line {number}"


@pytest.fixture(autouse=True, scope="module")
def rewritten() -> None:
    """On purpose only, and never without a word."""
    if REWRITE:
        import recording_logs

        write(FOLDER / "telemetry.log", recording_logs.telemetry())
        write(FOLDER / "decisions.log", recording_logs.decisions())


def test_assessments_are_as_recorded() -> None:
    compare("assessments.jsonl", outputs(assess(), topics.TELEMETRY, read(FOLDER / "telemetry.log")))


def test_commands_are_as_recorded() -> None:
    compare("commands.jsonl", outputs(decide(), topics.EVENT, read(FOLDER / "decisions.log")))


def values(name: str, topic: str) -> list[bytes]:
    rows = [line.split(b"\t", 2) for line in (FOLDER / name).read_bytes().splitlines()]
    return [value for to, _, value in rows if to == topic.encode()]


def test_the_recorded_assessments_show_every_verdict_but_suspect_and_a_whole_incident() -> None:
    told = map(decode_assessment, values("assessments.jsonl", topics.ASSESSMENT))
    verdicts = Counter(one.verdict for one in told if isinstance(one, Assessment))
    assert verdicts.keys() >= {"warming", "healthy", "failing", "unknown"}
    assert verdicts["failing"] < 40
    states = [value.split(b'"state":"')[1].split(b'"')[0] for value in values("assessments.jsonl", topics.EVENT)]
    assert (states[0], states[-1]) == (b"opened", b"closed")


def test_the_recorded_commands_are_a_failure_and_the_whole_rescue_that_it_earned() -> None:
    actions = [decode_command(value).action for value in values("commands.jsonl", topics.COMMAND)]
    assert [action for action in actions if action != "CHECKPOINT"] == ["RESTORE", "MIGRATE", "RESTORE"]
    assert actions.count("CHECKPOINT") >= 2


def test_golden_files_are_rewritten_on_purpose_only() -> None:
    assert not REWRITE, "the golden files were written anew: read their difference, and commit it with its reason"
