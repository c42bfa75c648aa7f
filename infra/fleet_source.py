"""The simulated fleet as telemetry: its last hours as history, then a sample of every node at each interval.

One node begins to fail, by script, a little after the wait is over. Until then nobody knows at which step that will be,
so the fleet is then made anew with the fault at its place and brought to the same step; no sample before the fault
depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from connectors.ports import Moment, RowFrame
from experiments.fleet import METRICS, Delivery, Fleet, FleetSpec, ScriptedFault, scripted_fleet
from models.telemetry import Schema

HISTORY_FRAMES_MAX: Final = 50_000
#: Enough for baselines and chains to settle; more would only lengthen the wait.
HISTORY_STEPS_MAX: Final = 1500
#: The script: signs from so many seconds after the release, death so many seconds later.
ONSET_S: Final = 10.0
LEAD_S: Final = 90.0
SEED: Final = 7
#: With disorder: the share of the samples that come late, and by how much of an interval the nodes' clocks differ.
LATE_SHARE: Final = 0.02
SKEW_SHARE: Final = 0.1
_NEVER: Final = 10**9
SCHEMA: Final = Schema(
    tuple(metric.name for metric in METRICS),
    tuple(metric.is_counter for metric in METRICS),
    tuple(metric.unit for metric in METRICS),
)


def failing_node(names: tuple[str, ...]) -> str:
    """The node that the script lets fail: the third, or the last of fewer."""
    return names[min(2, len(names) - 1)]


class FleetSource:
    """A fleet of ``nodes`` nodes as a :class:`connectors.ports.Source`.

    Parameters
    ----------
    nodes : number of nodes
    start : wall clock in Unix seconds; the past ends one interval before it
    interval_s : seconds between two samples
    with_history : whether there is a past
    seed : the same seed gives the same samples
    disorder : whether frames are stamped by clocks that are off and some come late, behind newer ones of their node
    """

    brings_ticks = False
    flows_while_waiting = True
    repeatable = True

    def __init__(
        self,
        nodes: int,
        start: float,
        interval_s: float = 1.0,
        *,
        with_history: bool = True,
        seed: int = SEED,
        disorder: bool = False,
    ) -> None:
        self.schemas: Sequence[Schema] = (SCHEMA,)
        self._interval_s, self._start = interval_s, start
        self._nodes, self._seed, self._disorder = nodes, seed, disorder
        self._fleet = Fleet(self._spec(_NEVER))
        self._delivery = Delivery(self._fleet.spec)
        self._past = history_steps(nodes) if with_history else 0

    @property
    def spec(self) -> FleetSpec:
        """What fleet this is; a release gives it another script."""
        return self._fleet.spec

    def history(self) -> Iterator[Moment]:
        """The last hours, at most ``HISTORY_FRAMES_MAX`` frames, ending one interval before the start."""
        while self._fleet.step < self._past:
            yield self._moment(0.0)

    def live(self, start: float) -> Iterator[Moment]:
        """A moment each interval from ``start``; where there is a past, it has to be the start that it ends before."""
        if not self._past:
            self._start = start
        if start != self._start:
            raise ValueError(f"the history of this fleet ends at {self._start}, not at {start}")
        while True:
            yield self._moment((self._fleet.step - self._past) * self._interval_s)

    def release(self) -> None:
        """Let the script begin: the fault's first sign comes ``ONSET_S`` from now."""
        onset = self._fleet.step + round(ONSET_S / self._interval_s)
        lead = max(1, round(LEAD_S / self._interval_s))
        scripted = Fleet(self._spec(onset, lead))
        scripted.block(self._fleet.step)
        self._fleet = scripted

    def _spec(self, at_step: int, lead_steps: int = 1) -> FleetSpec:
        names = FleetSpec(nodes=self._nodes).names
        fault = ScriptedFault(failing_node(names), "hbm", at_step, lead_steps)
        spec = scripted_fleet(self._nodes, self._seed, fault, interval_s=self._interval_s)
        return replace(spec, late_share=LATE_SHARE, skew_s=SKEW_SHARE * self._interval_s) if self._disorder else spec

    def _ts(self, step: int) -> float:
        return self._start + (step - self._past) * self._interval_s

    def _moment(self, due_s: float) -> Moment:
        step = self._fleet.step
        return Moment(self._ts(step), due_s, self._sampler(step))

    def _sampler(self, step: int) -> Callable[[], list[RowFrame]]:
        """Sample when it is due, as the fault may be put in until then; a silent node gives no frame."""

        def take() -> list[RowFrame]:
            first_ts = self._ts(0)
            return [
                RowFrame(self._fleet.names[one.row], first_ts + one.ts_s, one.step, SCHEMA, one.values)
                for one in self._delivery.due(step, next(self._fleet))
            ]

        return take


def history_steps(nodes: int) -> int:
    """Number of samples of each node in the past."""
    return min(HISTORY_FRAMES_MAX // nodes, HISTORY_STEPS_MAX)
