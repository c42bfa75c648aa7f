"""Fleets with a name: what the predictor is trained and judged on."""

from __future__ import annotations

from typing import Final

from experiments.fleet.spec import FleetSpec

#: Unplanned interruptions a node-day in Llama 3's training (419 in 54 days on 2,048 nodes; Grattafiori et al. 2024).
LLAMA3_FAULTS_PER_NODE_DAY: Final = 3.79e-3
#: How much more often everything that can happen to a node happens here.
HASTE: Final = 40
#: One sample a minute.
DAY_STEPS: Final = 1_440
#: Intervals from alarm to failure that make it usable at one sample a minute: a checkpoint's 20 s of staging, 120 s of
#: writing and a margin of 60 s are 200 s, which take four samples.
USABLE_LEAD_STEPS: Final = 4


def prediction_fleet(nodes: int, seed: int) -> FleetSpec:
    """A fleet sampled once a minute, on which predictors are trained, judged, and held against the ceiling.

    40 % of the faults are sudden, the others have a lognormal lead whose median is 12 minutes and sigma .8; 12 % come
    in bursts. At the true rate, 3.79 faults in 1,000 node-days, 5,000 node-days would hold 19 faults: too few to learn
    from or to judge by. So everything lives :data:`HASTE` times as fast: .15 faults a node-day (about 750 in 5,000
    node-days; a node is within half an hour of a failure for .3 % of its time), and each kind of look-alike strikes a
    node (a hot room: a rack) as often. Their ratio, on which the precision at a given recall depends, is an assumption;
    no operator has published it.

    Durations are true to life in minutes: a job runs for a day on 8 nodes and writes a checkpoint for 2 minutes in
    every 30; a noisy counter chatters for about 5 hours; a hot room lasts 2.5 to 10. Repair is the exception: 4 hours
    in the median with a heavy tail, not the reported 23.7, so that the hasty fleet is not mostly under repair. One
    sample in 250 is delivered late; a quarter of these come too late for any window.

    Parameters
    ----------
    nodes : number of nodes
    seed : the same seed gives the same bytes
    """
    rate = HASTE * LLAMA3_FAULTS_PER_NODE_DAY / DAY_STEPS
    return FleetSpec(
        nodes=nodes,
        seed=seed,
        interval_s=60.0,
        fault_rate=rate,
        look_alike_rate=rate,
        lead_median=12.0,
        lead_sigma=0.8,
        repair_median=240.0,
        job_nodes=8,
        job_run_mean=float(DAY_STEPS),
        checkpoint_every=30,
        checkpoint_steps=2,
        late_share=0.004,
        skew_s=0.5,
    )
