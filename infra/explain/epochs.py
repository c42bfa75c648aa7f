"""Which settings were in use when a record came: a worker that was started with others went on with those."""

from __future__ import annotations

from bisect import bisect_right

from infra.kept_settings import KeptSettings, kept, settings_told
from infra.run_log import RunLog


class NotOnLog(Exception):
    """What is needed to recompute is not on the log any more; says what, and from where on there is something."""


class Epochs:
    """What workers told of their settings on a log, by the time at which a record was appended (Unix seconds)."""

    def __init__(self, log: RunLog) -> None:
        told = settings_told(log)
        self._since = [one.at for one in told]
        self._kept = [kept(one) for one in told]

    def __len__(self) -> int:
        return len(self._kept)

    def at(self, appended: float) -> KeptSettings:
        """The settings in use for a record; before the first that were told, those."""
        return self._kept[max(0, bisect_right(self._since, appended) - 1)]
