"""Time the making of a fleet: ``python -m experiments.fleet --nodes 2000 --interval 10 --days 1``."""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from experiments.fleet.presets import LLAMA3_FAULTS_PER_NODE_DAY
from experiments.fleet.spec import FleetSpec
from experiments.fleet.timing import make

_DAY_S = 86_400.0


def run(argv: list[str] | None = None) -> None:
    """Make what the arguments ask for and print how long it took."""
    parser = argparse.ArgumentParser(prog="python -m experiments.fleet", description="Time the making of a fleet.")
    parser.add_argument("--nodes", type=int, default=2_000)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between two samples (default: 10)")
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shards", type=int, default=1, help="processes, each with its part of the nodes (default: 1)")
    options = parser.parse_args(argv)
    rate = LLAMA3_FAULTS_PER_NODE_DAY * options.interval / _DAY_S
    spec = FleetSpec(
        nodes=options.nodes, seed=options.seed, interval_s=options.interval, fault_rate=rate, look_alike_rate=rate
    )
    steps, shards = round(options.days * _DAY_S / options.interval), options.shards
    start = time.perf_counter()
    if shards == 1:
        made = [make(spec, steps, (0, 1))]
    else:
        with ProcessPoolExecutor(shards, get_context("spawn")) as pool:
            made = list(pool.map(make, [spec] * shards, [steps] * shards, [(k, shards) for k in range(shards)]))
    frames, seconds = sum(part[0] for part in made), time.perf_counter() - start
    each = ", ".join(f"{part[1]:.1f}" for part in made)
    print(f"{frames:,} frames in {seconds:.1f} s: {frames / seconds:,.0f} a second; processes took {each} s")


if __name__ == "__main__":
    run()
