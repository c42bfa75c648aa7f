"""The command line: a table of commands, each imported only when it is called.

A command is a module ``infra/cli/<name>.py`` with ``configure(parser)`` and ``run(options, settings) -> exit code``.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import NoReturn

#: name → (module, what it is for in one line)
COMMANDS = {
    "up": ("infra.cli.up", "everything on this machine: broker, telemetry, worker, training job, live page"),
    "doctor": ("infra.cli.doctor", "check broker, topics, artefact, clock and disk; name each cure"),
    "broker": ("infra.cli.broker", "start, stop or look at the embedded Kafka"),
    "topics": ("infra.cli.topics", "create the topics, or check them"),
    "produce": ("infra.cli.produce", "send telemetry of this host, of a folder, or of the simulated fleet"),
    "worker": ("infra.cli.worker", "assess telemetry and issue commands (the Faust worker)"),
    "agent": ("infra.cli.agent", "carry out commands on a node (the cluster agent)"),
    "web": ("infra.cli.web", "serve the live page"),
    "train": ("infra.cli.train", "train a model artefact on the simulated fleet"),
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
    table = "\n".join(f"  {name:<9}{line}" for name, (_, line) in COMMANDS.items())
    return (
        "forestall: act before the node dies. Reads cluster telemetry from Kafka, tells which node is about to fail,\n"
        "has its job checkpoint, waits until that is durable, and only then migrates.\n\n"
        f"usage: forestall COMMAND [options]\n\ncommands\n{table}\n\n{EXAMPLES}"
    )


def _version() -> int:
    from importlib.metadata import version

    print(f"forestall {version('forestall')}")
    return 0


def _no_such(word: str) -> int:
    if word.startswith("-"):
        print(f"forestall: {word!r} must come after a command; forestall --help lists the commands", file=sys.stderr)
        return 2
    close = difflib.get_close_matches(word, COMMANDS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "forestall --help lists the commands"
    print(f"forestall: there is no command {word!r}; {hint}", file=sys.stderr)
    return 2


def _guarded(name: str, words: list[str]) -> int:
    from connectors.errors import ForestallError

    signal.signal(signal.SIGTERM, _unwind)
    try:
        return _run(name, words)
    except ForestallError as fault:
        print(f"forestall: {fault}", file=sys.stderr)
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


def _run(name: str, words: list[str]) -> int:
    import argparse

    from infra.cli import options as common

    module = _module(name)
    parser = argparse.ArgumentParser(
        prog=f"forestall {name}",
        description=f"{COMMANDS[name][1][0].upper()}{COMMANDS[name][1][1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    common.add_common(parser)
    chosen = parser.parse_args(words)
    code = module.run(chosen, common.settings_of(chosen))
    return int(code)


def _module(name: str) -> ModuleType:
    import importlib

    return importlib.import_module(COMMANDS[name][0])


if __name__ == "__main__":
    sys.exit(main())
