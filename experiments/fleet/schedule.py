"""When what happens: draws faults and look-alikes chunk by chunk, keeps the truth, and paints the causes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.fleet.episodes import Chatter, Episode, Failing, Gap, HotRoom, Idle, Service
from experiments.fleet.latents import CHATTERERS, Latents
from experiments.fleet.spec import (
    FAULT_CLASSES,
    FAULT_SHARES,
    Benign,
    Fault,
    FaultClass,
    FleetSpec,
    LookAlike,
    ScriptedFault,
)

#: Nodes that a burst takes on average; 2 at least.
BURST_NODES_MEAN: Final = 3
#: Share of the faults with signs before which the GPU's metrics vanish, for up to half of the lead at its end; of the
#: others, half lose samples more and more, up to this share of them.
DARK_SHARE: Final = 0.25
DARK_OF_LEAD: Final = (0.1, 0.5)
VANISHING: Final = 0.12
#: Spread of a fault's amplitude (lognormal about 1) and the least and greatest power of age by which its signs grow.
AMPLITUDE_SIGMA: Final = 0.4
GROWTH: Final = (0.3, 1.2)
#: A noisy counter's events an interval (median and sigma of a lognormal), and its mean duration (exponential).
CHATTER_MEDIAN: Final = 0.3
CHATTER_SIGMA: Final = 0.7
CHATTER_STEPS: Final = 360
#: Intervals that a hung exporter takes on average (geometric).
GAP_STEPS: Final = 6


class Schedule:
    """The story of a fleet, told in chunks of any fixed size, in order.

    ``faults`` and ``benign`` are the truth as far as the story was told (a scripted fault is known from the start).
    """

    def __init__(self, spec: FleetSpec, rng: np.random.Generator) -> None:
        self._spec, self._rng, self._names = spec, rng, spec.names
        self.faults: list[Fault] = []
        self.benign: list[Benign] = []
        self._episodes: list[Episode] = []
        self._jobs = np.array_split(np.arange(spec.nodes), -(-spec.nodes // spec.job_nodes))
        self._racks = np.array_split(np.arange(spec.nodes), -(-spec.nodes // spec.rack_nodes))
        self._switches = np.array_split(np.arange(spec.nodes), -(-spec.nodes // spec.switch_nodes))
        self._next_stop = rng.exponential(spec.job_run_mean, len(self._jobs))
        self._phase = rng.integers(0, spec.checkpoint_every, len(self._jobs))
        self._free_from = np.zeros(spec.nodes)
        self._job_of, self._rack_of, self._switch_of = (
            np.repeat(np.arange(len(places)), [len(rows) for rows in places])
            for places in (self._jobs, self._racks, self._switches)
        )
        for fault in spec.scripted:
            self._put_script(fault)

    def chunk(self, first: int, steps: int) -> Latents:
        """The causes in ``[first, first + steps)``."""
        self._stop_jobs(first + steps)
        self._draw_faults(first, steps)
        self._draw_look_alikes(first, steps)
        latents = Latents.calm(steps, self._spec.nodes)
        for episode in self._episodes:
            episode.paint(latents, first)
        self._episodes = [episode for episode in self._episodes if episode.end > first + steps]
        self._write_checkpoints(latents, first)
        return latents

    def _put_script(self, script: ScriptedFault) -> None:
        row = self._names.index(script.node)
        failure = script.at_step + script.lead_steps
        self._free_from[row] = np.inf
        kind = FAULT_CLASSES.index(script.fault_class)
        rng = np.random.default_rng(self._spec.seed)
        self._add_fault(
            rng, row, kind, script.at_step, failure, 1.3, 0.4, dark_share=0.0, repair_steps=script.repair_steps
        )

    def _add_fault(
        self,
        rng: np.random.Generator,
        row: int,
        kind: int,
        onset: int,
        failure: int,
        amplitude: float,
        shape: float,
        *,
        dark_share: float = DARK_SHARE,
        repair_steps: int | None = None,
    ) -> None:
        repair = self._spec.repair_median * float(np.exp(self._spec.repair_sigma * rng.standard_normal()))
        back = failure + 1 + (round(repair) if repair_steps is None else repair_steps)
        dark, vanishing = failure, VANISHING * float(rng.random() < 0.5)
        if rng.random() < dark_share:
            dark, vanishing = failure - round(float(rng.uniform(*DARK_OF_LEAD)) * (failure - onset)), 0.0
        self.faults.append(Fault(self._names[row], FAULT_CLASSES[kind], onset, failure, back))
        self._episodes.append(Failing(row, kind, onset, failure, back, amplitude, shape, vanishing, dark))
        restart = failure + int(rng.integers(20, 60))
        self._idle(np.setdiff1d(self._jobs[self._job_of[row]], [row]), failure, restart)

    def _idle(self, rows: npt.NDArray[np.intp], start: int, end: int) -> None:
        self._episodes.append(Idle(rows, start, end))
        self._note(rows, "job_stop", start, end)

    def _note(self, rows: Iterable[int], kind: LookAlike, start: int, end: int) -> None:
        self.benign.extend(Benign(self._names[row], kind, start, end) for row in rows)

    def _stop_jobs(self, until: int) -> None:
        for job in np.flatnonzero(self._next_stop < until):
            while self._next_stop[job] < until:
                start = int(self._next_stop[job])
                end = start + int(self._rng.integers(30, 120))
                self._idle(self._jobs[job], start, end)
                self._next_stop[job] = end + self._rng.exponential(self._spec.job_run_mean)

    def _strikes(self, rate: float, first: int, steps: int, places: int) -> list[tuple[int, int]]:
        """(step, place) of events of ``rate`` per place and interval, in order of time."""
        number = int(self._rng.poisson(rate * steps * places))
        when = np.sort(self._rng.integers(first, first + steps, number))
        return list(zip(when.tolist(), self._rng.integers(0, places, number).tolist(), strict=True))

    def _draw_faults(self, first: int, steps: int) -> None:
        spec, rng = self._spec, self._rng
        for onset, row in self._strikes(spec.fault_rate, first, steps, spec.nodes):
            kind = int(rng.choice(len(FAULT_CLASSES), p=list(FAULT_SHARES.values())))
            sudden = bool(rng.random() < spec.sudden_share)
            lead = 0 if sudden else max(1, round(self._lognormal(spec.lead_median, spec.lead_sigma)))
            amplitude = self._lognormal(1.0, AMPLITUDE_SIGMA)
            shape = float(rng.uniform(*GROWTH))
            for struck in self._burst(row, FAULT_CLASSES[kind]):
                if self._free_from[struck] <= onset:
                    self._add_fault(rng, struck, kind, onset, onset + lead, amplitude, shape)
                    self._free_from[struck] = self.faults[-1].back + 1

    def _burst(self, row: int, kind: FaultClass) -> list[int]:
        """The node itself, or some of its switch with it when links fail, of its rack (power, cooling) otherwise."""
        share = self._spec.burst_share
        if self._rng.random() >= share / (BURST_NODES_MEAN - (BURST_NODES_MEAN - 1) * share):
            return [row]
        near = self._switches[self._switch_of[row]] if kind == "link" else self._racks[self._rack_of[row]]
        others = self._rng.permutation(near[near != row])[: int(self._rng.integers(1, 2 * BURST_NODES_MEAN - 2))]
        return [row, *others.tolist()]

    def _lognormal(self, median: float, sigma: float) -> float:
        return median * float(np.exp(sigma * self._rng.standard_normal()))

    def _draw_look_alikes(self, first: int, steps: int) -> None:
        rate, rng = self._spec.look_alike_rate, self._rng
        for start, rack in self._strikes(rate, first, steps, len(self._racks)):
            end = start + int(rng.integers(150, 600))
            self._episodes.append(HotRoom(self._racks[rack], start, end, float(rng.uniform(3, 9))))
            self._note(self._racks[rack], "hot_room", start, end)
        for start, row in self._free(self._strikes(rate, first, steps, self._spec.nodes)):
            end = start + int(rng.geometric(1 / CHATTER_STEPS))
            chatter = self._lognormal(CHATTER_MEDIAN, CHATTER_SIGMA)
            self._episodes.append(Chatter(row, start, end, int(rng.integers(len(CHATTERERS))), chatter))
            self._note([row], "noisy_counter", start, end)
        for start, row in self._free(self._strikes(rate, first, steps, self._spec.nodes)):
            end = start + int(rng.geometric(1 / GAP_STEPS))
            self._episodes.append(Gap(row, start, end))
            self._note([row], "exporter_gap", start, end)
        for start, row in self._free(self._strikes(rate, first, steps, self._spec.nodes)):
            self._service(row, start, "driver_update", dark=int(rng.integers(2, 6)), away=int(rng.integers(8, 25)))
        for start, row in self._free(self._strikes(rate, first, steps, self._spec.nodes)):
            self._service(row, start, "maintenance", dark=int(rng.integers(10, 40)), away=int(rng.integers(60, 300)))

    def _free(self, strikes: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those strikes whose node has no fault and is not being worked on."""
        return [(step, row) for step, row in strikes if self._free_from[row] <= step]

    def _service(self, row: int, start: int, kind: LookAlike, dark: int, away: int) -> None:
        back = start + dark + away
        self._episodes.append(Service(row, start, start + dark, back))
        self._free_from[row] = back + 1
        self._note([row], kind, start, back)

    def _write_checkpoints(self, latents: Latents, first: int) -> None:
        phase = self._phase[self._job_of]
        steps = np.arange(first, first + latents.load.shape[0])[:, None]
        np.multiply(
            (steps + phase) % self._spec.checkpoint_every < self._spec.checkpoint_steps,
            latents.load,
            out=latents.writing,
        )
