"""``forestall doctor``: what is needed, what stands in the way, and the cure of each fault."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from infra.cli.options import report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall doctor``."""
    parser.epilog = """\
examples
  forestall doctor                          this machine and the embedded Kafka (tried out, then stopped)
  forestall doctor --brokers kafka-1:9092   your own Kafka"""


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Check everything; 1 when something has to be cured."""
    from infra.diagnosis import Finding, examine

    def lines(findings: list[Finding]) -> Iterator[str]:
        for finding in findings:
            yield f"{'ok   ' if finding.ok else 'FAULT'} {finding.name:<9}{finding.detail}"
            if not finding.ok:
                yield f"      cure:    {finding.cure}"

    findings = examine(settings)
    good = all(finding.ok for finding in findings)
    report(options, {"ok": good, "checks": [asdict(finding) for finding in findings]}, lines(findings))
    return 0 if good else 1
