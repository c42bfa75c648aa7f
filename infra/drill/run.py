"""A drill from its script to its report: what things cost is measured, then the two arms run, then the unkilled run."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from infra.drill.arm import Arm, ArmName, ArmPlan, ArmRecord
from infra.drill.jobs import DrillJob, JobName, Work, job_named, repeated_steps
from infra.drill.plain import PlainRun, Prices
from infra.drill.report import arm_report, drill_report
from infra.drill.script import Strike, script_of, steps_needed
from infra.settings import Settings
from infra.supervisor import sweep
from infra.up.place import environment, place_at
from infra.up.run import broker_of
from infra.up.terminal import Terminal
from models.policy_settings import DAY_S

SWEEP_S = 5.0
JOB = "drill"
SPARES = 4
#: Young's interval in the drill, and seconds of a step at least: an interval is so many steps.
INTERVAL_S = 16.0
STEP_S = 0.1
REPAIR_S = 20.0
MEASURED_CHECKPOINTS = 5
#: Two checkpoints are at least so far apart, as they block for milliseconds here.
MIN_GAP_S = 2.0
HOUR_S = 3600.0
#: Ranks that are moved or restored for one kill, at most: what the limits have to allow.
MOVES_A_KILL = 4
YOUNG: Final = {"checkpoint": "young", "migration": "never"}
PLAIN_S = 600.0


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """What was asked for."""

    job: JobName
    ranks: int
    kills: int
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes: one a rank, and the spares."""
        from experiments.fleet import FleetSpec

        return FleetSpec(nodes=self.ranks + SPARES).names

    @property
    def script(self) -> tuple[Strike, ...]:
        """The kills."""
        return script_of(self.kills, self.ranks, self.seed, INTERVAL_S)

    def work(self, directory: Path, *, step_s: float = STEP_S) -> Work:
        """The job's work, in a directory of its own."""
        return Work(directory, steps_needed(self.kills, INTERVAL_S / STEP_S), step_s, self.seed)


def run(plan: DrillPlan, settings: Settings, terminal: Terminal) -> dict[str, Any]:
    """Run the drill and return its report; nothing that it started is left."""
    signal.signal(signal.SIGHUP, _unwind)
    job = job_named(plan.job)
    sudden = sum(strike.sudden for strike in plan.script)
    terminal.say("drill", f"{plan.kills} kills, {sudden} of them without a sign; seed {plan.seed}")
    scratch = Path(tempfile.mkdtemp(prefix="forestall-drill-"))
    try:
        prices = _measure(plan, job, scratch, terminal)
        base = declared(settings, prices, plan)
        young, reports = _arm(plan, job, "young", young_of(base), None, terminal)
        placed = tuple(one.begun_at_step for one in young.struck)
        ours, more = _arm(plan, job, "forestall", base, placed, terminal)
        never = _never_killed(plan, job, scratch, terminal)
    finally:
        sweep(SWEEP_S)
        shutil.rmtree(scratch, ignore_errors=True)
    weights = {"young": young.weights, "forestall": ours.weights, "never_killed": never}
    return drill_report({"young": reports, "forestall": more}, weights, _told(settings, base, prices))


def declared(settings: Settings, prices: Prices, plan: DrillPlan) -> Settings:
    """The settings of both arms: prices as measured here, and a rate of failures that makes Young's interval short.

    What the user has set stays. What an unforeseen failure costs (to notice it, to start again) stays that of a
    cluster, as in ``forestall up``. Nodes fail on purpose here, far more often than limits on what is moved allow for:
    those are set to what so many kills need.
    """
    mtbf_s = INTERVAL_S**2 / (2.0 * prices.checkpoint_s)
    moves = MOVES_A_KILL * plan.kills
    ours: dict[str, dict[str, Any]] = {
        "policy": {
            "level": "migrate",
            "checkpoint_cost_s": prices.checkpoint_s,
            "durable_s": prices.durable_s,
            "migration_s": prices.start_s,
            "node_mtbf_days": mtbf_s * plan.ranks / DAY_S,
            "min_gap_s": MIN_GAP_S,
        },
        "brakes": {"warm_up_s": 0.0, "breaker_nodes": moves, "storm_incidents": min(1000, max(5, moves))},
        "agent": {"disruptions_per_hour": max(6, moves), "checkpoints_per_hour": round(HOUR_S / MIN_GAP_S)},
    }
    return settings.model_copy(update={name: _unless_given(settings, name, wanted) for name, wanted in ours.items()})


def _unless_given(settings: Settings, name: str, wanted: Mapping[str, Any]) -> Any:
    section = getattr(settings, name)
    given = section.model_fields_set if name in settings.model_fields_set else frozenset()
    return section.model_copy(update={key: value for key, value in wanted.items() if key not in given})


def young_of(settings: Settings) -> Settings:
    """The same for static Young: alarms neither move a rank nor order a checkpoint."""
    return settings.model_copy(update={"policy": settings.policy.model_copy(update=YOUNG)})


def _measure(plan: DrillPlan, job: DrillJob, scratch: Path, terminal: Terminal) -> Prices:
    work = replace(plan.work(scratch / "measured"), steps=0)
    runs = PlainRun(job.command(work), plan.ranks, scratch / "measuring", environment(), terminal.say)
    prices = asyncio.run(runs.measure(MEASURED_CHECKPOINTS, PLAIN_S))
    terminal.say(
        "measured",
        f"a checkpoint blocks for {1000 * prices.checkpoint_s:.1f} ms and is durable after "
        f"{1000 * prices.durable_s:.0f} ms; a rank trains {prices.start_s:.1f} s after its start",
    )
    return prices


def _never_killed(plan: DrillPlan, job: DrillJob, scratch: Path, terminal: Terminal) -> str | None:
    terminal.say("never killed", f"the same {plan.work(scratch).steps} steps without a kill")
    work = plan.work(scratch / "unkilled", step_s=0.0)
    runs = PlainRun(job.command(work), plan.ranks, scratch / "running", environment(), terminal.say)
    asyncio.run(runs.to_the_end(PLAIN_S + work.steps * STEP_S))
    return job.weights(work, plan.ranks)


def _arm(
    plan: DrillPlan,
    job: DrillJob,
    name: ArmName,
    settings: Settings,
    placed: tuple[int, ...] | None,
    terminal: Terminal,
) -> tuple[ArmRecord, dict[str, Any]]:
    terminal.say("arm", f"{name}: {'static Young' if name == 'young' else 'forestall'}")
    with broker_of(settings, terminal) as broker:
        place = place_at(broker, settings, terminal)
        arm = ArmPlan(
            name=name,
            job=JOB,
            settings=settings,
            script=plan.script,
            work=plan.work(place.directory / "job"),
            names=plan.names,
            ranks=plan.ranks,
            repair_s=REPAIR_S,
            interval_steps=INTERVAL_S / STEP_S,
            placed=placed,
        )
        record = asyncio.run(Arm(arm, job, place, terminal).run())
    return record, arm_report(record, JOB, plan.ranks, repeated_steps(arm.work, plan.ranks))


def _told(settings: Settings, base: Settings, prices: Prices) -> Mapping[str, Any]:
    """What was declared for the drill, and what the arms differ by."""
    both = {
        f"{name}.{key}": getattr(getattr(base, name), key)
        for name in ("policy", "brakes", "agent")
        for key in type(getattr(base, name)).model_fields
        if getattr(getattr(base, name), key) != getattr(getattr(settings, name), key)
    }
    return {
        "both": both,
        "young": {f"policy.{key}": value for key, value in YOUNG.items()},
        "forestall": {f"policy.{key}": getattr(base.policy, key) for key in YOUNG},
        "measured_s": {"checkpoint": prices.checkpoint_s, "durable": prices.durable_s, "start": prices.start_s},
        "interval_s": INTERVAL_S,
        "step_s": STEP_S,
        "repair_s": REPAIR_S,
    }


def _unwind(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
