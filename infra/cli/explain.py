"""``forestall explain``: why a command was given or an incident opened, and whether it comes out of the log again."""

from __future__ import annotations

import argparse

from infra.cli.options import add_run, report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall explain``."""
    parser.epilog = """\
examples
  forestall explain 797ad5f84ab86ee8            of the last run: which metrics, which rule, what others would have done
  forestall explain 797ad5                      the first letters are enough where they are of one alone
  forestall explain 797ad5f84ab86ee8 --replay   recompute it from the log, and say whether it comes out the same
  forestall explain 949ff5ddca783c3a --json     an incident; every feature's contribution

Ids stand in the summary of `forestall up`, on the live page, and in `forestall audit export`."""
    parser.add_argument("id", metavar="ID", help="a command or an incident")
    parser.add_argument("--replay", action="store_true", help="recompute it from the log and say equal or not")
    add_run(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Explain; 1 when a replay gives something else."""
    from rich.console import Console
    from rich.progress import Progress

    from infra.explain.document import explanation
    from infra.explain.lines import lines
    from infra.models_in_use import ModelsInUse
    from infra.run_log import run_log

    console = Console(stderr=True)
    quiet = not console.is_terminal
    with run_log(settings, options.run) as log, Progress(console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task("telemetry", total=None)
        told = explanation(
            log,
            options.id,
            replay=options.replay,
            models=ModelsInUse(settings, log.bootstrap),
            told=lambda done, whole: progress.update(task, completed=done, total=whole),
        )
    report(options, told, lines(told))
    return 1 if told["replay"] is not None and told["replay"]["equal"] is False else 0
