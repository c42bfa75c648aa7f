"""``forestall backtest``: what another policy would have done with a log that is there."""

from __future__ import annotations

import argparse
from pathlib import Path

from infra.cli.options import add_run, instant, report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall backtest``."""
    parser.epilog = """\
examples
  forestall backtest                                     the last run under its own policy: no difference
  forestall backtest --set policy.checkpoint=paper       what the paper's rate would have done otherwise
  forestall backtest --policy candidate.toml --from 2026-11-24T10:00:00Z
  forestall backtest --model trained.safetensors         with another model's incidents
  forestall backtest --brokers kafka-1:9092 --json

The candidate is what the workers of the log decided with, then the [policy] and [brakes] of the file, then what the
settings set on purpose. Nothing is published."""
    parser.add_argument("--from", dest="begin", type=instant, metavar="T", help="tell of what came from then on")
    parser.add_argument("--to", dest="end", type=instant, metavar="T", help="and up to then (source time)")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="a TOML file with [policy] and [brakes]")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="assess the telemetry anew: an artefact, its folder, or default or eq1",
    )
    add_run(parser)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Fold, and tell."""
    from infra.backtest.assessing import find_artefact
    from infra.backtest.candidate import candidate_incidents, candidate_policy
    from infra.backtest.document import document, lines
    from infra.backtest.run import Asked, backtest
    from infra.kept_settings import settings_in_use
    from infra.run_log import run_log

    content = None if options.model is None else find_artefact(options.model)
    with run_log(settings, options.run) as log:
        kept = settings_in_use(log, options.end)
        policy = candidate_policy(kept.policy, options.policy, settings)
        incidents = candidate_incidents(kept.incidents, policy, settings)
        asked = Asked(own=kept.policy, candidate=policy, begin=options.begin, end=options.end)
        found = backtest(log, asked, content, incidents)
        result = document(found, asked)
        report(options, {"run": log.run, **result}, lines(result, log.run))
    return 0
