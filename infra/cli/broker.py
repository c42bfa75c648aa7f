"""``forestall broker start|stop|status``: the embedded Kafka."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from connectors.errors import Failed, WrongUse
from infra.broker import embedded, runs
from infra.cli.options import report
from infra.settings import Settings

_EXAMPLES = """\
examples
  forestall broker start             go on with the run served last, or begin the first
  forestall broker start --run lab   a run by name; its data stays until newer runs push it out
  forestall broker status --json
  forestall broker stop"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall broker``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument("--run", metavar="NAME", help="the run that is meant")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Start, stop or show the embedded broker."""
    if settings.broker.brokers:
        raise WrongUse(
            f"the settings name brokers of your own ({settings.broker.brokers}), so there is no embedded one to "
            f"{options.action}; leave out --brokers and [broker] brokers for that"
        )
    action = {"start": _start, "stop": _stop, "status": _status}[options.action]
    return action(options, settings)


def _start(options: argparse.Namespace, settings: Settings) -> int:
    root = runs.runs_directory(settings)
    for note in runs.all_serving(root):
        if options.run in (None, note.run):
            report(
                options, _shown(note), [f"Kafka {note.version} is running already: {note.bootstrap}, run {note.run}"]
            )
            return 0
    name = options.run or next(iter(runs.known_runs(root)), None)
    broker = embedded.start_detached(settings, run=name)
    result = {"run": broker.run, "bootstrap": broker.bootstrap, "version": broker.version, "pid": broker.pid}
    report(
        options,
        result | {"log": str(broker.log)},
        [
            f"Kafka {broker.version} answers at {broker.bootstrap}",
            f"run {broker.run}, process {broker.pid}, log {broker.log}",
        ],
    )
    return 0


def _stop(options: argparse.Namespace, settings: Settings) -> int:
    root = runs.runs_directory(settings)
    found = [note for note in runs.all_serving(root) if options.run in (None, note.run)]
    owned = [note for note in found if note.owner is not None and runs.process_created(note.owner) is not None]
    if owned:
        raise Failed(f"the broker of run {owned[0].run} belongs to process {owned[0].owner}: end that, and it ends too")
    for note in found:
        embedded.stop_detached(note, root)
    lines = [f"stopped: run {note.run} at {note.bootstrap}" for note in found] or ["no embedded broker is running"]
    report(options, {"stopped": [note.run for note in found]}, lines)
    return 0


def _status(options: argparse.Namespace, settings: Settings) -> int:
    root = runs.runs_directory(settings)
    found = [note for note in runs.all_serving(root) if options.run in (None, note.run)]
    names = runs.known_runs(root)
    lines = [f"run {note.run}: Kafka {note.version} at {note.bootstrap}, process {note.pid}" for note in found]
    lines = lines or ["no embedded broker is running; forestall broker start starts one"]
    lines.append(f"runs in {root}: {', '.join(names) or 'none'}")
    result = {"running": [_shown(note) for note in found], "runs": names, "directory": str(root)}
    report(options, result, lines)
    return 0


def _shown(note: runs.Serving) -> dict[str, Any]:
    return {key: value for key, value in asdict(note).items() if key != "created"}
