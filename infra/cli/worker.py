"""``forestall worker``: the Faust worker that assesses telemetry and decides."""

from __future__ import annotations

import argparse

from infra.settings import Settings

_EXAMPLES = """\
examples
  forestall worker --brokers kafka-1:9092                          observe: assess, command nothing
  forestall worker --brokers kafka-1:9092 --set policy.level=checkpoint

Run as many as you like: partitions are shared among them. A worker that is killed loses nothing; the next one goes on
from the newest snapshot and publishes nothing twice with other content."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall worker``."""
    parser.epilog = _EXAMPLES


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Work until told to stop."""
    from connectors.kafka.admin import admin_client, check_topics
    from infra.broker.locate import locate_broker
    from infra.cli.topics import lines_of, specs_of
    from infra.kept_settings import keep_settings
    from infra.logs import set_up
    from infra.metrics.watched_worker import watched_worker
    from infra.metrics.written import Written
    from infra.wiring import command_sealer, worker_app
    from streams.app import run as run_app

    set_up(settings.logs, "forestall worker")
    sealer = command_sealer(settings)
    with locate_broker(settings) as broker:
        with admin_client(broker.bootstrap) as client:
            states = check_topics(client, specs_of(settings))
        if any(state.state == "missing" for state in states):
            from connectors.errors import Failed

            raise Failed(
                "topics are missing, and nothing may be read before they are there:\n" + "\n".join(lines_of(states))
            )
        keep_settings(settings, broker.bootstrap)
        written = Written()
        app = worker_app(settings, broker.bootstrap, sealer, written)
        with watched_worker(settings, broker.bootstrap, app.restorer, written):
            run_app(app)
    return 0
