"""What happens to nodes, painted on chunks: each episode causes what it says, where it says, and nothing else."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from experiments.fleet.episodes import Chatter, Episode, Failing, Gap, HotRoom, Idle, Service, covered
from experiments.fleet.latents import CHATTERERS, Latents
from experiments.fleet.schedule import Schedule
from experiments.fleet.spec import FAULT_CLASSES, FleetSpec, ScriptedFault

STEPS, NODES = 40, 4
LONG = 200


def painted(episode: Episode, first: int = 0, steps: int = STEPS) -> Latents:
    latents = Latents.calm(steps, NODES)
    episode.paint(latents, first)
    return latents


def changed(latents: Latents) -> set[str]:
    """The causes that are not as on a calm day."""
    calm = Latents.calm(*latents.load.shape)
    return {f.name for f in fields(Latents) if not np.array_equal(getattr(latents, f.name), getattr(calm, f.name))}


FAILING = Failing(row=1, class_index=0, onset=10, failure=60, back=90, amplitude=1.2, shape=0.5, vanishing=0.1, dark=55)
EPISODES: list[Episode] = [
    FAILING,
    Idle(np.array([0, 2]), 15, 75),
    HotRoom(np.array([0, 1]), 20, 110, 6.0),
    Chatter(3, 5, 95, 1, 0.4),
    Service(2, 12, 30, 66),
    Gap(0, 25, 80),
]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 10, (0, 0)),
        (95, 105, (0, 5)),
        (110, 120, (10, 20)),
        (130, 200, (30, 40)),
        (50, 300, (0, 40)),
        (140, 150, (40, 40)),
    ],
)
def test_what_is_covered_is_the_common_part(start: int, end: int, expected: tuple[int, int]) -> None:
    part = covered(Latents.calm(STEPS, NODES), 100, start, end)
    assert (part.start, part.stop) == expected


@pytest.mark.parametrize("episode", EPISODES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("cut", [1, 7, 64])
def test_painting_in_pieces_is_painting_at_once(episode: Episode, cut: int) -> None:
    whole = painted(episode, 0, LONG)
    pieces = [painted(episode, first, min(cut, LONG - first)) for first in range(0, LONG, cut)]
    for cause in fields(Latents):
        axis = getattr(whole, cause.name).ndim - 2
        joined = np.concatenate([getattr(piece, cause.name) for piece in pieces], axis=axis)
        assert joined == pytest.approx(getattr(whole, cause.name), rel=1e-6), cause.name


@pytest.mark.parametrize("episode", EPISODES, ids=lambda e: type(e).__name__)
def test_nothing_is_left_of_an_episode_after_its_end(episode: Episode) -> None:
    assert changed(painted(episode, episode.end)) == set()
    assert changed(painted(episode, 0, LONG)) != set()


def test_signs_grow_until_the_failure_then_the_node_is_down_then_it_restarts() -> None:
    latents = painted(FAILING, 0, LONG)
    signs = latents.severity[0, :, 1]
    assert not signs[:10].any()
    assert (np.diff(signs[10:60]) > 0).all()
    assert signs[59] == pytest.approx(1.2)
    assert signs[34] == pytest.approx(1.2 * 0.5**0.5)
    assert not signs[60:].any()
    assert (latents.loss[60:90, 1] == 1).all()
    assert not latents.loss[90:].any()
    assert np.argwhere(latents.restarted).tolist() == [[90, 1]]
    assert latents.gpu_loss[54, 1] == pytest.approx(0.1 * 0.9**0.5)
    assert (latents.gpu_loss[55:60, 1] == 1).all()
    assert not latents.gpu_loss[60:].any()
    assert not latents.severity[:, :, [0, 2, 3]].any()


def test_a_sudden_fault_gives_no_sign() -> None:
    sudden = Failing(
        row=1, class_index=0, onset=30, failure=30, back=50, amplitude=1.2, shape=0.5, vanishing=0.1, dark=30
    )
    latents = painted(sudden, 0, LONG)
    assert changed(latents) == {"loss", "restarted", "away"}
    assert (latents.loss[30:50, 1] == 1).all()


def test_an_idle_job_has_no_load_on_its_nodes_alone() -> None:
    latents = painted(Idle(np.array([0, 2]), 5, 9))
    assert changed(latents) == {"load"}
    assert np.argwhere(latents.load == 0).tolist() == [[step, row] for step in range(5, 9) for row in (0, 2)]


def test_a_hot_room_is_warmest_in_its_middle() -> None:
    latents = painted(HotRoom(np.array([0, 1]), 0, 39, 6.0))
    assert changed(latents) == {"ambient"}
    assert latents.ambient[:, 0].argmax() == 19
    assert latents.ambient.max() == pytest.approx(6.0)
    assert latents.ambient[0, 0] < 0.6
    assert latents.ambient[:, 0].tolist() == latents.ambient[:, 1].tolist()
    assert not latents.ambient[:, 2:].any()


def test_two_hot_rooms_add_up() -> None:
    latents = Latents.calm(STEPS, NODES)
    for _ in range(2):
        HotRoom(np.array([0]), 0, 39, 6.0).paint(latents, 0)
    assert latents.ambient.max() == pytest.approx(12.0)


def test_chatter_is_on_one_counter_of_one_node() -> None:
    latents = painted(Chatter(3, 5, 8, 1, 0.4))
    assert changed(latents) == {"chatter"}
    assert np.argwhere(latents.chatter).tolist() == [[1, 5, 3], [1, 6, 3], [1, 7, 3]]


def test_service_ends_load_then_darkens_then_restarts() -> None:
    latents = painted(Service(2, 12, 20, 30))
    assert changed(latents) == {"load", "loss", "restarted", "away"}
    assert np.flatnonzero(latents.load[:, 2] == 0).tolist() == list(range(12, 30))
    assert np.flatnonzero(latents.loss[:, 2]).tolist() == list(range(20, 30))
    assert np.argwhere(latents.restarted).tolist() == [[30, 2]]


def story(spec: FleetSpec, chunks: int, steps: int = 64) -> tuple[Schedule, list[Latents]]:
    schedule = Schedule(spec, np.random.default_rng(spec.seed))
    return schedule, [schedule.chunk(number * steps, steps) for number in range(chunks)]


def test_without_faults_and_look_alikes_only_checkpoints_happen() -> None:
    spec = FleetSpec(nodes=8, seed=1, fault_rate=0, look_alike_rate=0, job_run_mean=1e9, checkpoint_every=50)
    schedule, chunks = story(spec, 10)
    assert set().union(*map(changed, chunks)) == {"writing"}
    writing = np.concatenate([latents.writing for latents in chunks])
    assert writing[:, 0].sum() == pytest.approx(640 / 50 * spec.checkpoint_steps, abs=spec.checkpoint_steps)
    assert (schedule.faults, schedule.benign) == ([], [])


def test_ranks_of_a_job_write_together_and_an_idle_job_does_not_write() -> None:
    spec = FleetSpec(nodes=8, seed=1, fault_rate=0, look_alike_rate=0, job_run_mean=200, checkpoint_every=20)
    _, chunks = story(spec, 20)
    writing, load = (np.concatenate([getattr(latents, name) for latents in chunks]) for name in ("writing", "load"))
    assert (writing[:, :4] == writing[:, :1]).all()
    assert not np.array_equal(writing[:, 0], writing[:, 4])
    assert (load == 0).any()
    assert not writing[load == 0].any()


def test_a_failure_stops_the_job_on_the_other_nodes() -> None:
    spec = FleetSpec(
        nodes=8, fault_rate=0, look_alike_rate=0, job_run_mean=1e9, scripted=(ScriptedFault("n01", "disk", 50, 30),)
    )
    schedule, chunks = story(spec, 2)
    load = np.concatenate([latents.load for latents in chunks])
    assert (load[80:100, [0, 2, 3]] == 0).all()
    assert (load[:, 4:] == 1).all()
    assert (load[:80] == 1).all()
    assert [fault.fault_class for fault in schedule.faults] == ["disk"]


def test_faults_come_at_their_rate() -> None:
    spec = FleetSpec(nodes=400, seed=2, fault_rate=1 / 2_000, burst_share=0, look_alike_rate=0, repair_median=1)
    schedule, _ = story(spec, 32)
    expected = 400 * 32 * 64 / 2_000
    assert len(schedule.faults) == pytest.approx(expected, abs=4 * expected**0.5 + 0.08 * expected)


def test_look_alikes_spare_a_node_that_is_failing_or_down() -> None:
    spec = FleetSpec(nodes=60, seed=2, fault_rate=1 / 300, look_alike_rate=1 / 200)
    schedule, _ = story(spec, 16)
    worked_on = [b for b in schedule.benign if b.kind in ("driver_update", "maintenance")]
    assert worked_on
    for benign in worked_on:
        for fault in (f for f in schedule.faults if f.node == benign.node):
            assert benign.end <= fault.onset or fault.back < benign.start or benign.start <= fault.onset


def test_names_of_causes_are_names_of_metrics() -> None:
    from experiments.fleet.metrics import INDEX

    assert set(CHATTERERS) <= set(INDEX)
    assert len(FAULT_CLASSES) == 7
