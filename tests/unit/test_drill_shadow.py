"""A drill knows where a job stands by the very fold that decides about it."""

from __future__ import annotations

import pytest

from infra.drill.shadow import Shadow
from models.checkpointing import young_interval_s
from models.policy_settings import DAY_S, PolicySettings
from models.records import Event, Membership, NodeFate, Outcome, Progress, Stage, Tick

START = 1_763_942_400.0
COST_S = 0.02
SETTINGS = PolicySettings(
    checkpoint="young", migration="never", level="migrate", checkpoint_cost_s=COST_S, node_mtbf_days=4 * 6400 / DAY_S
)
INTERVAL_S = young_interval_s(COST_S, 6400.0)

STAGES: tuple[Stage, ...] = ("staged", "durable")


class Log:
    """A partition of the decision log that a shadow follows; ``orders`` are what the fold would have commanded."""

    def __init__(self) -> None:
        self.shadow = Shadow("drill", SETTINGS)
        self.offset = 0

    def put(self, *events: Event) -> None:
        for event in events:
            self.shadow.take(event, 0, self.offset)
            self.offset += 1

    def passes(self, first: int, last: int) -> None:
        for second in range(first, last):
            at = START + second
            self.put(*(progress(at, rank, 10 * (second + 1)) for rank in range(4)), Tick(at=at))


def progress(at: float, rank: int, step: int) -> Progress:
    facts = {"job": "drill", "node": f"n{rank:02d}", "rank": rank, "at": at, "step": step}
    return Progress(id=f"p{rank}-{at}", loss=1.0, step_s=0.1, load=0.0, **facts)  # type: ignore[arg-type]


@pytest.fixture
def log() -> Log:
    made = Log()
    for rank in range(4):
        node = f"n{rank:02d}"
        made.put(Membership(id=node, job="drill", node=node, at=START, state="running", rank=rank, world=4))
    return made


def test_nothing_is_known_of_a_job_that_nobody_told_of() -> None:
    standing = Shadow("drill", SETTINGS).standing(START)
    assert (standing.step, standing.world, standing.whole, standing.saved) == (0, 0, False, False)


def test_the_share_of_the_interval_grows_with_time_and_is_known_between_ticks(log: Log) -> None:
    log.passes(0, 9)
    standing = log.shadow.standing(START + 8.5)
    assert standing.interval_s == pytest.approx(INTERVAL_S)
    assert standing.passed == pytest.approx(8.5 / INTERVAL_S)
    assert (standing.step, standing.world, standing.whole, standing.saved) == (90, 4, True, False)


def test_a_checkpoint_begins_the_interval_anew(log: Log) -> None:
    log.passes(0, int(INTERVAL_S) + 2)
    assert log.shadow.standing(START + INTERVAL_S + 1).passed < 0.2


def test_a_rank_that_is_down_makes_a_job_that_is_not_whole(log: Log) -> None:
    log.passes(0, 5)
    log.put(NodeFate(id="f", job="drill", node="n02", at=START + 5, state="failed"))
    assert not log.shadow.standing(START + 5.1).whole


def test_a_job_that_tells_nothing_is_not_whole(log: Log) -> None:
    log.passes(0, 5)
    assert log.shadow.standing(START + 4 + SETTINGS.stalled_after_s).whole
    assert not log.shadow.standing(START + 5 + SETTINGS.stalled_after_s).whole


def test_a_checkpoint_that_every_rank_told_of_is_one_to_restore(log: Log) -> None:
    commands = ordered(log)
    for rank in range(4):
        for stage in STAGES:
            log.put(outcome(commands, rank, stage))
        assert log.shadow.standing(START + 20).saved == (rank == 3)


def ordered(log: Log) -> str:
    """Let time pass until the fold has ordered a checkpoint; return its id."""
    log.passes(0, int(INTERVAL_S) + 2)
    (state,) = log.shadow._states.values()
    (flight,) = state.jobs["drill"].in_flight.values()
    return flight.id


def outcome(command: str, rank: int, stage: Stage) -> Outcome:
    return Outcome(
        id=f"{command}-{rank}-{stage}",
        job="drill",
        command=command,
        action="CHECKPOINT",
        node=f"n{rank:02d}",
        stage=stage,
        at=START + 17,
        rank=rank,
        step=170,
        seconds=0.02,
    )
