"""A checkpoint directory is good or absent: whatever byte is cut or changed, and whichever rank has not come so far."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from forestall_client import sealed

SDK = Path(sealed.__file__).parent


def made(directory: Path, step: int, world: int = 2, only: range | None = None) -> Path:
    """Write a checkpoint of ``world`` ranks, sealed by those in ``only``."""
    path = directory / sealed.name_of(step)
    path.mkdir(parents=True)
    for rank in range(world):
        (path / f"part-{rank}").write_bytes(f"{step} of rank {rank}".encode() * 3)
    for rank in only if only is not None else range(world):
        sealed.seal(path, step, rank, world, [path / f"part-{rank}"])
    return path


def test_the_newest_good_one_is_found_and_its_step_is_told(tmp_path: Path) -> None:
    assert sealed.newest_good(tmp_path) is None
    made(tmp_path, 9)
    newer = made(tmp_path, 10)
    assert sealed.newest_good(tmp_path) == (10, newer)
    assert sealed.require_good(newer) == 10


def test_the_digest_that_is_acknowledged_is_the_one_that_the_seal_begins_with(tmp_path: Path) -> None:
    path = made(tmp_path, 3, world=1, only=range(0))
    digest = sealed.seal(path, 3, 0, 1, [path / "part-0"])
    assert (path / "rank-0.seal").read_text().splitlines()[0] == digest
    assert len(digest) == 64


@pytest.mark.parametrize("name", ["part-0", "part-1", "rank-0.seal", "rank-1.seal"])
def test_cut_at_any_byte_it_is_never_taken_for_a_good_one(tmp_path: Path, name: str) -> None:
    older = made(tmp_path, 1)
    file = made(tmp_path, 2) / name
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert sealed.newest_good(tmp_path) == (1, older), f"{name} cut to {length} bytes was taken"
    file.write_bytes(whole)
    assert sealed.newest_good(tmp_path) == (2, file.parent)


@pytest.mark.parametrize("name", ["part-0", "part-1", "rank-0.seal", "rank-1.seal"])
def test_altered_in_any_byte_it_is_never_taken_for_a_good_one(tmp_path: Path, name: str) -> None:
    older = made(tmp_path, 1)
    file = made(tmp_path, 2) / name
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert sealed.newest_good(tmp_path) == (1, older), f"{name} changed at byte {place} was taken"


@pytest.mark.parametrize("name", ["part-0", "rank-0.seal", "rank-1.seal"])
def test_longer_than_it_was_or_gone_it_is_not_good(tmp_path: Path, name: str) -> None:
    file = made(tmp_path, 2) / name
    with file.open("ab") as more:
        more.write(b"\n")
    assert sealed.newest_good(tmp_path) is None
    file.unlink()
    assert sealed.newest_good(tmp_path) is None


def test_without_the_seal_of_every_rank_it_is_not_good(tmp_path: Path) -> None:
    path = made(tmp_path, 5, world=3, only=range(2))
    with pytest.raises(sealed.NotGood, match="no seal of rank 2"):
        sealed.require_good(path)
    sealed.seal(path, 5, 2, 3, [path / "part-2"])
    assert sealed.require_good(path) == 5


def test_seals_of_two_attempts_or_of_another_world_or_step_make_no_checkpoint(tmp_path: Path) -> None:
    ours = made(tmp_path, 5)
    for step, world in ((5, 3), (6, 2)):
        other = made(tmp_path / "other", step, world)
        shutil.copy(other / "rank-1.seal", ours / "rank-1.seal")
        with pytest.raises(sealed.NotGood, match="not of one checkpoint"):
            sealed.require_good(ours)
    shutil.copy(ours / "rank-0.seal", ours / "rank-1.seal")
    with pytest.raises(sealed.NotGood, match="not of one checkpoint"):
        sealed.require_good(ours)


def test_under_the_name_of_another_step_it_is_not_good(tmp_path: Path) -> None:
    path = made(tmp_path, 5)
    renamed = path.rename(tmp_path / sealed.name_of(6))
    with pytest.raises(sealed.NotGood, match="of step 5"):
        sealed.require_good(renamed)


def test_a_seal_of_another_version_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "VERSION", 2)
    path = made(tmp_path, 5)
    assert sealed.require_good(path) == 5
    monkeypatch.undo()
    with pytest.raises(sealed.NotGood, match="version 2, and this reads 1"):
        sealed.require_good(path)


def test_each_attempt_has_a_directory_of_its_own(tmp_path: Path) -> None:
    assert len({sealed.name_of(7) for _ in range(100)}) == 100
    broken_off = made(tmp_path, 7, only=range(1))
    whole = made(tmp_path, 7)
    assert sealed.newest_good(tmp_path) == (7, whole)
    assert {one.path for one in sealed.found(tmp_path)} == {broken_off, whole}


def test_the_two_newest_stay_and_what_was_broken_off_before_them_goes(tmp_path: Path) -> None:
    gone = [made(tmp_path, 1), made(tmp_path, 2), made(tmp_path, 3, only=range(1)), made(tmp_path, 4, only=range(0))]
    stay = [made(tmp_path, 3), made(tmp_path, 4)]
    under_way = made(tmp_path, 5, only=range(1))
    sealed.remove_older(tmp_path)
    assert {one.path for one in sealed.found(tmp_path)} == {*stay, under_way}
    assert not any(one.exists() for one in gone)


def test_nothing_is_removed_while_there_is_no_good_one(tmp_path: Path) -> None:
    made(tmp_path, 1, only=range(1))
    made(tmp_path, 2, only=range(1))
    sealed.remove_older(tmp_path)
    assert len(sealed.found(tmp_path)) == 2


def test_what_is_no_checkpoint_is_left_alone(tmp_path: Path) -> None:
    for name in ("step-x", "final-model", "checkpoint-", "a-file"):
        (tmp_path / name).mkdir()
    made(tmp_path, 1)
    made(tmp_path, 2)
    made(tmp_path, 3)
    sealed.remove_older(tmp_path)
    assert len(list(tmp_path.iterdir())) == 6


def test_the_ranks_share_out_all_files_that_a_framework_has_written(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint-12"
    (path / "deep").mkdir(parents=True)
    names = ["a", "b", "c", "deep/d", "rng_state_1.pth"]
    for name in names:
        (path / name).write_text(name)
    for rank in range(3):
        assert sealed.newest_good(tmp_path) is None
        sealed.seal_share(path, 12, rank, 3)
    assert sealed.newest_good(tmp_path) == (12, path)
    listed = [name for one in sealed.all_seals(path) for name in one["files"]]
    assert sorted(listed) == sorted(names)
    for name in names:
        (path / name).write_text("else")
        assert sealed.newest_good(tmp_path) is None
        (path / name).write_text(name)


def test_sealed_again_it_is_good_again(tmp_path: Path) -> None:
    path = made(tmp_path, 4)
    (path / "part-0").write_text("written again")
    assert sealed.newest_good(tmp_path) is None
    sealed.seal(path, 4, 0, 2, [path / "part-0"])
    assert sealed.newest_good(tmp_path) == (4, path)


def test_the_core_needs_the_standard_library_alone() -> None:
    for name in ("__init__", "client", "sealed"):
        for node in ast.walk(ast.parse((SDK / f"{name}.py").read_text())):
            if isinstance(node, ast.Import):
                roots = [one.name.partition(".")[0] for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                roots = [(node.module or "").partition(".")[0]]
            else:
                continue
            foreign = set(roots) - sys.stdlib_module_names - {"forestall_client"}
            assert not foreign, f"{name}.py imports {foreign}"


def test_importing_the_client_loads_no_framework() -> None:
    code = "import sys, forestall_client, forestall_client.sealed; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    loaded = {name.partition(".")[0] for name in told}
    assert "forestall_client" in loaded
    assert not {"torch", "numpy", "transformers", "lightning"} & loaded
