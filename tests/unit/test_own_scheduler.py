"""The owner's executor: what the job file may say of it, and the scripts of the how-to, beside a scheduler of shell."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.errors import Failed, WrongUse
from connectors.executors import Executor, Launch
from connectors.executors.dry_run import DryRunExecutor
from connectors.executors.process import ProcessExecutor
from connectors.executors.script import ScriptExecutor
from infra.agent.executor_choice import make_executor
from models.records import Cause, Command, Reason

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-scheduler.md"
SCRIPT = 'kind = "script"\nstart = ["s"]\nkill = ["k"]\nstate = ["l"]\n'
#: Schedulers that keep what they run in files of the folder they are called in, and note every call.
SLURM = {
    "sbatch": 'for word; do case $word in --job-name=*) echo RUNNING > "job-${word#--job-name=}";; esac; done',
    "squeue": 'for word; do case $word in --name=*) cat "job-${word#--name=}" 2>/dev/null; exit 0;; esac; done; '
    "echo 41; echo 42",
    "sacct": 'for word; do case $word in --name=*) cat "sacct-${word#--name=}" 2>/dev/null; exit 0;; esac; done',
    "scancel": 'for word; do case $word in --name=*) rm -f "job-${word#--name=}";; esac; done',
    "scontrol": "true",
}
SYSTEMD = {
    "systemd-run": 'for word; do case $word in --unit=*) echo active > "job-${word#--unit=}";; esac; done',
    "systemctl": 'for unit; do true; done; case $1 in show) cat "job-$unit" 2>/dev/null || echo inactive;; '
    'is-active) test -e "job-$unit";; kill) echo failed > "job-$unit";; esac',
}


def made(folder: Path, section: str, kind: str | None = None) -> Executor:
    path = folder / "jobs.toml"
    path.write_text(f'[jobs.llama]\ncommand = ["train"]\nworld = 4\n[executor]\n{section}')
    environment = {"PATH": f"{folder}/tools:{os.environ['PATH']}"}
    return make_executor(kind, path, folder / "n3", "n3", environment, print)


@pytest.mark.parametrize(
    ("section", "kind", "wanted"),
    [
        ("", None, ProcessExecutor),
        ('kind = "dry-run"', None, DryRunExecutor),
        ('kind = "dry-run"', "process", ProcessExecutor),
        (SCRIPT, None, ScriptExecutor),
        (SCRIPT, "dry-run", DryRunExecutor),
        (SCRIPT.replace('"script"', '"process"'), "script", ScriptExecutor),
    ],
)
def test_the_job_file_names_the_executor_and_the_command_line_wins(
    tmp_path: Path, section: str, kind: str | None, wanted: type
) -> None:
    assert type(made(tmp_path, section, kind)) is wanted


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ('kind = "slurm"', "kind is 'slurm'; it must be one of: process, dry-run, script"),
        ('kind = "script"\nstart = ["s"]\nstate = ["l"]', "kill is missing: the command that a rank is ended by"),
        (SCRIPT + 'begin = ["x"]', "there is no key 'begin'; there are: drain, kill, kind, quarantine, readmit"),
        (SCRIPT + 'drain = "scontrol drain"', "drain is 'scontrol drain'; it must be a list of words"),
        (SCRIPT + "drain = []", "drain is []; it must be a list of words"),
        (SCRIPT + "timeout_s = 600", "timeout_s is 600; it must be a number of seconds above 0, at most 120"),
        (SCRIPT + "state_every_s = true", "state_every_s is True; it must be a number"),
    ],
)
def test_every_fault_of_the_section_is_named(tmp_path: Path, section: str, fault: str) -> None:
    with pytest.raises(WrongUse, match=re.escape(fault)):
        made(tmp_path, section)


def test_what_a_dry_run_was_told_binds_no_real_agent_and_the_other_way_round(tmp_path: Path) -> None:
    made(tmp_path, "", "dry-run")
    made(tmp_path, "", "dry-run")
    with pytest.raises(WrongUse, match="n3 holds what a dry run was told; give this one a --directory of its own"):
        made(tmp_path, "", "process")
    real = tmp_path / "real"
    (real / "n3").mkdir(parents=True)
    (real / "n3" / "commands.jsonl").touch()
    made(real, "", "process")
    with pytest.raises(WrongUse, match="an agent that is no dry run was told"):
        made(real, "", "dry-run")


def test_a_section_that_is_none_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text("executor = 3")
    for path, fault in [("jobs.toml", "executor is 3"), ("other.toml", "cannot be read")]:
        with pytest.raises(WrongUse, match=fault):
            make_executor(None, tmp_path / path, tmp_path, "n3", {}, print)


# -- the scripts of the page


def scripts_of(heading: str) -> dict[str, str]:
    """The scripts under a heading of the page, by the name that each says in its second line."""
    section = PAGE.read_text().split(f"\n### {heading}")[1].split("\n### ")[0].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(#!/bin/sh\n# /etc/forestall/(\S+)\n.*?)^```", section, re.MULTILINE | re.DOTALL)
    return {name: text for text, name in blocks}


def installed(folder: Path, heading: str, tools: dict[str, str]) -> Callable[[], list[str]]:
    """Install the page's scripts and a scheduler; returns what reads the calls that the scheduler was given."""
    (folder / "tools").mkdir()
    (folder / "n3").mkdir()
    for name, line in tools.items():
        note = f'printf "%s\\n" "{name} $*" >> {folder}/calls\ncd {folder}\n'
        write(folder / "tools" / name, f"#!/bin/sh\n{note}{line}\n")
    for name, text in scripts_of(heading).items():
        write(folder / name, text)
    return lambda: (folder / "calls").read_text().splitlines()


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o700)


def executor_of(folder: Path) -> Executor:
    found = {name: f'{name} = ["{folder / name}"]' for name in ("start", "kill", "state", "quarantine", "readmit")}
    lines = [line for name, line in found.items() if (folder / name).exists()]
    return made(folder, 'kind = "script"\nstate_every_s = 0.001\n' + "\n".join(lines))


def launch() -> Launch:
    environment = {"FORESTALL_JOB": "llama", "FORESTALL_RANK": "3", "FORESTALL_WORLD": "4", "FORESTALL_SOCKET": "/s"}
    return Launch(job="llama", rank=3, command=["python", "a b.py"], environment=environment, order="c1")


def quarantine(rule: str) -> Command:
    return Command(
        id="c2",
        action="QUARANTINE",
        job="llama",
        node="n3",
        generation=1,
        issued_at=1.0,
        expires_at=2.0,
        reason=Reason(rule=rule),
        cause=Cause(0, 0),
    )


def state_after_a_moment(executor: Executor) -> str:
    time.sleep(0.005)  # `state_every_s` is shorter
    return executor.state()


def test_slurm_as_the_page_says(tmp_path: Path) -> None:
    calls = installed(tmp_path, "Slurm", SLURM)
    executor = executor_of(tmp_path)
    executor.start(launch())
    assert "--job-name=llama.3.c1 --nodelist=n3" in calls()[-1]
    assert state_after_a_moment(executor) == "running"
    executor.set_aside(quarantine('P > eta; "quoted" $(x)'))
    assert calls()[-1] == 'scontrol update nodename=n3 state=drain reason=forestall: P > eta; "quoted" $(x)'
    executor.kill("c9")
    assert executor.state() == "vacated"
    assert "scancel --signal=KILL --full --name=llama.3.c1" in calls()
    executor.readmit()
    assert calls()[-1] == "scontrol update nodename=n3 state=resume"
    assert executor.state() == "returned"


@pytest.mark.parametrize(("told", "state"), [("COMPLETED\n", "ended"), ("FAILED\n", "died"), ("", "died")])
def test_slurm_tells_how_a_rank_ended(tmp_path: Path, told: str, state: str) -> None:
    installed(tmp_path, "Slurm", SLURM)
    executor = executor_of(tmp_path)
    executor.start(launch())
    (tmp_path / "job-llama.3.c1").unlink()
    (tmp_path / "sacct-llama.3.c1").write_text(told)
    assert state_after_a_moment(executor) == state


def test_a_slurm_that_does_not_answer_is_no_failed_node(tmp_path: Path) -> None:
    installed(tmp_path, "Slurm", {**SLURM, "squeue": "echo cannot reach the controller >&2; exit 1"})
    executor = executor_of(tmp_path)
    executor.start(launch())
    assert state_after_a_moment(executor) == "running"
    with pytest.raises(Failed, match="still runs"):
        _kill_within(executor, 0.3)


def _kill_within(executor: Executor, seconds: float) -> None:
    assert isinstance(executor, ScriptExecutor)
    object.__setattr__(executor._scripts, "timeout_s", seconds)
    executor.kill("c9")


def test_a_job_over_all_nodes_is_drained_and_requeued(tmp_path: Path) -> None:
    calls = installed(tmp_path, "Slurm", SLURM)
    (tmp_path / "quarantine-and-requeue").replace(tmp_path / "quarantine")
    executor_of(tmp_path).set_aside(quarantine("why"))
    assert calls() == [
        "scontrol update nodename=n3 state=drain reason=forestall: why",
        "squeue --noheader --nodelist=n3 --format=%A",
        "scontrol requeue 41",
        "scontrol requeue 42",
    ]


def test_systemd_as_the_page_says(tmp_path: Path) -> None:
    calls = installed(tmp_path, "systemd", SYSTEMD)
    executor = executor_of(tmp_path)
    executor.start(launch())
    assert any(call.startswith("systemd-run --unit=forestall-llama-3 ") for call in calls())
    assert state_after_a_moment(executor) == "running"
    executor.set_aside(quarantine("why"))
    executor.kill("c9")
    assert executor.state() == "vacated"
    assert "systemctl kill --signal=KILL forestall-llama-3" in calls()
