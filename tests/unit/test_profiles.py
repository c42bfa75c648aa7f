"""Profiles: those that ship can be read, and a user's own is refused with every fault named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments.policy_lab import Profile, load_profile, profile_names

SMALL = 'name = "mine"\nnodes = 32\nmtbf_s = 415584.0\ncost_s = 10\n'


def written(folder: Path, text: str) -> Path:
    """A user's own profile."""
    path = folder / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_is_whole(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.nodes * profile.gpus_per_node in {256, 2048, 16_384}


def test_the_shipped_ones_are_those_that_were_announced() -> None:
    assert set(profile_names()) == {"llama3-16k", "llama3-16k-ample", "rsc-2k", "small-256"}


def test_ample_differs_by_its_pool_alone() -> None:
    scarce, ample = load_profile("llama3-16k"), load_profile("llama3-16k-ample")
    assert (scarce.spares, ample.spares) == (16, None)
    assert {key for key in Profile.__slots__ if getattr(scarce, key) != getattr(ample, key)} == {"name", "spares"}


def test_a_file_of_its_own_needs_three_numbers(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path, "nodes = 32\nmtbf_s = 415584.0\ncost_s = 10\n"))
    assert (profile.name, profile.nodes, profile.spares, profile.cost_s) == ("mine", 32, None, 10)


def test_every_fault_is_named_with_file_and_key(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'nodes = 0\ncost_s = -5.0\nprecision = 1.5\nspare = 3\ndays = "sixty"\nspares = 1.5\nmin_nodes = 16\n',
    )
    with pytest.raises(ValueError, match=r"mine\.toml") as refused:
        load_profile(path)
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    for key in ("nodes", "cost_s", "precision", "spare", "days", "spares", "mtbf_s", "min_nodes, replica_nodes"):
        assert sum(bool(re.match(rf"{re.escape(str(path))}: {key}: ", line)) for line in lines) == 1, key


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cost_s = -1.0", "cost_s: must be above 0"),
        ("durable_s = -1", "durable_s: must be at least 0"),
        ("mtbf_s = inf", "mtbf_s: must be finite"),
        ("recall = 1.1", "recall: must be at most 1"),
        ("precision = 0.0", "precision: must be above 0"),
        ("spares = -1", "spares: must not be negative"),
        ("spares = true", "spares: must be a whole number"),
        ("name = 3", "name: must be text"),
        ("min_nodes = 64\nreplica_nodes = 16", "min_nodes: must not exceed nodes"),
        ("min_nodes = 24\nreplica_nodes = 16", "replica_nodes: nodes and min_nodes must be multiples"),
    ],
)
def test_a_value_out_of_range_is_refused(tmp_path: Path, line: str, said: str) -> None:
    kept = [one for one in SMALL.splitlines() if one.split(" =")[0] != line.split(" =")[0]]
    with pytest.raises(ValueError, match=re.escape(said)):
        load_profile(written(tmp_path, "\n".join([*kept, line])))


def test_what_is_no_toml_and_what_is_no_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not TOML"):
        load_profile(written(tmp_path, "nodes ="))
    with pytest.raises(ValueError, match="neither a shipped profile"):
        load_profile("llama4")
