"""``forestall sink webhook``: alerts, as Alertmanager would send them."""

from __future__ import annotations

import argparse
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings

if TYPE_CHECKING:
    from infra.alerts.service import Sender
    from infra.broker.embedded import Broker

_EXAMPLES = """\
examples
  FORESTALL_ALERTS__WEBHOOK=https://pager.example.org/hook forestall sink webhook --brokers kafka-1:9092
  forestall sink webhook --config forestall.toml       with [alerts] webhook = "https://…" in the file

Alertmanager's payload, version 4: fires when something is wrong, resolves when it is over, repeated every
alerts.repeat_s. What the receiver has not said 2xx to is sent again, also after a crash."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall sink webhook``."""
    parser.epilog = _EXAMPLES


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Send alerts until told to stop."""
    from infra.alerts.receiver import require_url
    from infra.broker.locate import locate_broker
    from infra.cli.options import report
    from infra.logs import set_up

    set_up(settings.logs, "forestall sink webhook")
    host = require_url(settings.alerts.webhook)
    with locate_broker(settings) as broker:
        sender = _send(settings, broker, host)
    report(options, {"host": host, **sender.counts()}, [f"alerts: {sender.counts()}"])
    return 0


def _send(settings: Settings, broker: Broker, host: str) -> Sender:
    from infra import clock
    from infra.alerts.wiring import eyes_of, open_sender
    from infra.metrics.health import Health
    from infra.metrics.readers import broken
    from infra.metrics.serving import Page, served
    from infra.observer import Observer

    sender = open_sender(settings, broker.bootstrap, _file(settings, broker))
    observer = Observer(broker.bootstrap, heard=sender.hear)
    health = Health(
        lambda: clock.monotonic() - sender.turned_at,
        lambda: sender.lacking(observer.state(), settings.metrics.stale_s),
        lambda: broken(observer.state()),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sender.stop())
    observer.start()
    logging.getLogger("forestall.alerts").info("alerts go to %s; what must last is in %s", host, sender.file)
    try:
        with served(settings.metrics, Page("sink webhook", health, [sender.fill])):
            sender.run(eyes_of(settings, broker.bootstrap, observer))
    finally:
        sender.stop()
        observer.stop()
    return sender


def _file(settings: Settings, broker: Broker) -> Path:
    """One file for each cluster: another log has other incidents."""
    from platformdirs import user_data_path

    from models.records import digest_id

    root = settings.alerts.directory or user_data_path("forestall") / "alerts"
    return Path(root) / f"{broker.run or digest_id(broker.bootstrap)}.json"
