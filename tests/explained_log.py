"""A small log as real stages make it: two nodes whose telemetry is assessed, a job on them, and every command sealed.

n0 runs hot for some frames, an incident opens, the job checkpoints, leaves the node and is restored on a spare; before
and after that it writes regular checkpoints. Every topic has one partition here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
from confluent_kafka import Producer
from decision_log import BEGAN, UNBRAKED, DecisionLog
from signing_keys import shared_sealer
from topics_on import fresh_topics

from connectors.artefacts import artefact_content, save_artefact
from connectors.codecs.frames import encode_packed_frame, encode_schema, schema_id
from connectors.codecs.records import (
    decode_assessment,
    decode_command,
    decode_event,
    encode_command,
    encode_event,
    encode_inventory,
    encode_member,
    encode_tick,
)
from connectors.kafka import topics
from connectors.kafka.artefacts import artefact_key
from connectors.kafka.publisher import Outgoing
from infra.broker.embedded import Broker
from infra.kept_settings import settings_key
from models.features import FEATURE_NAMES
from models.foresight import Foresight
from models.incident import IncidentSettings
from models.limits import WINDOW_FRAMES
from models.mlp import Layer, Predictor
from models.policy_settings import PolicySettings
from models.records import Assessment, Command, Incident, InventorySettings
from models.telemetry import Schema
from streams.agents.assess import assess_stage
from streams.batch import Batch, Partition
from streams.fold import Fold

SCHEMA = Schema(
    ("gpu0.ecc_total", "gpu0.temp_c", "gpu1.temp_c", "power_w"),
    (True, False, False, False),
    ("", "celsius", "celsius", "watt"),
)
STEPS = 310
HOT = range(290, 302)
#: The first hot frame comes so long after the job began.
CALM_S = 60
START = BEGAN + CALM_S - HOT.start
JOB = "gpt"
SPARES = ("s0", "s1")
POLICY = PolicySettings(
    level="migrate", node_mtbf_days=0.02, checkpoint_cost_s=0.2, migration_s=5.0, lead_median_s=60.0, **UNBRAKED
)
INCIDENTS = IncidentSettings(open_frames=3, close_frames=5)


def predictor() -> Predictor:
    """A network of one hidden layer, much of it on what is hot."""
    random = np.random.default_rng(5)
    weights = random.normal(size=(6, len(FEATURE_NAMES))) / 60
    weights[:, FEATURE_NAMES.index("thermal.high3")] = 1.0
    return Predictor(
        layers=(Layer(weights, random.normal(size=6) / 10), Layer(np.full((1, 6), 0.8), np.array([-6.0]))),
        feature_names=FEATURE_NAMES,
        mean=np.zeros(len(FEATURE_NAMES)),
        std=np.ones(len(FEATURE_NAMES)),
        clip=5.0,
        horizon_s=120.0,
        window=WINDOW_FRAMES,
    )


def telemetry() -> list[tuple[bytes, bytes]]:
    """(key, value) of packed frames of both nodes, of membership and of ticks."""
    random = np.random.default_rng(20261124)
    log = [(node.encode(), encode_member(node, JOB, START)) for node in ("n0", "n1")]
    total = np.zeros(2)
    for step in range(STEPS):
        total += random.poisson(0.05, 2)
        for at, node in enumerate(("n0", "n1")):
            values = np.array([total[at], *random.normal(65.0, 2.0, 2), random.normal(300.0, 9.0)])
            values[1] += 25.0 * (at == 0 and step in HOT)
            frame = encode_packed_frame(node, START + step, step, schema_id(SCHEMA), values.astype(np.float32))
            log.append((node.encode(), frame))
        log.append((b"tick", encode_tick(START + step)))
    return log


@dataclass
class ExplainedLog:
    """What stands on each topic; :meth:`write` puts it on a broker."""

    telemetry: list[tuple[bytes, bytes]]
    assessments: list[tuple[bytes, bytes]] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    told: InventorySettings | None = None
    model: Predictor = field(default_factory=predictor)

    def command(self, action: str, nth: int = 0, *, incident: bool | None = None) -> Command:
        """The n-th command of an action; with ``incident`` those that answer one, or none."""
        found = [one for one in map(decode_command, self.commands) if one.action == action]
        return [one for one in found if incident is None or (one.incident is not None) is incident][nth]

    def incidents(self) -> list[Incident]:
        return [one for one in map(decode_event, self.events) if isinstance(one, Incident)]

    def assessed(self) -> list[Assessment]:
        found = [decode_assessment(value) for _, value in self.assessments]
        return [one for one in found if isinstance(one, Assessment)]

    def write(self, broker: Broker, folder: Path) -> None:
        """Put everything on fresh topics of one partition, each record as it is."""
        fresh_topics(broker, partitions=1)
        save_artefact(self.model, folder / "model.safetensors")
        producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5})

        def put(topic: str, rows: Sequence[tuple[bytes, bytes]]) -> None:
            for key, value in rows:
                producer.produce(topic, key=key, value=value, partition=0)
            assert producer.flush(30) == 0

        put(topics.SCHEMA, [(schema_id(SCHEMA).encode(), encode_schema(SCHEMA))])
        put(topics.SCHEMA, [(artefact_key(self.model.digest), artefact_content(folder / "model.safetensors"))])
        if self.told is not None:
            put(topics.INVENTORY, [(settings_key(self.told), encode_inventory(self.told))])
        put(topics.TELEMETRY, self.telemetry)
        put(topics.ASSESSMENT, self.assessments)
        put(topics.EVENT, [(JOB.encode(), event) for event in self.events])
        put(topics.COMMAND, [(JOB.encode(), command) for command in self.commands])


def explained_log(policy: PolicySettings = POLICY) -> ExplainedLog:
    """Telemetry through the stage that assesses, its incidents into the story of a job, its commands sealed."""
    log = ExplainedLog(telemetry())
    incidents = _assess(log)
    story = DecisionLog(policy).start(ranks=2, spares=SPARES)
    while incidents or story.at < START + STEPS + 30:
        _carry_out(story, story.train(1))
        while incidents and incidents[0].at <= story.at:
            _carry_out(story, story.put(incidents.pop(0)))
    log.events = [encode_event(event) for event in story.events]
    for command in story.commands:
        raw = encode_command(command)
        log.commands.append(shared_sealer().seal(log.commands[-1] if log.commands else None, raw))
    log.told = InventorySettings(at=1.0, policy=asdict(policy), incident=asdict(INCIDENTS), model=log.model.digest)
    return log


def fold_of(log: ExplainedLog) -> Fold:
    """The fold over the telemetry, as a worker has it."""
    foresight = Foresight(log.model.probability, log.model.horizon_s, log.model.digest)
    return assess_stage({schema_id(SCHEMA): SCHEMA}, foresight, INCIDENTS).restore(0, None)


def telemetry_batch(log: ExplainedLog, start: int = 0, end: int | None = None) -> Batch:
    """Some of the telemetry as a fetch gives it."""
    keys, values = map(list, zip(*log.telemetry[start:end], strict=True))
    return Batch(Partition(topics.TELEMETRY, 0), start, keys, values)


def _assess(log: ExplainedLog) -> list[Incident]:
    incidents = []
    for output in fold_of(log).apply(telemetry_batch(log)):
        if isinstance(output, Outgoing):
            told = decode_event(output.value)
            assert isinstance(told, Incident)
            incidents.append(told)
        else:
            log.assessments.append((output.key, output.value))
    return incidents


def _carry_out(story: DecisionLog, commands: list[Command]) -> None:
    """Every command that is given is done, and so are those that follow from it."""
    while commands:
        command = commands.pop(0)
        if command.action == "CHECKPOINT":
            commands += story.save(command, step=(story.job.step or 0) + 2)
        else:
            commands += story.carry_out(command, step=story.job.step, seconds=2.0)
        commands += story.tick(0.5)


def altered(log: ExplainedLog, step: int, add: float) -> ExplainedLog:
    """The same log, but one frame of n0 tells of a temperature that is higher by so much."""
    rows = list(log.telemetry)
    for at, (key, value) in enumerate(rows):
        told = [] if value[:1] == b"{" else msgspec.msgpack.decode(value)
        if key == b"n0" and told and told[3] == step:
            values = np.frombuffer(told[5], "<f4") + np.float32([0.0, add, 0.0, 0.0])
            rows[at] = key, encode_packed_frame("n0", told[2], step, told[4], values)
    return replace(log, telemetry=rows)
