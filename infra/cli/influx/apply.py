"""``forestall influx apply``: an InfluxDB that is set up for forestall, again and again with the same result."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from infra.cli.options import report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall influx apply``."""
    parser.epilog = """\
examples
  forestall influx apply --admin-token admin.token
  forestall influx apply --admin-token admin.token --set influx.url=https://influx-1:8086 --set influx.org=ml
  pass show influx/admin | forestall influx apply --admin-token - --json

What is there already keeps its id, what differs is put right, what somebody removed comes back. Two tokens are made:
the sink's may write to one bucket and do nothing else, that of Grafana may read both buckets. They go into files of
mode 600 and are not shown."""
    parser.add_argument(
        "--admin-token",
        required=True,
        metavar="FILE",
        help="the file of a token that may make buckets, tasks, dashboards and tokens; - reads it from standard input",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Set everything up and keep the tokens."""
    from infra.influx.provision import provision
    from infra.influx.token_files import admin_token, keep

    influx = settings.influx
    made = provision(influx.url, admin_token(options.admin_token), influx.org, influx.bucket, settings.alerts.runbooks)
    files = keep(settings, made)
    result = {
        "url": influx.url,
        "org": influx.org,
        "buckets": made.buckets,
        "tasks": made.tasks,
        "dashboards": made.dashboards,
        "checks": made.checks,
        "token_files": {"sink": str(files.sink), "dashboards": str(files.dashboards)},
    }
    report(options, result, _lines(result))
    return 0


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield f"InfluxDB at {result['url']}, organisation {result['org']}, is set up"
    for what in ("buckets", "tasks", "dashboards", "checks"):
        yield f"{what:<12}{len(result[what])}: {', '.join(sorted(result[what]))}"
    files = result["token_files"]
    yield f"sink        {files['sink']}: may write to one bucket; --set influx.token_file={files['sink']}"
    yield f"Grafana     {files['dashboards']}: may read both"
    yield "who is told of an alert is yours to choose: docs/how-to/dashboards.md"
