"""Where the parts of the sender of alerts are joined."""

from __future__ import annotations

from pathlib import Path

from connectors.kafka.topics import EVENT, TELEMETRY
from infra import clock
from infra.alerts.decided import Decided
from infra.alerts.receiver import Receiver
from infra.alerts.service import Eyes, Sender
from infra.metrics.scrape import Metrics
from infra.metrics.watch import KafkaEnds
from infra.observer import Observer
from infra.settings import Settings
from infra.status.reading import read_status
from infra.status.replaying import replay_of
from infra.wiring import policy_settings
from streams.batch import Partition


def open_sender(settings: Settings, brokers: str, file: Path) -> Sender:
    """A sender that goes on where its file ends; raises ``WrongUse`` or ``Unreachable``."""
    policy = policy_settings(settings)
    decided = Decided.of(read_status(brokers, settings.worker.group, policy), EVENT, policy)
    receiver = Receiver(settings.alerts.webhook, settings.alerts.per_minute, clock.monotonic)
    external = f"http://{settings.web.host}:{settings.web.port}"
    return Sender(settings.alerts, file, receiver, decided, clock.now, clock.monotonic, external)


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
