"""``forestall ledger``: where the time of the jobs went, what each node cost, and what acting has saved."""

from __future__ import annotations

import argparse
import math

from infra.cli.options import add_run, instant, report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall ledger``."""
    parser.epilog = """\
examples
  forestall ledger                                all jobs of the last run, and the fleet
  forestall ledger --job llama --from 2026-11-24T10:00:00Z --to 2026-11-25T10:00:00Z
  forestall ledger --brokers kafka-1:9092 --json

Each second of a job is in exactly one bucket, and the ledgers of adjoining times add up to that of the whole. What is
saved against static Young is an estimate: it is told with its interval and with what it assumes."""
    parser.add_argument("--job", metavar="JOB", help="this job alone (default: all, and the fleet)")
    add_run(parser)
    parser.add_argument("--from", dest="begin", type=instant, metavar="T", help="count from then on (source time)")
    parser.add_argument("--to", dest="end", type=instant, metavar="T", help="and up to then")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Read the decision log and tell."""
    from connectors.errors import WrongUse
    from infra.kept_settings import policy_in_use
    from infra.ledger import ledgers, lines
    from infra.run_log import run_log

    since = -math.inf if options.begin is None else options.begin
    until = math.inf if options.end is None else options.end
    if since >= until:
        raise WrongUse("--from must be before --to")
    with run_log(settings, options.run) as log:
        policy = policy_in_use(settings, log.bootstrap, options.end)
        told = ledgers(log, policy, options.job, since, until)
    report(options, told, lines(told))
    return 0
