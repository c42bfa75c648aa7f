"""The owner's job file: what is read, and that every fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.errors import WrongUse
from infra.agent.job_spec import load_job

TWO = '[jobs.a]\ncommand = ["x", "y"]\nworld = 4\nenvironment = { K = "v" }\n[jobs.b]\ncommand = ["z"]\nworld = 1\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "jobs.toml"
    path.write_text(text)
    return path


def test_a_job_is_read(tmp_path: Path) -> None:
    job = load_job(write(tmp_path, TWO), "a")
    assert (job.name, job.command, job.world, dict(job.environment)) == ("a", ("x", "y"), 4, {"K": "v"})


@pytest.mark.parametrize(
    ("more", "declared"),
    [("", (None, None)), ("min_nodes = 2\n", (2, 1)), ("min_nodes = 2\nreplica_nodes = 2\n", (2, 2))],
)
def test_a_job_says_to_how_few_it_may_shrink_or_that_it_never_does(
    tmp_path: Path, more: str, declared: tuple[int | None, int | None]
) -> None:
    job = load_job(write(tmp_path, f'[jobs.a]\ncommand = ["x"]\nworld = 4\n{more}'), None)
    assert (job.min_nodes, job.replica_nodes) == declared


def test_the_only_job_needs_no_name(tmp_path: Path) -> None:
    assert load_job(write(tmp_path, '[jobs.only]\ncommand = ["x"]\nworld = 2\n'), None).name == "only"


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (TWO, None, ["several jobs", "--job", "a, b"]),
        (TWO, "c", ["no job 'c'", "a, b"]),
        ("", None, ["names no job"]),
        ("jobs = 3\n", None, ["names no job"]),
        ("[jobs\n", None, ["not valid TOML"]),
        ("jobs = { a = 3 }\n", None, ["no section"]),
        (
            '[jobs.a]\ncommand = "x"\nworld = 0\nwrold = 4\nenvironment = { A = 1 }\n',
            None,
            ["'wrold'", "command is 'x'", "world is 0", "environment is"],
        ),
        ("[jobs.a]\ncommand = []\nworld = true\n", None, ["command is []", "world is True"]),
        ("[jobs.a]\ncommand = ['x']\nworld = 4\nmin_nodes = 5\n", None, ["min_nodes is 5", "at most world"]),
        ("[jobs.a]\ncommand = ['x']\nworld = 4\nmin_nodes = 0\n", None, ["min_nodes is 0"]),
        ("[jobs.a]\ncommand = ['x']\nworld = 4\nmin_nodes = true\n", None, ["min_nodes is True"]),
        ("[jobs.a]\ncommand = ['x']\nworld = 4\nmin_nodes = 2\nreplica_nodes = 'a'\n", None, ["replica_nodes is 'a'"]),
        ("[jobs.a]\ncommand = ['x']\nworld = 4\nreplica_nodes = 2\n", None, ["min_nodes, to how few, is missing"]),
    ],
)
def test_every_fault_is_named(tmp_path: Path, text: str, name: str | None, words: list[str]) -> None:
    with pytest.raises(WrongUse) as told:
        load_job(write(tmp_path, text), name)
    for word in words:
        assert word in str(told.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"nowhere\.toml cannot be read"):
        load_job(tmp_path / "nowhere.toml", None)
