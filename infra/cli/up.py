"""``forestall up``: everything on this machine, with a summary at the end."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any

from infra import clock
from infra.cli.options import duration, number_of_nodes, report, speed
from infra.settings import Settings

_EXAMPLES = """\
examples
  forestall up                                          a simulated fleet and this machine, until Ctrl-C
  forestall up --source fleet --nodes 16 --for 60s --json
  forestall up --source host --for 30s --no-job         this machine alone
  forestall up --source replay:data/smd --speed 600     recorded machines, ten minutes of theirs a second
  forestall up --influx --for 120s                      with an InfluxDB that has the dashboards
  forestall up --brokers kafka-1:9092 --set policy.level=observe

--for counts from when all parts are ready and the past is assessed. The demonstration job trains on four nodes of the
fleet; the third of them begins to fail. Unless you set them, policy.level is migrate here, and policy.migration_s 5:
about what it takes to move a process on one machine."""

#: What the demonstration sets where nobody has set it, by section.
_DEMONSTRATION: dict[str, dict[str, Any]] = {
    "policy": {"level": "migrate", "migration_s": 5.0},
    "brakes": {"warm_up_s": 0.0, "breaker_window_s": 300.0},
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall up``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--source", default="fleet,host", help="fleet, host, fleet,host (the default) or replay:FOLDER")
    parser.add_argument("--nodes", type=number_of_nodes, metavar="N", help="nodes of the fleet (default 16)")
    parser.add_argument("--for", dest="for_s", type=duration, metavar="TIME", help="end after so long: 60s, 5m, 2h")
    parser.add_argument("--speed", type=speed, metavar="X", help="replay: its seconds a second (default 600)")
    parser.add_argument("--no-job", action="store_true", help="without the demonstration training job")
    parser.add_argument(
        "--influx", action="store_true", help="an InfluxDB too, with dashboards (`make influxd` builds it)"
    )
    parser.add_argument("--run", metavar="NAME", help="go on with this run of the embedded broker, or begin it")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run everything until ``--for`` is over, the recording ends, or somebody stops it."""
    from infra.up.plan import plan_of

    plan = plan_of(
        options.source,
        nodes=options.nodes,
        speed=options.speed,
        for_s=options.for_s,
        with_job=not options.no_job,
        run=options.run,
    )
    if options.influx:
        from infra.influx.server import find_influxd

        find_influxd()
        plan = replace(plan, influx=True)
    from infra.shadow_policies import require_candidates
    from infra.up.run import run as run_plan
    from infra.up.terminal import Terminal
    from infra.web.access import terms_of
    from infra.wiring import command_sealer, served_predictor

    settings = demonstration(settings)
    served_predictor(settings)
    if settings.signing.model_fields_set:
        command_sealer(settings)
    terms_of(settings.web)
    require_candidates(settings)
    terminal = Terminal(to_stderr=options.json, monotonic=clock.monotonic)
    if not (options.no_job or plan.with_job):
        terminal.say("job", "none: the demonstration job trains on nodes of the fleet")
    ending = run_plan(plan, settings, terminal)
    if not options.json:
        terminal.summarise(ending.summary)
    report(options, ending.summary, ())
    if ending.failed is not None:
        print(f"forestall: {ending.failed}", file=sys.stderr)
    return 0 if ending.failed is None else 1


def demonstration(settings: Settings) -> Settings:
    """The settings as the demonstration job needs them, where nobody has set them.

    It may be migrated, and that takes what moving a process takes here until it is measured; its nodes are known from
    the past that is loaded, and a new one fails every few minutes. Nothing else is changed: an unforeseen failure costs
    what it costs on a cluster, and the predictor has no more trust than it has earned.
    """
    sections = {}
    for name, wanted in _DEMONSTRATION.items():
        section = getattr(settings, name)
        given = section.model_fields_set if name in settings.model_fields_set else frozenset()
        sections[name] = section.model_copy(update={key: one for key, one in wanted.items() if key not in given})
    return settings.model_copy(update=sections)
