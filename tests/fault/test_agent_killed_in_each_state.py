"""kill -9 of a real agent in each state of the protocol, and between an effect and its acknowledgement.

Each command has one effect at most and ends in one terminal state. Here each moment once; ``make kills`` takes every
action through every one of its moments, and each moment five times or more, and prints what came of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from agent_cluster import FORESTALL, Cluster, wait_for
from dying_agent import MOMENTS

from infra.broker.embedded import Broker
from models.records import TERMINAL_STAGES, Action, Command

pytestmark = pytest.mark.broker
TIMES = int(os.environ.get("KILLS", "0"))
LIFE_S = 600.0
DYING = (sys.executable, str(Path(__file__).parents[1] / "dying_agent.py"))
LIMITS = ("--set", "agent.disruptions_per_hour=100000", "--set", "agent.checkpoints_per_hour=100000")

ALL: dict[Action, tuple[str, ...]] = {
    "CHECKPOINT": ("received", "accepted", "effect", "staged", "durable", "done", "published"),
    "RESIZE": ("received", "accepted", "half", "ended", "effect", "first-step", "done", "published"),
    "MIGRATE": ("received", "accepted", "half", "effect", "done", "published"),
    "RESTORE": ("received", "accepted", "half", "effect", "first-step", "done", "published"),
    "QUARANTINE": ("received", "accepted", "effect", "done", "published"),
    "DRAIN": ("received", "accepted", "half", "effect", "done", "published"),
}
SHORT: list[tuple[Action, str]] = [
    ("CHECKPOINT", "received"),
    ("CHECKPOINT", "effect"),
    ("CHECKPOINT", "staged"),
    ("CHECKPOINT", "durable"),
    ("RESIZE", "accepted"),
    ("RESIZE", "ended"),
    ("RESIZE", "first-step"),
    ("MIGRATE", "half"),
    ("RESTORE", "effect"),
    ("MIGRATE", "effect"),
    ("RESTORE", "half"),
    ("DRAIN", "done"),
    ("RESTORE", "published"),
]


def script() -> list[tuple[Action, str]]:
    """Every action at each of its moments, and each moment ``TIMES`` times or more; what ends the rank is restored."""
    if not TIMES:
        return SHORT

    def of(*actions: Action) -> list[tuple[Action, str]]:
        return [(one, moment) for one in actions for moment in ALL[one] for _ in range(times[moment])]

    times = {moment: -(-TIMES // sum(moment in moments for moments in ALL.values())) for moment in MOMENTS}
    made, restores = of("CHECKPOINT", "RESIZE"), of("RESTORE")
    for number, end in enumerate(of("MIGRATE", "DRAIN")):
        made += [end, restores[number % len(restores)]]
    return made + of("QUARANTINE")


class Node:
    """One node with a job of one rank, whose starts and checkpoints can be counted.

    A RESIZE changes the size of which the agent is told; the rank trains alone whatever that is.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.starts = cluster.directory / "starts"
        shim = f'echo "$$ $FORESTALL_RESUME_STEP" >> {self.starts}; FORESTALL_WORLD=1 exec "$@"'
        words = ["/bin/sh", "-c", shim, "rank", sys.executable, "-m", "experiments.training_job"]
        words += ["--directory", str(cluster.training), "--step-s", "0.02", "--own-every", "1000000"]
        cluster.spec.write_text(f"[jobs.{cluster.job}]\ncommand = {words!r}\nworld = 2\n")
        self.step, self.world = 0, 2

    def started(self) -> int:
        return self.starts.read_text().count("\n") if self.starts.exists() else 0

    def checkpoints(self) -> set[str]:
        return {one.name for one in (self.cluster.training / "checkpoints").glob("step-*")}

    def made(self, action: Action) -> Command:
        """A command that is not sent yet."""
        targets = {} if action in {"CHECKPOINT", "RESIZE"} else {"node": "n0"}
        ranks = () if action == "CHECKPOINT" else (0,)
        return self.cluster.command(action, life_s=LIFE_S, ranks=ranks, **targets)

    def send(self, command: Command) -> None:
        """Send it now, with the step of the newest checkpoint where it starts a rank."""
        now = time.time()
        if command.action == "RESIZE":
            self.world = 3 - self.world
        starts = {"step": self.step, "world": self.world} if command.action in {"RESTORE", "RESIZE"} else {}
        self.cluster.send(replace(command, issued_at=now, expires_at=now + LIFE_S, **starts))

    def agent(self, moment: str | None, command: Command | None) -> subprocess.Popen[bytes]:
        """Start the agent; it takes over and finishes what it finds, and dies at ``moment`` of ``command``."""
        by = (str(FORESTALL),) if moment is None or command is None else (*DYING, moment, command.id)
        return self.cluster.start("n0", "--rank", "0", *LIMITS, by=by)

    def stop(self) -> None:
        """End the agent as a crash does: a rank lives on."""
        if self.cluster.agents["n0"].poll() is None:
            self.cluster.kill("n0")

    def give_back(self) -> None:
        words = [str(FORESTALL), "agent", "--node", "n0", "--job-spec", str(self.cluster.spec), "--return"]
        subprocess.run([*words, "--directory", str(self.cluster.directory / "n0")], check=True, capture_output=True)

    def ends(self, command: Command) -> list[str]:
        return sorted({one.stage for one in self.cluster.outcomes(command) if one.stage in TERMINAL_STAGES})


@pytest.fixture
def node(broker: Broker, topics: object, tmp_path: Path) -> Iterator[Node]:
    job = f"states-{time.time_ns() % 10**9}"
    cluster = Cluster(broker.bootstrap, tmp_path, job=job, world=1, steps=0, step_s=0.02)
    yield Node(cluster)
    cluster.close()


def test_every_moment_has_a_meaning_and_is_met() -> None:
    assert {moment for moments in ALL.values() for moment in moments} == set(MOMENTS)
    assert {moment for _, moment in SHORT} == set(MOMENTS)
    assert {action for action, _ in SHORT} >= {"CHECKPOINT", "RESIZE", "MIGRATE", "RESTORE", "DRAIN"}


@pytest.mark.timeout(600 + 1200 * TIMES)
def test_killed_at_each_moment_a_command_has_one_effect_and_one_end(node: Node) -> None:
    counts: Counter[tuple[Action, str, str]] = Counter()
    first = node.made("CHECKPOINT")
    todo = [(action, moment, node.made(action)) for action, moment in script()]
    nexts: list[tuple[str | None, Command | None]] = [(moment, command) for _, moment, command in todo[1:]]
    agent = node.agent(todo[0][1], todo[0][2])
    node.cluster.progress(0, 3)
    node.send(first)
    node.step = node.cluster.stage(first, "done")[0].step or 0
    for (action, moment, command), (at, following) in zip(todo, [*nexts, (None, None)], strict=True):
        starts, checkpoints = node.started(), node.checkpoints()
        if action != "RESTORE":
            wait_for("the rank", node.cluster.rank_processes)
        node.send(command)
        assert agent.wait(120) == -signal.SIGKILL, f"{action} {moment}: it was not killed"
        agent = node.agent(at, following)
        wait_for(f"{action} killed when {moment} to end", lambda command=command: node.ends(command))
        (end,) = node.ends(command)
        assert end == "done", [one.reason for one in node.cluster.outcomes(command)]
        counts[action, moment, end] += 1
        if action == "CHECKPOINT":
            node.step = node.cluster.stage(command, "durable")[0].step or 0
        assert node.started() - starts == (action in {"RESTORE", "RESIZE"}), f"{action} {moment}: starts of a rank"
        assert len(node.checkpoints() - checkpoints) == (action == "CHECKPOINT"), f"{action} {moment}: checkpoints"
        assert len(node.cluster.rank_processes()) == (action not in {"MIGRATE", "DRAIN"}), f"{action} {moment}"
        if action == "DRAIN":
            node.stop()
            node.give_back()
            agent = node.agent(at, following)
    for _, _, command in todo:
        stages = Counter(one.stage for one in {one.id: one for one in node.cluster.outcomes(command)}.values())
        assert set(stages.values()) == {1}, f"{command.action}: {stages}"
        assert len(node.ends(command)) == 1
    print(f"{sum(counts.values())} kills, each command with one effect and one end:")
    for moment, meaning in MOMENTS.items():
        found = {f"{action} {end}": count for (action, at, end), count in counts.items() if at == moment}
        print(f"  {moment:<10} {sum(found.values()):>3} × {found} ({meaning})")
