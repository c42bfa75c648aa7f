"""Where the parts of the sender of alerts are joined."""

from __future__ import annotations

from pathlib import Path

from connectors.kafka.topics import COMMAND, EVENT, TELEMETRY
from infra import clock
from infra.alerts.decided import BreakerFold
from infra.alerts.keeping import load, of_log
from infra.alerts.receiver import Receiver
from infra.alerts.service import Eyes, Sender
from infra.metrics.scrape import Metrics
from infra.metrics.watch import KafkaEnds
from infra.observer import Observer
from infra.observer.reader import log_ends
from infra.settings import Settings, Web
from infra.status.reading import read_status
from infra.status.replaying import replay_of
from infra.wiring import policy_settings
from streams.batch import Partition


def open_sender(settings: Settings, brokers: str, file: Path) -> Sender:
    """A sender that goes on where its file ends; raises ``WrongUse`` or ``Unreachable``."""
    policy = policy_settings(settings)
    now = clock.now()
    kept = of_log(load(file, now), log_ends(brokers, (EVENT, COMMAND)), now)
    folded = BreakerFold.of(read_status(brokers, settings.worker.group, policy), policy)
    receiver = Receiver(settings.alerts.webhook, settings.alerts.per_minute, clock.monotonic, clock.now)
    return Sender(settings.alerts, file, kept, receiver, folded, clock.now, clock.monotonic, page_of(settings.web))


def page_of(web: Web) -> str:
    """Where the live page is, by its settings."""
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"{'http' if web.tls_cert is None else 'https'}://{host}:{web.port}"


def eyes_of(settings: Settings, brokers: str, observer: Observer) -> Eyes:
    """What the sender looks at, of an observer that reads these brokers."""
    ask = KafkaEnds(brokers)
    metrics = Metrics(observer, policy_settings(settings), replay_of(settings, brokers), clock.monotonic)
    partitions = [Partition(TELEMETRY, number) for number in observer.telemetry_ends()]
    return Eyes(
        view=observer.look,
        state=observer.state,
        ends=lambda: {place.number: end for place, end in ask(partitions).items()},
        diagnoses=metrics.found,
    )
