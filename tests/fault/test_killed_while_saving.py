"""Real saving processes are killed at random moments: what was called durable is always there, and what loads is whole.

``SAVES_KILLED=40`` kills more of them (``make torch``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch_process

pytest.importorskip("torch", reason="the saving is torch's")
pytestmark = pytest.mark.torch

KILLS = int(os.environ.get("SAVES_KILLED", "5"))
SAVER = Path(__file__).parents[1] / "killed_saver.py"


@pytest.mark.timeout(60 + 30 * KILLS)
@pytest.mark.parametrize("world", [1, 2])
def test_no_kill_loses_a_durable_checkpoint_or_makes_half_a_one_good(tmp_path: Path, world: int) -> None:
    seed = 11 + world
    words = [sys.executable, str(SAVER), str(tmp_path), str(KILLS), str(world), str(seed)]
    ran = subprocess.run(words, env=torch_process.environment(), capture_output=True, text=True)
    print(ran.stdout)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(found) == KILLS
    for before, after in zip([{"good": 0}, *found], found, strict=False):
        assert after["durable"] > before["good"], f"seed {seed}: nothing was saved before the kill"
        assert after["good"] >= after["durable"], f"seed {seed}: a durable checkpoint was lost"
        assert after["whole"], f"seed {seed}: what was loaded is not what was saved"
    assert any(one["half"] for one in found), f"seed {seed}: no kill fell into a save"
