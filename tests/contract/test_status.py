"""forestall status on a real broker: what workers know, what has come since, and what a worker that is gone left."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from living_cluster import LivingCluster
from topics_on import fresh_topics
from worker_process import DEADLINE_S, lively_artefact, wait_until_written, worker

from connectors.artefacts import load_artefact
from connectors.codecs.records import brake_key, encode_inventory
from connectors.kafka import topics
from connectors.kafka.put import put
from infra.broker.embedded import Broker
from infra.cli.main import main
from infra.status.reading import read_status
from infra.status.replaying import replay
from models.calibration import Platt
from models.diagnostics.probability_stuck import looked_at
from models.limits import RANGE_FRAMES
from models.mlp import Layer
from models.policy_settings import PolicySettings
from models.records import InventoryPause

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

PARTITIONS = 2
LIVED_S = RANGE_FRAMES + 20
T = TypeVar("T")


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """Undo what ``main`` does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def wait_for(what: str, look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = look()
        if found is not None:
            return found
        assert time.monotonic() < deadline, f"{what} did not come in {DEADLINE_S} s"
        time.sleep(0.1)


def status(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["status", "--json", *words]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_what_the_workers_know_is_told_and_outlives_them(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh_topics(broker, PARTITIONS)
    cluster = LivingCluster(broker.bootstrap, PARTITIONS, seed=5)
    asked = ["--brokers", broker.bootstrap]
    before = status(capsys, *asked)
    assert before["policy"] is None
    assert before["workers"]["seen"] is False
    cluster.live(LIVED_S)
    artefact = lively_artefact(tmp_path / "lively.safetensors")
    settings = [f"predictor.artefact={artefact}", "worker.ticks=source", "worker.snapshot_s=0.5"]
    settings += ["policy.level=checkpoint", "policy.checkpoint=young", "policy.node_mtbf_days=0.05"]
    with worker(broker.bootstrap, tmp_path / "worker.log", *settings) as running:
        wait_until_written(broker.bootstrap, topics.COMMAND, 1, running)

        def measured() -> bool | None:
            cluster.live(1)
            jobs = status(capsys, *asked)["jobs"]
            return True if all("checkpoint_cost_s" in job["prices"]["measured"] for job in jobs) else None

        wait_for("a checkpoint of each job", measured)

        def caught_up() -> dict[str, Any] | None:
            assert running.alive(), running.log.read_text()[-2000:]
            found = status(capsys, *asked)
            snapshots = [one["snapshot"] for one in found["workers"]["partitions"]]
            return found if None not in snapshots and found["workers"]["lag"] == 0 else None

        told = wait_for("a worker that has caught up", caught_up)
        _all_is_told(told, cluster)
        paused = InventoryPause(job=None, at=cluster.at, paused=True, by="ann", why="maintenance")
        put(broker.bootstrap, topics.INVENTORY, brake_key(paused), encode_inventory(paused))
        braked = wait_for("the pause", lambda: status(capsys, *asked)["brakes"]["pauses"].get("*"))
        assert (braked["by"], braked["why"]) == ("ann", "maintenance")
    _features_can_be_replayed(broker, artefact)
    _what_came_since_is_told(broker, cluster, capsys, told)


def _all_is_told(told: dict[str, Any], cluster: LivingCluster) -> None:
    assert told["policy"] == {"level": "checkpoint", "checkpoint": "young", "migration": "break-even"}, (
        "the workers' own"
    )
    assert {job["job"] for job in told["jobs"]} == set(cluster.jobs)
    for job in told["jobs"]:
        mine = cluster.jobs[job["job"]]
        assert {one["rank"]: one["node"] for one in job["ranks"]} == mine.places
        assert [one["node"] for one in job["spares"]] == mine.spares
        assert job["step"] == mine.step
        assert job["prices"]["checkpoint_cost_s"] == 0.2
    assert told["dead_letters"] > 0, "the stream holds some nonsense"
    assert told["assessments"]["nodes"] == 40
    assert sum(told["assessments"]["verdicts"].values()) == 40
    assert len(told["models"]["active"]) == 1
    assert {one["topic"] for one in told["workers"]["partitions"]} == {topics.TELEMETRY, topics.EVENT}
    assert len(told["workers"]["partitions"]) == 2 * PARTITIONS
    names = [(one["name"], one["job"]) for one in told["diagnostics"]]
    assert names[0] == ("probability-stuck", None)
    assert {job for name, job in names if name == "checkpoint-overhead"} == set(cluster.jobs)


def _features_can_be_replayed(broker: Broker, artefact: Path) -> None:
    served = load_artefact(artefact)
    predictor, features = replay(broker.bootstrap, served)
    assert predictor is not None
    assert predictor.digest == served.digest
    assert features is not None
    assert features.shape == (40, len(served.feature_names))
    sound = load_artefact()
    features = features[:, [served.feature_names.index(name) for name in sound.feature_names]]
    first = sound.layers[0]
    weak = replace(sound, layers=(Layer(first.weight * 1e-4, first.bias), *sound.layers[1:]))
    assert looked_at(sound, features)[0] not in {"scaling", "weights", "calibration"}
    assert looked_at(replace(sound, std=sound.std * 1e5), features)[0] == "scaling"
    assert looked_at(weak, features)[0] == "weights"
    assert looked_at(replace(sound, calibration=Platt(0.0, 0.0)), features)[0] == "calibration"


def _what_came_since_is_told(
    broker: Broker, cluster: LivingCluster, capsys: pytest.CaptureFixture[str], before: dict[str, Any]
) -> None:
    """No worker lives: the log goes on, and what is told goes on with it."""
    cluster.live(4)
    told = status(capsys, "--brokers", broker.bootstrap)
    assert told["workers"]["lag"] > 0
    assert told["as_of"] == cluster.at - 1
    assert told["as_of"] > before["as_of"]
    assert {job["job"]: job["step"] for job in told["jobs"]} == {name: job.step for name, job in cluster.jobs.items()}
    assert told["brakes"]["pauses"]["*"]["holds"] is True
    assert main(["status", "--brokers", broker.bootstrap]) == 0
    said = capsys.readouterr().out
    assert "records behind" in said
    assert "paused: everything" in said
    cluster.last_words()


def test_reading_writes_nothing_and_joins_nothing(broker: Broker, topics: Any) -> None:
    from confluent_kafka.admin import AdminClient

    from infra.observer.reader import log_ends

    names = [spec.name for spec in topics]
    before = log_ends(broker.bootstrap, names)
    reading = read_status(broker.bootstrap, "a-group-of-its-own", PolicySettings())
    assert log_ends(broker.bootstrap, names) == before
    groups = AdminClient({"bootstrap.servers": broker.bootstrap}).list_consumer_groups().result().valid
    assert "a-group-of-its-own" not in {group.group_id for group in groups}
    assert all(one.committed is None for one in reading.positions)


def test_brokers_that_do_not_answer_are_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--brokers", "127.0.0.1:9"]) == 3
    assert "127.0.0.1:9" in capsys.readouterr().err


def test_without_a_broker_none_is_started_and_the_last_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["status", "--set", f"broker.directory={tmp_path}"]
    assert main(asked) == 3
    assert "forestall up" in capsys.readouterr().err
    run = tmp_path / "runs" / "yesterday"
    run.mkdir(parents=True)
    (run / "server.properties").write_text("")
    assert main(asked) == 3
    said = capsys.readouterr().err
    assert "forestall broker start" in said
    assert "yesterday" in said
