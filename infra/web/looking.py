"""Answers the page's questions from the topics that a broker holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectors.errors import WrongUse
from connectors.kafka.log import reader
from infra import clock
from infra.observer import Observer
from infra.settings import Settings
from infra.web.inquiries import Inquiries, Inquiry

WINDOW_KEPT_S = 2.0
PIPELINE_KEPT_S = 10.0
#: An explanation reads so many records of telemetry at most, and takes so long: others wait for their turn.
TELEMETRY_MAX = 250_000
PATIENCE_S = 10.0
#: What was decided does not change, but what took too long may be had when less is asked for.
EXPLAINED_KEPT_S = 600.0


def inquiries(settings: Settings, bootstrap: str, observer: Observer) -> Inquiries:
    """The questions that can be answered where a broker is: metrics of a node, an explanation, how far workers are."""
    return Inquiries(
        metrics=Inquiry(_metrics(bootstrap, observer), WINDOW_KEPT_S, clock.monotonic),
        explanation=Inquiry(_explanation(settings, bootstrap), EXPLAINED_KEPT_S, clock.monotonic),
        pipeline=Inquiry(_pipeline(settings, bootstrap), PIPELINE_KEPT_S, clock.monotonic),
    )


def _metrics(bootstrap: str, observer: Observer) -> Callable[[str], dict[str, Any]]:
    def ask(node: str) -> dict[str, Any]:
        from infra.web.telemetry_window import window_of

        known = observer.look(lambda view: view.fleet.nodes.get(node))
        latest = observer.look(lambda _: None if known is None else known.latest())
        if latest is None:
            raise WrongUse(f"no node {node!r} was heard of")
        return window_of(bootstrap, node, latest.cause.partition)

    return ask


def _explanation(settings: Settings, bootstrap: str) -> Callable[[str], dict[str, Any]]:
    def ask(id: str) -> dict[str, Any]:
        from infra.explain.document import explanation
        from infra.models_in_use import ModelsInUse
        from infra.run_log import RunLog

        with reader(bootstrap) as consumer:
            models = ModelsInUse(settings, bootstrap)
            log = RunLog(None, bootstrap, consumer)
            return explanation(log, id, replay=False, models=models, told=patience(id, clock.monotonic))

    return ask


def patience(id: str, monotonic: Callable[[], float]) -> Callable[[int, int], None]:
    """Is told how many records of how many were read, and raises ``WrongUse`` where that is more than a page waits for.

    The explanation then says so among what it lacks, and has the rest.
    """
    begun = monotonic()

    def told(_: int, whole: int) -> None:
        if whole > TELEMETRY_MAX or monotonic() - begun > PATIENCE_S:
            raise WrongUse(
                f"there are {whole:,} records of telemetry to read up to this frame, which is more than a page waits "
                f"for; `forestall explain {id}` reads them all"
            )

    return told


def _pipeline(settings: Settings, bootstrap: str) -> Callable[[str], dict[str, Any]]:
    def ask(_: str) -> dict[str, Any]:
        from infra.status.document import document
        from infra.status.reading import read_status
        from infra.wiring import policy_settings

        reading = read_status(bootstrap, settings.worker.group, policy_settings(settings))
        told = document(reading, (), clock.now())
        return {key: told[key] for key in ("as_of", "loading_history", "policy", "brakes", "workers", "refused")}

    return ask
