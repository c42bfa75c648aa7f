"""``forestall audit export``: the command log as JSON lines, each record as it is on the topic."""

from __future__ import annotations

import argparse
from pathlib import Path

from infra.cli.options import add_run, report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall audit export``."""
    parser.epilog = """\
examples
  forestall audit export commands.jsonl
  forestall audit export commands.jsonl --brokers kafka-1:9092

One record a line, partition by partition; a last line says how many there are and which command is the last of each
partition. Note the link of the last command elsewhere too: it shows later that the file was not cut and ended anew."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a new file")
    add_run(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Write the log as it is; `forestall audit verify` judges it."""
    from connectors.errors import WrongUse
    from connectors.signing.export import write_export
    from infra.command_log import read_command_log

    if options.file.exists():
        raise WrongUse(f"{options.file} is there already: name a new file, so that no earlier export is lost")
    log = read_command_log(settings, options.run)
    last = write_export(options.file, log.records, log.run)
    partitions = [
        {"partition": one.partition, "records": one.records, "after": one.after, "tip": one.tip}
        for one in last.partitions
    ]
    total = sum(one.records for one in last.partitions)
    lines = [f"{total} commands of {log.source} in {options.file}"]
    lines += [f"partition {one.partition}: {one.records}, the last with link {one.tip}" for one in last.partitions]
    report(options, {"file": str(options.file), "commands": total, "run": log.run, "partitions": partitions}, lines)
    return 0
