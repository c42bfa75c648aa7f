"""What is told at a scrape: made from the view of the topics, at most so often whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable

from infra.metrics.diagnostics import exposition
from infra.observer.view import View
from infra.observer.watched import Watched
from infra.status.diagnosing import Replay, Replayed, jobs, predictor
from infra.status.stories import probabilities
from models.diagnostics import Diagnosis, Told
from models.policy_settings import PolicySettings

#: A scrape within this of the last one is told the same.
INTERVAL_S = 5.0
#: So long the features of a predictor that is stuck are not read again.
REPLAYED_S = 600.0


class Metrics:
    """The page that Prometheus reads.

    Parameters
    ----------
    watched : where the view comes from.
    policy : what counts as usual where a job has measured nothing.
    replay : the model in use and features of its nodes, asked for where P is stuck.
    monotonic : seconds that never go back.
    """

    def __init__(
        self, watched: Watched, policy: PolicySettings, replay: Replay, monotonic: Callable[[], float]
    ) -> None:
        self._watched, self._policy, self._replay, self._monotonic = watched, policy, replay, monotonic
        self._making = threading.Lock()
        self._text = b""
        self._found: list[Diagnosis] = []
        self._made: float | None = None
        self._replayed: tuple[float, Replayed] | None = None

    def text(self) -> bytes:
        """The exposition; may take a moment, so a server asks for it in a thread."""
        with self._making:
            self._judge()
            return self._text

    def found(self) -> list[Diagnosis]:
        """Every diagnostic, as it was told last."""
        with self._making:
            self._judge()
            return self._found

    def _judge(self) -> None:
        now = self._monotonic()
        if self._made is None or now - self._made >= INTERVAL_S:
            told, found = self._watched.look(self._judged)
            self._found = [predictor(told, self._looked_up), *found]
            self._text, self._made = exposition(self._found), now

    def _judged(self, view: View) -> tuple[list[Told], list[Diagnosis]]:
        return probabilities(view.fleet), jobs(view, self._policy, {})

    def _looked_up(self) -> Replayed:
        """The features, which are large to read, are kept for a while: what is stuck stays so."""
        now = self._monotonic()
        if self._replayed is None or now - self._replayed[0] >= REPLAYED_S:
            self._replayed = now, self._replay()
        return self._replayed[1]
