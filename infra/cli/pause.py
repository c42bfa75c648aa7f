"""``forestall pause``: nothing new is commanded, for one job or for all."""

from __future__ import annotations

import argparse

from infra.cli.options import duration
from infra.settings import Settings

WAIT_HELP = "for the worker of every partition (default 15s)"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall pause``."""
    parser.epilog = """\
examples
  forestall pause --why "storage is being moved"       all jobs
  forestall pause --job llama --why "benchmark runs"   one job; forestall resume --job llama ends it

What is under way is finished, and a rank that is down is restored; no checkpoint, no migration and no new size is
ordered until forestall resume. The pause outlives restarts."""
    parser.add_argument("--job", metavar="JOB", help="this job alone (default: all)")
    parser.add_argument("--why", required=True, metavar="TEXT", help="why, as people are told")
    parser.add_argument("--wait", type=duration, default=15.0, metavar="TIME", help=WAIT_HELP)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Say it and wait for the workers; 1 when a partition has not taken it in time."""
    from infra.brakes import said, speaker
    from infra.clock import now
    from models.records import InventoryPause

    told = InventoryPause(job=options.job, at=now(), paused=True, by=speaker(), why=options.why)
    what = "every job is paused" if told.job is None else f"{told.job} is paused"
    return said(options, settings, told, what, {"paused": True, "job": told.job})
