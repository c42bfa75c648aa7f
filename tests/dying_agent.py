"""A real ``forestall agent`` that ends itself by SIGKILL at one moment of one command: kill -9, but never a moment off.

``python tests/dying_agent.py MOMENT COMMAND agent --node …``. No handler runs and nothing is flushed: what the process
had not handed to the operating system is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from connectors.executors.process import ProcessExecutor
from connectors.executors.record_file import RecordFile
from connectors.seen_set import SeenSet
from infra.agent.cluster_agent import ClusterAgent
from infra.agent.effects import STARTS, Effects

#: What each moment means.
MOMENTS = {
    "received": "the command is written down, and nothing else",
    "accepted": "it is accepted, and its effect has not begun",
    "half": "the effect is half done: the rank was killed or spawned, and that was not written down",
    "ended": "of a resize: the old rank was ended, the new one was not begun",
    "effect": "the effect is done, and nothing of that was written down",
    "first-step": "the rank that was started does its first step, and that was not written down",
    "staged": "the copy is acknowledged, and that was not told",
    "durable": "the checkpoint is durable, and the command is not done",
    "done": "it is done, and that was not told",
    "published": "its end is on the log, and the agent does not know",
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(owner: Any, name: str, is_now: Callable[..., bool]) -> None:
    """Have a method die when it has done its work, and ``is_now`` says so of its arguments."""
    real = getattr(owner, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        if is_now(*arguments, **named):
            die()
        return found

    setattr(owner, name, dying)


def before(owner: Any, name: str, is_now: Callable[..., bool]) -> None:
    """Have a method die instead of doing its work."""
    real = getattr(owner, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        if is_now(*arguments, **named):
            die()
        return real(*arguments, **named)

    setattr(owner, name, dying)


def torn_after(stage: str, command: str) -> None:
    """Have a write of several stages come to the disk up to this stage only."""
    real = SeenSet._write

    def dying(seen: SeenSet, lines: Sequence[bytes]) -> None:
        told = [json.loads(line).get("event", {}) for line in lines]
        for number, event in enumerate(told):
            if event.get("command") == command and event.get("stage") == stage:
                real(seen, lines[: number + 1])
                die()
        real(seen, lines)

    SeenSet._write = dying  # type: ignore[method-assign]


def entered(stage: str, command: str) -> Callable[..., bool]:
    return lambda _, records: any(one.outcome.command == command and one.outcome.stage == stage for one in records)


def arm(moment: str, command: str) -> None:
    """Have the agent of this process die at ``moment`` of ``command``."""
    if moment in {"received", "durable"}:
        torn_after(moment, command)
    elif moment in {"accepted", "staged", "done"}:
        after(SeenSet, "append", entered(moment, command))
    elif moment == "effect":
        after(Effects, "carry_out", lambda _, execute, __: execute.command.id == command)
    elif moment == "ended":
        after(ProcessExecutor, "kill", lambda _, by=None: by == command)
    elif moment == "half":
        after(ProcessExecutor, "_end", lambda executor, *_: executor.record.ended_by == command)
        before(RecordFile, "remember", lambda _, record: record.state == "running" and record.order == command)
    elif moment == "first-step":
        before(
            ClusterAgent,
            "_progressed",
            lambda agent, *_: any(
                one.id == command and one.action in STARTS for one in agent._protocol.open_commands()
            ),
        )
    elif moment == "published":
        before(
            SeenSet,
            "settle",
            lambda seen, ids: any(
                getattr(seen._pending.get(one), "command", None) == command and seen._pending[one].stage == "done"
                for one in ids
            ),
        )
    else:
        raise SystemExit(f"no moment {moment}")


if __name__ == "__main__":
    from infra.cli.main import main

    arm(sys.argv[1], sys.argv[2])
    sys.exit(main(sys.argv[3:]))
