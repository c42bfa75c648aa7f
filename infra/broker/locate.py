"""Which broker a command talks to: the user's own, an embedded one that runs, or one started for as long as needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.errors import WrongUse
from infra.broker import runs
from infra.broker.embedded import Broker, embedded_broker
from infra.broker.processes import Say, say_on_stderr
from infra.settings import Settings


@contextmanager
def locate_broker(settings: Settings, *, run: str | None = None, say: Say = say_on_stderr) -> Iterator[Broker]:
    """Yield the broker that a command should use.

    In this order: the brokers in the settings; an embedded one that is running (of ``run``, where given); the run
    served last, started again until the block ends; a new run.

    Raises
    ------
    WrongUse
        ``run`` is named, but there is no such run.
    Unreachable
        The brokers in the settings do not answer; or nothing can be fetched to start one.
    """
    if settings.broker.brokers:
        yield own_brokers(settings.broker.brokers)
        return
    root = runs.runs_directory(settings)
    names = runs.known_runs(root)
    if run is not None and run not in names:
        raise WrongUse(f"there is no run {run!r} in {root}; there are: {', '.join(names) or 'none'}")
    for note in runs.all_serving(root):
        if run in (None, note.run):
            log = root / note.run / "broker.log"
            yield Broker(note.bootstrap, note.version, note.run, note.pid, log)
            return
    with embedded_broker(settings, run=run or next(iter(names), None), say=say) as broker:
        yield broker


def own_brokers(brokers: str) -> Broker:
    """Return the user's brokers, once one of them has answered; raises ``Unreachable``."""
    from connectors.kafka.admin import admin_client, broker_version

    with admin_client(brokers) as client:
        return Broker(brokers, broker_version(client))
