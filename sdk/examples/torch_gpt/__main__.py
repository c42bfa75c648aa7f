"""Run one rank; which one stands in the environment that the cluster agent has set."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    """Train; exit 0 at the end, 1 when the checkpoint to take up is not there or this rank has a later life."""
    parser = argparse.ArgumentParser(prog="torch_gpt", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="shared by all ranks")
    parser.add_argument("--steps", type=int, default=0, help="end after so many; 0: never")
    parser.add_argument("--step-s", type=float, default=0.0, help="seconds a step, at least")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--own-every", type=int, default=2000, help="checkpoint unasked every so many steps")
    parser.add_argument("--agree-every", type=int, default=1, help="steps between two looks at what is ordered")
    parser.add_argument("--final", type=Path, help="write step and sha256 of the last weights here")
    chosen = parser.parse_args()
    resume = os.environ.get("FORESTALL_RESUME_STEP")
    world = int(os.environ.get("FORESTALL_WORLD", "1"))

    import forestall_client
    from forestall_client.sealed import newest_good

    newest = newest_good(chosen.directory / "checkpoints")
    if resume and int(resume) > (newest.step if newest else 0):
        print(f"torch_gpt: no good checkpoint of step {resume} in {chosen.directory / 'checkpoints'}", file=sys.stderr)
        return 1
    client = forestall_client.connect()  # before torch, which takes seconds: the cluster agent hears of us at once
    import torch

    from torch_gpt.job import Lost, Plan, Rank
    from torch_gpt.model import BATCH
    from torch_gpt.rendezvous import Superseded

    torch.set_num_threads(1)  # so small a model gains nothing from threads, and one thread adds in one order
    if world > BATCH:
        parser.error(
            f"a step has {BATCH} sequences: no more ranks than that can share it, and FORESTALL_WORLD is {world}"
        )
    plan = Plan(
        directory=chosen.directory,
        rank=int(os.environ.get("FORESTALL_RANK", "0")),
        world=world,
        steps=chosen.steps,
        step_s=chosen.step_s,
        seed=chosen.seed,
        own_every=chosen.own_every,
        agree_every=chosen.agree_every,
        final=chosen.final,
    )
    plan.directory.mkdir(parents=True, exist_ok=True)
    try:
        Rank(plan, client).run()
    except (Lost, Superseded) as fault:
        print(f"torch_gpt: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())
