"""Makes the logs under ``tests/golden``: seeded telemetry of two nodes, and the story of a job that loses one.

Run only by ``REWRITE_GOLDEN=1 pytest tests/golden``; the committed files, not this, are what the tests read.
"""

from __future__ import annotations

import numpy as np
from decision_log import DecisionLog

from connectors.codecs.frames import encode_json_frame, encode_packed_frame, schema_id
from connectors.codecs.records import encode_event, encode_member, encode_tick
from models.policy_settings import PolicySettings
from models.records import Command, Frame
from models.telemetry import Schema

START = 1_700_000_000.0
SCHEMA = Schema.of_names(("gpu0.ecc_total", "gpu0.temp_c", "link_crc_total", "power_w"))
STEPS = 300
FAULT = range(262, 272)


def telemetry() -> list[tuple[bytes, bytes]]:
    """(key, value): n0 in JSON is hot for ten frames, n1 in packed frames falls silent; some late, some nonsense."""
    random = np.random.default_rng(20261124)
    log = [(b"n0", encode_member("n0", "llama", START))]
    totals = np.zeros(4)
    for step in range(STEPS):
        totals += random.poisson(0.1, 4)
        values = np.where(SCHEMA.counters, totals, random.normal(65.0, 2.0, 4)).round(3)
        hot = values + np.where(step in FAULT, [0.0, 25.0, 0.0, 30.0], 0.0)
        ts = START + step
        frames = [
            (b"n0", encode_json_frame(Frame("n0", ts, step, dict(zip(SCHEMA.metrics, hot.tolist(), strict=True)))))
        ]
        if step < 270 and step % 50 != 7:
            packed = np.where(random.random(4) < 0.01, np.nan, values).astype(np.float32)
            frames.append((b"n1", encode_packed_frame("n1", ts, step, schema_id(SCHEMA), packed)))
        log += frames if step % 10 else frames[::-1]
        if step % 40 == 39:
            log[-1], log[-2] = log[-2], log[-1]
            log += [log[-1], (b"x", b"{nonsense")]
        if step % 5 == 0:
            log.append((b"tick", encode_tick(ts, history=step < 60)))
    return log


def decisions() -> list[tuple[bytes, bytes]]:
    """(key, value): regular checkpoints, an alarm that comes true, and one that is trusted for it: a whole rescue."""
    policy = PolicySettings(level="migrate", node_mtbf_days=0.05, checkpoint_cost_s=0.2, migration_s=45.0)
    story = DecisionLog(policy).start(ranks=4, spares=("s0", "s1", "s2"))
    _carry_out(story, story.train(60))
    _carry_out(story, story.incident("n1", probability=0.6))
    _carry_out(story, story.train(30))
    _carry_out(story, story.fate("n1"))
    _carry_out(story, story.incident("n1", "closed", probability=0.1))
    _carry_out(story, story.train(40))
    _carry_out(story, story.incident("n2", probability=0.6))
    _carry_out(story, story.train(5) + story.incident("n2", "changed", probability=0.95))
    _carry_out(story, story.train(15))
    story.incident("n2", "closed", probability=0.1)
    _carry_out(story, story.train(20))
    return [(b"gpt", encode_event(event)) for event in story.events]


def _carry_out(story: DecisionLog, commands: list[Command]) -> None:
    """Every command that is given is done, and so are those that follow from it."""
    while commands:
        command = commands.pop(0)
        if command.action == "CHECKPOINT":
            commands += story.save(command, step=(story.job.step or 0) + 2)
        else:
            commands += story.carry_out(command, step=story.job.step, seconds=60.0)
        commands += story.tick(0.5)
