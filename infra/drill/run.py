"""A drill from its script to its report: what things cost is measured, then arms run, then the job runs unkilled."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from infra.drill.arm import Arm
from infra.drill.declared import declared, told, young_of
from infra.drill.jobs import DrillJob, JobName, Work, job_named, losses_of
from infra.drill.plain import PlainRun, Prices
from infra.drill.plan import ArmName, ArmPlan, ArmRecord
from infra.drill.report import arm_report, drill_report, elastic_report
from infra.drill.script import (
    ELASTIC_INTERVALS,
    INTERVAL_S,
    INTERVAL_STEPS,
    REPAIR_S,
    STEP_S,
    Strike,
    script_of,
    steps_needed,
)
from infra.settings import Settings
from infra.supervisor import sweep
from infra.up.place import environment, place_at
from infra.up.run import broker_of
from infra.up.terminal import Terminal

SWEEP_S = 5.0
JOB = "drill"
SPARES = 4
MEASURED_CHECKPOINTS = 5
PLAIN_S = 600.0


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """What was asked for."""

    job: JobName
    ranks: int
    kills: int
    seed: int

    @property
    def script(self) -> tuple[Strike, ...]:
        """The kills."""
        return script_of(self.kills, self.ranks, self.seed, INTERVAL_S)

    @property
    def steps(self) -> int:
        """What the job does in each run."""
        return steps_needed(self.kills, INTERVAL_STEPS)

    def arm(self, name: ArmName, settings: Settings) -> ArmPlan:
        """One arm: the ranks, and spares."""
        from experiments.fleet import FleetSpec

        return ArmPlan(
            name=name,
            job=JOB,
            settings=settings,
            script=self.script,
            work=Work(Path("job"), self.steps, STEP_S, self.seed),
            names=FleetSpec(nodes=self.ranks + SPARES).names,
            ranks=self.ranks,
            repair_s=REPAIR_S,
            interval_steps=INTERVAL_STEPS,
            placed=None,
        )


def run(plan: DrillPlan, settings: Settings, terminal: Terminal) -> dict[str, Any]:
    """Run both arms and the unkilled run, and return the report; nothing that was started is left."""
    job, sudden = job_named(plan.job), sum(strike.sudden for strike in plan.script)
    terminal.say("drill", f"{plan.kills} kills, {sudden} of them without a sign; seed {plan.seed}")
    with _scratch() as scratch:
        prices = _measured(plan, job, scratch, terminal)
        base = declared(settings, prices, plan.ranks, plan.kills)
        young = _run_arm(plan.arm("young", young_of(base)), job, terminal)
        placed = tuple(one.begun_at_step for one in young.struck)
        ours = _run_arm(replace(plan.arm("forestall", base), placed=placed), job, terminal)
        never = _unkilled(plan, plan.steps, job, scratch, terminal)
        weights = {
            "young": young.weights,
            "forestall": ours.weights,
            "never_killed": job.weights(never, plan.ranks),
        }
    arms = {"young": arm_report(young, JOB, plan.ranks), "forestall": arm_report(ours, JOB, plan.ranks)}
    return drill_report(arms, weights, told(settings, base, prices))


def run_elastic(plan: DrillPlan, settings: Settings, terminal: Terminal) -> dict[str, Any]:
    """Kill one node of a job that has no spare and may shrink, and return the report."""
    job = job_named(plan.job)
    terminal.say("drill", f"{plan.ranks} ranks and no spare: one node dies, and comes back; seed {plan.seed}")
    with _scratch() as scratch:
        prices = _measured(plan, job, scratch, terminal)
        base = declared(settings, prices, plan.ranks, kills=1)
        arm = plan.arm("forestall", base)
        steps = round(ELASTIC_INTERVALS * INTERVAL_STEPS)
        arm = replace(
            arm,
            script=(replace(arm.script[0], lead_s=0.0),),
            work=replace(arm.work, steps=steps),
            names=arm.names[: plan.ranks],
            placed=(round(2 * INTERVAL_STEPS),),
            min_nodes=plan.ranks - 1,
            worlds=(plan.ranks - 1, plan.ranks),
        )
        record = _run_arm(arm, job, terminal)
        steady = losses_of(_unkilled(plan, steps, job, scratch, terminal))
    return elastic_report(record, JOB, plan.ranks, steady, told(settings, base, prices))


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for the runs without a broker; afterwards neither it nor any process is left."""
    signal.signal(signal.SIGHUP, _unwind)
    folder = Path(tempfile.mkdtemp(prefix="forestall-drill-"))
    try:
        yield folder
    finally:
        sweep(SWEEP_S)
        shutil.rmtree(folder, ignore_errors=True)


def _measured(plan: DrillPlan, job: DrillJob, scratch: Path, terminal: Terminal) -> Prices:
    work = Work(scratch / "measured", 0, STEP_S, plan.seed)
    plain = PlainRun(job.command(work), plan.ranks, scratch / "measuring", environment(), lambda *_: None)
    prices = asyncio.run(plain.measure(MEASURED_CHECKPOINTS, PLAIN_S))
    terminal.say(
        "measured",
        f"a checkpoint blocks for {1000 * prices.checkpoint_s:.1f} ms and is durable after "
        f"{1000 * prices.durable_s:.0f} ms; a rank that is killed trains again after {prices.restart_s:.1f} s",
    )
    return prices


def _unkilled(plan: DrillPlan, steps: int, job: DrillJob, scratch: Path, terminal: Terminal) -> Work:
    """Run the same steps as fast as they go, and return where their files are."""
    terminal.say("never killed", f"the same {steps} steps without a kill")
    work = Work(scratch / "unkilled", steps, 0.0, plan.seed)
    plain = PlainRun(job.command(work), plan.ranks, scratch / "running", environment(), terminal.say)
    asyncio.run(plain.to_the_end(PLAIN_S + steps * STEP_S))
    return work


def _run_arm(plan: ArmPlan, job: DrillJob, terminal: Terminal) -> ArmRecord:
    terminal.say("arm", {"young": "static Young", "forestall": "forestall"}[plan.name])
    with broker_of(plan.settings, terminal) as broker:
        place = place_at(broker, plan.settings, terminal)
        here = replace(plan, work=replace(plan.work, directory=place.directory / plan.work.directory))
        return asyncio.run(Arm(here, job, place, terminal).run())


def _unwind(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
