"""``forestall audit verify``: whether the command log is whole and authentic, on the topic or in a file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.cli.options import add_run, report
from infra.settings import Settings

if TYPE_CHECKING:
    from connectors.signing.chain import Fault, PartitionAudit
    from connectors.signing.keyring import Keys

FAULTS_TOLD = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall audit verify``."""
    parser.epilog = """\
examples
  forestall audit verify                                the last run of the embedded broker, also when it has ended
  forestall audit verify --brokers kafka-1:9092
  forestall audit verify commands.jsonl --keyring keyring.json

Without a keyring the chain alone is judged, and that is said: it finds what was cut, altered, moved or put in, but not
who signed. A file that was cut at its end and given another last line can only be told by a link that was noted before.

exit codes: 0 whole and authentic, 1 there are faults (each is told)"""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="an export (default: the topic itself)")
    parser.add_argument("--keyring", type=Path, metavar="FILE", help="judge by these keys (default: those of the run)")
    add_run(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Read everything; 1 with every fault."""
    audited = _of_file if options.file is not None else _of_topic
    source, trusted, partitions, faults = audited(options, settings)
    result = {
        "ok": not faults,
        "source": source,
        "commands": sum(one.commands for one in partitions),
        "repeated": sum(one.repeated for one in partitions),
        "signatures": "not checked" if trusted is None else "checked",
        "keyring": None if trusted is None else trusted[0],
        "partitions": [_shown(one) for one in partitions],
        "faults": [_told(fault) for fault in faults],
    }
    report(options, result, _lines(result, faults))
    return 1 if faults else 0


_Audited = tuple[str, "tuple[str, Keys] | None", "list[PartitionAudit]", "list[Fault]"]


def _of_topic(options: argparse.Namespace, settings: Settings) -> _Audited:
    from infra.command_log import audit_log, read_command_log, trusted_keys
    from infra.run_log import require_run

    run = require_run(settings, options.run)
    trusted = trusted_keys(settings, options.keyring, run)
    log = read_command_log(settings, run, answers=True)
    found = audit_log(log, None if trusted is None else trusted[1])
    return log.source, trusted, found, [fault for one in found for fault in one.faults]


def _of_file(options: argparse.Namespace, settings: Settings) -> _Audited:
    from connectors.signing.chain import Fault
    from connectors.signing.export import audit_export, read_export
    from infra.command_log import trusted_keys

    export = read_export(options.file)
    run = options.run or (export.last.run if export.last else None) or _last_run(settings)
    trusted = trusted_keys(settings, options.keyring, run)
    found = audit_export(export, None if trusted is None else trusted[1])
    faults = [*export.strange, *(fault for one in found for fault in one.faults)]
    if export.last is None:
        faults.append(Fault(None, None, "cut-short", detail="an export ends in a line that says what it holds"))
    return str(options.file), trusted, found, faults


def _last_run(settings: Settings) -> str | None:
    from infra.broker import runs

    return next(iter(runs.known_runs(runs.runs_directory(settings))), None)


def _shown(one: PartitionAudit) -> dict[str, Any]:
    return {
        "partition": one.partition,
        "commands": one.commands,
        "repeated": one.repeated,
        "after": one.after,
        "tip": one.tip,
    }


def _told(fault: Fault) -> dict[str, Any]:
    return {
        "partition": fault.partition,
        "record": fault.number,
        "command": fault.command,
        "reason": fault.reason,
        "what": str(fault),
    }


def _lines(result: dict[str, Any], faults: Sequence[Fault]) -> Iterator[str]:
    yield result["source"]
    for fault in faults[:FAULTS_TOLD]:
        place = "" if fault.partition is None else f" partition {fault.partition}"
        number = "" if fault.number is None else f" record {fault.number}"
        command = "" if fault.command is None else f" command {fault.command}"
        yield f"FAULT{place}{number}{command}: {fault}"
    if len(faults) > FAULTS_TOLD:
        yield f"FAULT … and {len(faults) - FAULTS_TOLD} more; --json has all"
    repeated = f", {result['repeated']} records again" if result["repeated"] else ""
    if result["ok"]:
        yield f"ok    {result['commands']} commands, each follows the one it names{repeated}"
    if result["keyring"] is None:
        yield "      signatures were NOT checked: no keyring was found (--keyring FILE)"
    elif result["ok"]:
        yield f"      each signed by a key of {result['keyring']}"
