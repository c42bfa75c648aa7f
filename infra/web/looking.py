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
#: What was decided does not change; its explanation is kept until others push it out.
EXPLAINED_KEPT_S = 3_600.0


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
            return explanation(RunLog(None, bootstrap, consumer), id, replay=False, models=models)

    return ask


def _pipeline(settings: Settings, bootstrap: str) -> Callable[[str], dict[str, Any]]:
    def ask(_: str) -> dict[str, Any]:
        from infra.status.document import document
        from infra.status.reading import read_status
        from infra.wiring import policy_settings

        reading = read_status(bootstrap, settings.worker.group, policy_settings(settings))
        told = document(reading, (), clock.now())
        return {key: told[key] for key in ("as_of", "loading_history", "policy", "brakes", "workers", "refused")}

    return ask
