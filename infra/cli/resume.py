"""``forestall resume``: the end of a pause, or a breaker that somebody has looked at."""

from __future__ import annotations

import argparse

from connectors.errors import WrongUse
from infra.cli.options import duration
from infra.cli.pause import WAIT_HELP
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall resume``."""
    parser.epilog = """\
examples
  forestall resume                       the end of the pause of all jobs
  forestall resume --job llama           of one job's own
  forestall resume --breaker --why "the rack has its power back"

A pause of all jobs and one of a job end each for itself. The breaker closes on every partition, and its window begins
anew."""
    parser.add_argument("--job", metavar="JOB", help="the pause of this job (default: that of all)")
    parser.add_argument("--breaker", action="store_true", help="close the breaker in place of ending a pause")
    parser.add_argument("--why", default="", metavar="TEXT", help="why, as people are told")
    parser.add_argument("--wait", type=duration, default=15.0, metavar="TIME", help=WAIT_HELP)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Say it and wait for the workers; 1 when a partition has not taken it in time."""
    if options.breaker and options.job is not None:
        raise WrongUse("--breaker is of all jobs of a partition: leave --job out")
    from infra.brakes import said, speaker
    from infra.clock import now
    from models.records import InventoryBreaker, InventoryPause

    told: InventoryBreaker | InventoryPause
    if options.breaker:
        told, what = InventoryBreaker(at=now(), by=speaker(), why=options.why), "the breaker is closed"
    else:
        told = InventoryPause(job=options.job, at=now(), paused=False, by=speaker(), why=options.why)
        what = "the pause of all jobs is over" if told.job is None else f"the pause of {told.job} is over"
    return said(options, settings, told, what, {"paused": False, "job": options.job, "breaker": options.breaker})
