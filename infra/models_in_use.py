"""Whole predictors by their digest: those that forestall ships, that of the settings, and those on the log."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.artefacts import SHIPPED, artefact_content, artefact_path, read_artefact, shipped_artefact
from connectors.errors import WrongUse
from connectors.kafka.artefacts import artefact_records
from infra.settings import Settings
from infra.wiring import require_fit
from models.mlp import Predictor


class ModelsInUse:
    """Looks predictors up, each once.

    Parameters
    ----------
    settings : name an artefact of their own.
    brokers : where others stand on the log.
    """

    def __init__(self, settings: Settings, brokers: str) -> None:
        self._settings, self._brokers = settings, brokers
        self._known: dict[str, Predictor] = {}

    def predictor(self, digest: str) -> Predictor:
        """The predictor of this digest, of this forestall's features.

        Raises
        ------
        WrongUse
            It is nowhere to be had, or cannot be used.
        """
        if digest not in self._known:
            self._known[digest] = self._find(digest)
        return self._known[digest]

    def _find(self, digest: str) -> Predictor:
        for content in self._contents(digest):
            try:
                predictor, _ = read_artefact(content, digest[:16])
            except WrongUse:
                continue
            if predictor.digest == digest:
                require_fit(predictor)
                return predictor
        raise WrongUse(
            f"model {digest[:16]}… is not to be had: forestall does not ship it, the settings do not name it, and it "
            "is not on telemetry.schema.v1; name its file with --set predictor.artefact=FILE"
        )

    def _contents(self, digest: str) -> Iterator[bytes]:
        """The artefacts that may be it, the nearest first."""
        own = artefact_path(self._settings.predictor.artefact)
        for path in dict.fromkeys((own, *map(shipped_artefact, SHIPPED))):
            if path.is_file():  # the settings may name one that only the worker's machine has
                yield artefact_content(path)
        yield from artefact_records(self._brokers, digest)
