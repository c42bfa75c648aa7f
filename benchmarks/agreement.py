"""What it costs that the ranks agree on the step of a checkpoint: the same training with it and without, interleaved.

``python -m benchmarks.agreement [RANKS]`` trains the GPT of ``sdk/examples/torch_gpt`` in processes that talk by gloo.
In each round all variants (no agreement; one each k steps) take a block of steps, in an order that changes; a round's
ratio is the variant's time by that of the block without. Told are the median of the rounds and the quartiles around it,
the same for a second block without (what the measure itself scatters), and the time of one all-reduce of eight bytes
between ranks that do nothing else. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import forestall_client
import torch
import torch.distributed as dist
from forestall_client.torch import Agreement

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk" / "examples"))
from torch_gpt.model import Trainer

RANKS, ROUNDS, BLOCK_STEPS, CALLS = 4, 20, 10, 400
#: Steps between two agreements, by the name of the variant; 0: none.
VARIANTS = {"without": 0, "without again": 0, "each step": 1, "each 4 steps": 4, "each 16 steps": 16}


def block(trainer: Trainer, agreement: Agreement | None) -> float:
    """Train ``BLOCK_STEPS`` steps; return the seconds a step."""
    dist.barrier()
    began = time.perf_counter()
    for _ in range(BLOCK_STEPS):
        gradient = trainer.local_gradient(dist.get_rank(), dist.get_world_size())
        dist.all_reduce(gradient)
        trainer.apply(gradient[:-1])
        if agreement is not None:
            agreement.due(trainer.step)
    return (time.perf_counter() - began) / BLOCK_STEPS


def measure() -> dict[str, Any]:
    """Take all rounds on this rank; return seconds a step by variant and round, and those of single agreements."""
    trainer, client = Trainer(7), forestall_client.connect({})
    by_name = {name: Agreement(client, k) if k else None for name, k in VARIANTS.items()}
    block(trainer, None)
    steps: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for turn in range(ROUNDS):
        names = list(VARIANTS)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            steps[name].append(block(trainer, by_name[name]))
    single, calls = Agreement(client), []
    for step in range(CALLS):
        began = time.perf_counter()
        single.due(step)
        calls.append(time.perf_counter() - began)
    return {"steps": steps, "calls": calls}


def rank(number: int, ranks: int, folder: str) -> None:
    """Measure as one rank; the first writes down what it saw."""
    store = dist.FileStore(f"{folder}/store", ranks)
    dist.init_process_group("gloo", store=store, rank=number, world_size=ranks, timeout=timedelta(seconds=120))
    seen = measure()
    if number == 0:
        Path(folder, "seen.json").write_text(json.dumps(seen))
    dist.barrier()
    dist.destroy_process_group()


def run(ranks: int) -> dict[str, Any]:
    """Fork the ranks, so that torch is imported once, and return what the first one saw."""
    with tempfile.TemporaryDirectory() as folder:
        children = []
        for number in range(ranks):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    rank(number, ranks, folder)
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
        codes = [os.waitpid(child, 0)[1] for child in children]
        if any(codes):
            raise SystemExit("a rank failed")
        seen: dict[str, Any] = json.loads(Path(folder, "seen.json").read_text())
        return seen


def summary(seen: dict[str, Any]) -> dict[str, Any]:
    """Turn what was seen into ratios and their quartiles."""
    base = seen["steps"]["without"]
    rows = []
    for name, k in list(VARIANTS.items())[1:]:
        ratios = [one / other for one, other in zip(seen["steps"][name], base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows.append({"variant": name, "every": k, "ratio": middle, "low": low, "high": high})
    calls = sorted(seen["calls"])
    return {
        "step_s": statistics.median(base),
        "rows": rows,
        "all_reduce_s": {"median": statistics.median(calls), "p95": calls[int(0.95 * len(calls))]},
    }


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    ranks = int(sys.argv[1]) if len(sys.argv) > 1 else RANKS
    told = {"ranks": ranks, "rounds": ROUNDS, "steps": BLOCK_STEPS, **summary(run(ranks))}
    print(
        f"{ranks} ranks, {ROUNDS} rounds of {BLOCK_STEPS} steps a variant, {1e3 * told['step_s']:.2f} ms a step without"
    )
    for row in told["rows"]:
        print(f"{row['variant']:>14}: {row['ratio']:.4f} × without  (quartiles {row['low']:.4f} … {row['high']:.4f})")
    call = told["all_reduce_s"]
    print(f"one agreement: {1e6 * call['median']:.0f} µs, p95 {1e6 * call['p95']:.0f} µs")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
