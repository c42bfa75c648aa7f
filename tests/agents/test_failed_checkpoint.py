"""A rank says that its checkpoint came to nothing: the command ends at once, with what the rank said."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_cluster import Cluster

from infra.broker.embedded import Broker

pytestmark = pytest.mark.broker
#: Its first checkpoint fails after it was staged, its second before; the third is well.
RANK = """
import itertools, time
import forestall_client
client, made = forestall_client.connect(), 0
for step in itertools.count(1):
    client.progress(step, 0.5, 0.01)
    if order := client.due(step):
        made += 1
        if made != 2:
            client.ack_staged(step, 0.01, 100, order=order)
        if made == 3:
            client.ack_durable(step, "file:///c", "abc")
        else:
            client.ack_failed(step, "No space left on device " + "x" * 2000, None if made == 1 else order)
    time.sleep(0.01)
"""


@pytest.fixture
def cluster(broker: Broker, topics: object, tmp_path: Path) -> Iterator[Cluster]:
    job = f"failing-{time.time_ns() % 10**9}"
    made = Cluster(broker.bootstrap, tmp_path, job=job, world=1, steps=0, step_s=0.03)
    words = [sys.executable, "-c", RANK, str(made.training)]
    made.spec.write_text(f"[jobs.{job}]\ncommand = {json.dumps(words)}\nworld = 1\n")
    yield made
    made.close()


def test_a_checkpoint_that_came_to_nothing_ends_at_once_and_the_next_one_is_made(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    for stages in (["received", "accepted", "staged", "failed"], ["received", "accepted", "failed"]):
        command = cluster.order("CHECKPOINT", life_s=600.0)
        (failed,) = cluster.stage(command, "failed")
        assert "No space left on device" in (failed.reason or "")
        assert len(failed.reason or "") < 1000
        assert [one.stage for one in cluster.outcomes(command)] == stages
    command = cluster.order("CHECKPOINT")
    cluster.stage(command, "done")
