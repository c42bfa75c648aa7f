"""What checkpoints each k steps cost a job in all: the same loop with and without them, in turns."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from experiments.checkpoint_cost.modes import Saver, Saving, State, saver

STEP_S: Final = 0.02
_WIDTH: Final = 256
_CALIBRATING_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class Loop:
    """A training loop of so many steps, checkpointed each ``every`` of them in turn, each compared ``rounds`` times."""

    steps: int
    every: tuple[int, ...]
    rounds: int


def frequencies(
    state: State, size: int, modes: Sequence[str], folder: Path, loop: Loop, progress: Callable[[], None]
) -> list[dict[str, Any]]:
    """Return a row for each mode and frequency.

    ``overhead`` is the share of the loop's time that checkpoints took, by pairs of neighbouring runs: it holds what
    ``blocking_s`` does not tell, a thread that writes beside the training. The loop computes on one core, as a job does
    whose work is on its GPU.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        step = _Step(state)
        return [row for mode in modes for row in _of_mode(step, size, mode, folder / mode, loop, progress)]
    finally:
        torch.set_num_threads(threads)


def _of_mode(
    step: _Step, size: int, mode: str, folder: Path, loop: Loop, progress: Callable[[], None]
) -> list[dict[str, Any]]:
    taken: dict[int, list[tuple[float, float]]] = {every: [] for every in loop.every}
    saving = saver(mode, folder, size)
    try:
        for number in range(loop.rounds):
            plain = _run(step, loop.steps, None, saving)
            for every in loop.every if number % 2 == 0 else reversed(loop.every):
                taken[every].append((plain, _run(step, loop.steps, every, saving)))
            progress()
    finally:
        saving.close()
    return [_row(mode, size, every, loop, taken[every]) for every in loop.every]


def _row(mode: str, size: int, every: int, loop: Loop, pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    shares = [(taken - plain) / taken for plain, taken in pairs]
    step_s = statistics.median(plain for plain, _ in pairs) / loop.steps
    return {
        "mode": mode,
        "bytes": size,
        "every_steps": every,
        "step_s": round(step_s, 6),
        "interval_s": round(every * step_s, 6),
        "overhead": round(statistics.median(shares), 4),
        "n": len(shares),
        "spread": [round(min(shares), 4), round(max(shares), 4)],
    }


class _Step:
    """One step of a job: work of about ``STEP_S`` that changes its state, as training does."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._tensors = list(state.values())
        self._work = torch.rand(_WIDTH, _WIDTH)
        self._products, self._number = 1, 0
        self._products = max(1, round(STEP_S / self._product_s()))

    def _product_s(self) -> float:
        """Seconds of one product, once the processor has come up to speed."""
        ends = [time.perf_counter()]
        while ends[-1] - ends[0] < _CALIBRATING_S:
            self._multiply()
            ends.append(time.perf_counter())
        return statistics.median(after - before for before, after in itertools.pairwise(ends))

    def __call__(self) -> None:
        self._multiply()
        self._number += 1
        self._tensors[self._number % len(self._tensors)][0].add_(1e-6)

    def _multiply(self) -> None:
        for _ in range(self._products):
            torch.mm(self._work, self._work)


def _run(step: _Step, steps: int, every: int | None, saving: Saver) -> float:
    """Return the seconds of the loop; one that is in flight is waited for before the next, as a job has to."""
    flying: Saving | None = None
    began = time.perf_counter()
    for number in range(steps):
        if every is not None and number % every == every // 2:
            if flying is not None:
                flying.done()
            flying = saving.begin(step.state)
        step()
    took = time.perf_counter() - began
    if flying is not None:
        flying.done()
    return took
