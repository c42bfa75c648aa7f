"""What is measured, in the long form and in the short one, and in which order."""

from __future__ import annotations

import gc
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.checkpoint_cost.frequencies import Loop, frequencies
from experiments.checkpoint_cost.modes import MODES, saver
from experiments.checkpoint_cost.peer_memory import available
from experiments.checkpoint_cost.restore import loads
from experiments.checkpoint_cost.room import filesystem_of, lacking, load
from experiments.checkpoint_cost.sample import row
from experiments.checkpoint_cost.weights import total_bytes, weights

#: Sizes from here on are measured ``repeat_large`` times.
LARGE_BYTES = 400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes in bytes, repetitions of each, and the loop that is checkpointed at several frequencies."""

    sizes: tuple[int, ...]
    repeat: int
    repeat_large: int
    loop_bytes: int
    loop: Loop

    def repeats(self, size: int) -> int:
        """How often checkpoints of this size are made."""
        return self.repeat_large if size >= LARGE_BYTES else self.repeat

    @property
    def turns(self) -> int:
        """How many times progress is told."""
        return sum(self.repeats(size) for size in self.sizes) + len(MODES) * self.loop.rounds


LONG = Plan(
    sizes=(10_000_000, 100_000_000, 500_000_000, 2_000_000_000),
    repeat=5,
    repeat_large=3,
    loop_bytes=100_000_000,
    loop=Loop(steps=50, every=(5, 10, 25), rounds=3),
)
QUICK = Plan(
    sizes=(1_000_000, 4_000_000, 10_000_000),
    repeat=3,
    repeat_large=2,
    loop_bytes=4_000_000,
    loop=Loop(steps=10, every=(2, 5), rounds=2),
)


def measured(plan: Plan, folder: Path, progress: Callable[[], None]) -> dict[str, Any]:
    """Measure in a new folder below ``folder``, which is removed; what there is no room for is left out, and said."""
    told: dict[str, Any] = {"rows": [], "loads": [], "frequencies": [], "left_out": [], "load_before": load()}
    modes = [mode for mode in MODES if mode != "in-memory" or available()]
    if len(modes) < len(MODES):
        told["left_out"].append({"mode": "in-memory", "why": "this system shares no anonymous memory by file handle"})
    with _one_process(), tempfile.TemporaryDirectory(prefix="forestall-checkpoint-cost-", dir=folder) as own:
        for size in plan.sizes:
            why = lacking(size, folder)
            if why is None:
                _one_size(plan, size, modes, Path(own), told, progress)
            else:
                told["left_out"].append({"bytes": size, "why": why})
        why = lacking(plan.loop_bytes, folder)
        if why is not None:
            told["left_out"].append({"bytes": plan.loop_bytes, "why": f"the loop: {why}"})
        else:
            state = weights(plan.loop_bytes)
            told["frequencies"] = frequencies(state, total_bytes(state), modes, Path(own) / "loop", plan.loop, progress)
    return {**told, "filesystem": filesystem_of(folder)}


def _one_size(
    plan: Plan, size: int, modes: list[str], folder: Path, told: dict[str, Any], progress: Callable[[], None]
) -> None:
    """Take the modes in turns, so that what changes on the machine meanwhile falls on all of them alike."""
    state = weights(size)
    exact = total_bytes(state)
    savers = {mode: saver(mode, folder / f"{size}-{mode}", exact) for mode in modes}
    samples: dict[str, list[Any]] = {mode: [] for mode in modes}
    try:
        for _ in range(plan.repeats(size)):
            for mode, saving in savers.items():
                samples[mode].append(saving.begin(state).done())
            progress()
    finally:
        for saving in savers.values():
            saving.close()
    told["rows"] += [row(exact, mode, samples[mode]) for mode in modes]
    told["loads"].append(loads(state, exact, folder / f"{size}-load", min(2, plan.repeats(size))))
    del state
    gc.collect()


@contextmanager
def _one_process() -> Iterator[None]:
    """Keep torch, whose threads write, from saying at each checkpoint that there is one process only: it is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
