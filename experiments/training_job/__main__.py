"""Run one rank; which one stands in the environment that the cluster agent has set."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path


def main() -> int:
    """Train; exit 0 at the end of the plan, 1 when the checkpoint to take up is not there."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # read when numpy is imported; so small a matrix gains nothing from threads
    import forestall_client

    from experiments.training_job.checkpoint import BadCheckpoint
    from experiments.training_job.job import LostCheckpoint, Plan, Rank

    parser = argparse.ArgumentParser(prog="python -m experiments.training_job", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="shared by all ranks")
    parser.add_argument("--steps", type=int, default=0, help="end after so many; 0: never")
    parser.add_argument("--step-s", type=float, default=0.08, help="seconds a step, at least")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--own-every", type=int, default=2000, help="checkpoint unasked every so many steps")
    chosen = parser.parse_args()
    resume = os.environ.get("FORESTALL_RESUME_STEP")
    plan = Plan(
        directory=chosen.directory,
        rank=int(os.environ.get("FORESTALL_RANK", "0")),
        world=int(os.environ.get("FORESTALL_WORLD", "1")),
        steps=chosen.steps,
        step_s=chosen.step_s,
        seed=chosen.seed,
        own_every=chosen.own_every,
        resume=int(resume) if resume else None,
    )
    plan.directory.mkdir(parents=True, exist_ok=True)
    try:
        Rank(plan, forestall_client.connect(), time.sleep, time.monotonic).run()
    except (LostCheckpoint, BadCheckpoint) as fault:
        print(f"training job: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
