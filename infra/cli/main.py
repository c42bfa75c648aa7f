"""The command line: a table of commands, each imported only when it is called.

A command is a module ``infra/cli/<name>.py`` with ``configure(parser)`` and ``run(options, settings) -> exit code``; a
group of commands is a package with a table ``COMMANDS`` of its own and ``EXAMPLES``.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType, ModuleType
from typing import NoReturn

#: name → (module, what it is for in one line)
COMMANDS = {
    "up": ("infra.cli.up", "everything on this machine: broker, telemetry, worker, training job, live page"),
    "doctor": ("infra.cli.doctor", "check broker, topics, artefact, keys, InfluxDB, clock and disk; name each cure"),
    "broker": ("infra.cli.broker", "start, stop or look at the embedded Kafka"),
    "topics": ("infra.cli.topics", "create the topics, or check them"),
    "produce": ("infra.cli.produce", "send telemetry of this host, of a folder, or of the simulated fleet"),
    "worker": ("infra.cli.worker", "assess telemetry and issue commands (the Faust worker)"),
    "agent": ("infra.cli.agent", "carry out commands on a node (the cluster agent)"),
    "keys": ("infra.cli.keys", "make, rotate, revoke and list the keys that commands are signed with"),
    "audit": ("infra.cli.audit", "see that the log of commands is whole and authentic, or export it"),
    "status": ("infra.cli.status", "what runs where, what is under way, and what is wrong"),
    "explain": ("infra.cli.explain", "why a command was given or an incident opened; replay it from the log"),
    "backtest": ("infra.cli.backtest", "what another policy or model would have done with a log that is there"),
    "pause": ("infra.cli.pause", "command nothing new, for one job or for all"),
    "resume": ("infra.cli.resume", "end a pause, or close the breaker"),
    "opt-out": ("infra.cli.opt_out", "have a node left alone"),
    "ledger": ("infra.cli.ledger", "where the time of the jobs went, what each node cost, what acting has saved"),
    "influx": ("infra.cli.influx", "set up an InfluxDB: buckets, downsampling, dashboards, checks, tokens"),
    "web": ("infra.cli.web", "serve the live page"),
    "sink": ("infra.cli.sink", "take the topics elsewhere: to InfluxDB, or as alerts to a webhook"),
    "train": ("infra.cli.train", "train a model artefact on the simulated fleet"),
    "model": ("infra.cli.model", "show, verify, compare and activate model artefacts"),
    "drill": ("infra.cli.drill", "kill nodes of a real training job by script: static Young beside forestall"),
    "lab": ("infra.cli.lab", "measure predictor, detector and policies: seeded, paired, with intervals"),
}

EXAMPLES = """\
examples
  forestall up                                see a failing node left behind, within two minutes
  forestall up --source host --for 30s --json telemetry of this machine; the summary for a program
  forestall doctor --brokers kafka-1:9092     what your own Kafka still lacks, and the cure
  forestall up --set policy.checkpoint=paper  any setting, by section.key
  forestall up --help                         what one command takes

exit codes: 0 done, 1 failed, 2 wrong use or configuration, 3 a needed service is not reachable"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (design, section 8)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in {"-h", "--help", "help"}:
        print(overview())
        return 0
    if words[0] in {"-V", "--version"}:
        return _version()
    if words[0] not in COMMANDS:
        return _no_such(words[0])
    return _guarded(words[0], words[1:])


def overview() -> str:
    """Return the text of ``forestall --help``."""
    return (
        "forestall: act before the node dies. Reads cluster telemetry from Kafka, tells which node is about to fail,\n"
        "has its job checkpoint, waits until that is durable, and only then migrates.\n\n"
        f"usage: forestall COMMAND [options]\n\ncommands\n{_table(COMMANDS)}\n\n{EXAMPLES}"
    )


def _table(commands: Mapping[str, tuple[str, str]]) -> str:
    width = max(map(len, commands)) + 2
    return "\n".join(f"  {name:<{width}}{line}" for name, (_, line) in commands.items())


def _version() -> int:
    from importlib.metadata import version

    print(f"forestall {version('forestall')}")
    return 0


def _no_such(word: str, table: Mapping[str, tuple[str, str]] = COMMANDS, within: str = "forestall") -> int:
    if word.startswith("-"):
        print(f"{within}: {word!r} must come after a command; {within} --help lists the commands", file=sys.stderr)
        return 2
    close = difflib.get_close_matches(word, table, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"{within} --help lists the commands"
    print(f"{within}: there is no command {word!r}; {hint}", file=sys.stderr)
    return 2


def _guarded(name: str, words: list[str]) -> int:
    from connectors.errors import ForestallError

    signal.signal(signal.SIGTERM, _unwind)
    try:
        return _dispatch(name, words)
    except ForestallError as fault:
        from infra.logs import complain

        complain(str(fault))
        return fault.exit_code
    except KeyboardInterrupt:
        print("forestall: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _unwind(signum: int, _: FrameType | None) -> NoReturn:
    """Leave by an exception, so that whatever was started is also stopped."""
    raise SystemExit(128 + signum)


def _dispatch(name: str, words: list[str]) -> int:
    """Run a command, or the one that is named next where the command is a group of commands."""
    path, line = COMMANDS[name]
    module = _module(path)
    group: Mapping[str, tuple[str, str]] | None = getattr(module, "COMMANDS", None)
    within = f"forestall {name}"
    if group is None:
        return _run(module, within, line, words)
    if not words or words[0] in {"-h", "--help"}:
        print(f"usage: {within} COMMAND [options]\n\n{line}\n\ncommands\n{_table(group)}\n\n{module.EXAMPLES}")
        return 0
    if words[0] not in group:
        return _no_such(words[0], group, within)
    path, line = group[words[0]]
    return _run(_module(path), f"{within} {words[0]}", line, words[1:])


def _run(module: ModuleType, prog: str, line: str, words: list[str]) -> int:
    import argparse

    from infra.cli import options as common

    parser = argparse.ArgumentParser(
        prog=prog,
        description=f"{line[0].upper()}{line[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    common.add_common(parser)
    chosen = parser.parse_args(words)
    code = module.run(chosen, common.settings_of(chosen))
    return int(code)


def _module(path: str) -> ModuleType:
    import importlib

    return importlib.import_module(path)


if __name__ == "__main__":
    sys.exit(main())
