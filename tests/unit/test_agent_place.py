"""What a cluster agent takes for its own in a folder that another run has used, and what its rank is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.errors import WrongUse
from connectors.executors import RankRecord, RankState
from infra.agent.job_spec import JobSpec
from infra.agent.place import Place
from infra.agent.rank_server import PATH_BYTES_MAX, socket_path

RECORD = RankRecord(state="running", job="demo", rank=1, pid=41, born=1.0)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    job = JobSpec("demo", ("train",), 4, {"LR": "3e-4", "PATH": "/opt/train/bin"})
    return Place("n0", job, 1, tmp_path, "b:1", 60.0, {"PATH": "/bin", "HOME": "/root"})


def test_what_this_job_left_is_its_own_and_what_another_left_is_not(place: Place) -> None:
    assert place.own(RECORD) is RECORD
    assert place.own(replace(RECORD, job="other")) is None
    assert place.own(None) is None


@pytest.mark.parametrize("state", ["none", "ended", "died", "vacated", "stopped"])
def test_what_runs_no_more_stands_in_nobodys_way(place: Place, state: RankState) -> None:
    place.require_own(replace(RECORD, job="other"), state)


def test_a_running_rank_of_this_job_may_be_taken_over(place: Place) -> None:
    place.require_own(RECORD, "running")


def test_a_running_rank_of_another_job_is_refused_with_its_process_and_the_ways_out(place: Place) -> None:
    with pytest.raises(WrongUse, match=r"rank 1 of other still runs on n0, process 41.*--directory"):
        place.require_own(replace(RECORD, job="other"), "running")


def test_the_job_overrides_what_is_inherited_and_the_agent_overrides_both(place: Place) -> None:
    job = replace(place.job, environment={**place.job.environment, "FORESTALL_RANK": "9"})
    told = replace(place, job=job).environment_of(1, None, 4)
    assert (told["HOME"], told["PATH"], told["LR"]) == ("/root", "/opt/train/bin", "3e-4")
    assert (told["FORESTALL_RANK"], told["FORESTALL_WORLD"]) == ("1", "4")
    assert told["FORESTALL_SOCKET"] == str(socket_path(place.directory))


def test_only_a_restored_rank_is_told_a_step_and_step_nought_counts(place: Place) -> None:
    assert "FORESTALL_RESUME_STEP" not in place.environment_of(1, None, 4)
    assert place.environment_of(1, 0, 4)["FORESTALL_RESUME_STEP"] == "0"
    resized = place.environment_of(2, 360, 3)
    assert (resized["FORESTALL_RESUME_STEP"], resized["FORESTALL_WORLD"]) == ("360", "3")


def test_what_an_agent_inherits_of_a_restart_does_not_reach_its_rank(place: Place) -> None:
    inherited = replace(place, environment={"FORESTALL_RESUME_STEP": "12", "FORESTALL_SOCKET": "/elsewhere"})
    told = inherited.environment_of(1, None, 4)
    assert "FORESTALL_RESUME_STEP" not in told
    assert told["FORESTALL_SOCKET"] != "/elsewhere"


def test_a_socket_too_deep_for_the_platform_lies_elsewhere_always_at_the_same_place(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * PATH_BYTES_MAX)
    found = socket_path(deep)
    assert len(str(found)) <= PATH_BYTES_MAX
    assert found == socket_path(deep)
    assert found != socket_path(deep / "another")
    assert socket_path(Path("/run/n0")) == Path("/run/n0/agent.sock")
