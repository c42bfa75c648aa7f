"""``forestall opt-out``: a node that forestall leaves alone."""

from __future__ import annotations

import argparse

from infra.cli.options import duration
from infra.cli.pause import WAIT_HELP
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall opt-out``."""
    parser.epilog = """\
examples
  forestall opt-out n17 --why "it is being looked at"
  forestall opt-out n17 --back

A node that is opted out is never left on a suspicion and never taken as a spare. It is still watched, and a rank that
it loses is restored elsewhere. The opt-out outlives restarts."""
    parser.add_argument("node", metavar="NODE", help="the node")
    parser.add_argument("--back", action="store_true", help="take it in again")
    parser.add_argument("--why", default="", metavar="TEXT", help="why, as people are told")
    parser.add_argument("--wait", type=duration, default=15.0, metavar="TIME", help=WAIT_HELP)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Say it and wait for the workers; 1 when a partition has not taken it in time."""
    from infra.brakes import said, speaker
    from infra.clock import now
    from models.records import InventoryOptOut

    told = InventoryOptOut(node=options.node, at=now(), out=not options.back, by=speaker(), why=options.why)
    what = f"{told.node} is {'opted out' if told.out else 'taken in again'}"
    return said(options, settings, told, what, {"node": told.node, "out": told.out})
