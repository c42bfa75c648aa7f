"""Which nodes are watched when, and for what: parts that share neither nodes nor times.

Two fleets follow each other on one clock. The *learning* fleet (train, validation) is one in which far more goes
wrong and no fault is sudden, so that few node-days show many signs: that is how the imbalance of the classes is met.
Each of its nodes is a job of its own, or so many failures would leave jobs idle for half of the time. The *judging*
fleet (calibration, test) is :func:`~experiments.fleet.presets.prediction_fleet` as it stands; its clock starts a gap
after the learning fleet's end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from experiments.fleet import FleetSpec
from experiments.fleet.fleet import BLOCK_NODES
from experiments.fleet.presets import prediction_fleet
from models.limits import RANGE_FRAMES, WINDOW_FRAMES
from models.training.recording import Part, require_apart

#: Of the faults that give a sign, 19 in 20 fail within so many minutes of it.
HORIZON: Final = 45
#: How much more often faults, and look-alikes, come in the learning fleet.
FAULT_HASTE: Final = 20.0
LOOK_ALIKE_HASTE: Final = 8.0
LEARNING_REPAIR: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes in blocks of ``BLOCK_NODES`` nodes (each part's, in each shard) and in steps; all fleets from one seed.

    ``judging_haste`` is 1 but in a trial, where the fleet to be judged on has to show something in a few hours.
    """

    seed: int = 1
    shards: int = 2
    train_blocks: int = 7
    validation_blocks: int = 2
    calibration_blocks: int = 6
    test_blocks: int = 23
    train_steps: int = 1_500
    validation_steps: int = 700
    calibration_steps: int = 1_000
    test_steps: int = 2_900
    epochs: int = 8
    judging_haste: float = 1.0

    @property
    def gap(self) -> int:
        """Steps between parts: a label looks ahead, a window back."""
        return HORIZON + WINDOW_FRAMES

    @property
    def every(self) -> dict[str, int]:
        """Of a part each so-manieth row is kept; the train part's before a failure are all kept."""
        return {"train": 4, "validation": 3, "calibration": 3}

    @property
    def learning(self) -> FleetSpec:
        """The fleet to learn from."""
        spec = prediction_fleet(self.shards * (self.train_blocks + self.validation_blocks) * BLOCK_NODES, 2 * self.seed)
        return replace(
            spec,
            fault_rate=FAULT_HASTE * spec.fault_rate,
            look_alike_rate=LOOK_ALIKE_HASTE * spec.look_alike_rate,
            sudden_share=0.0,
            repair_median=LEARNING_REPAIR,
            job_nodes=1,
        )

    @property
    def judging(self) -> FleetSpec:
        """The fleet to be judged on."""
        nodes = self.shards * (self.calibration_blocks + self.test_blocks) * BLOCK_NODES
        spec = prediction_fleet(nodes, 2 * self.seed + 1)
        return replace(spec, fault_rate=self.judging_haste * spec.fault_rate)

    def learning_parts(self) -> tuple[Part, Part]:
        """Train and validation, nodes counted within a shard."""
        return _parts(
            ("train", "validation"),
            (self.train_blocks, self.validation_blocks),
            (self.train_steps, self.validation_steps),
            self.gap,
        )

    def judging_parts(self) -> tuple[Part, Part]:
        """Calibration and test, nodes counted within a shard, steps from the judging fleet's first."""
        return _parts(
            ("calibration", "test"),
            (self.calibration_blocks, self.test_blocks),
            (self.calibration_steps, self.test_steps),
            self.gap,
        )

    def require_apart(self) -> None:
        """See that no two of the four parts share a node or a time, over all shards and both fleets."""
        later = self.learning_parts()[-1].end + self.gap
        fleets = (self.learning_parts(), 0, 0), (self.judging_parts(), self.learning.nodes, later)
        whole = []
        for parts, row, step in fleets:
            width = sum(len(part.nodes) for part in parts)
            for part in parts:
                nodes = np.concatenate([part.nodes + row + width * shard for shard in range(self.shards)])
                whole.append(Part(part.name, nodes, part.first + step, part.end + step))
        require_apart(whole, self.gap)

    def said(self) -> dict[str, dict[str, int]]:
        """Nodes and warm steps of each part, as JSON values."""
        return {
            part.name: {"nodes": self.shards * len(part.nodes), "steps": part.end - part.first, "warm_up": RANGE_FRAMES}
            for part in (*self.learning_parts(), *self.judging_parts())
        }


def _parts(names: tuple[str, str], blocks: tuple[int, int], steps: tuple[int, int], gap: int) -> tuple[Part, Part]:
    first, second = (count * BLOCK_NODES for count in blocks)
    begin = steps[0] + gap
    return (
        Part(names[0], np.arange(first), 0, steps[0]),
        Part(names[1], np.arange(first, first + second), begin, begin + steps[1]),
    )


#: At least 5,000 node-days of test; and a trial in seconds, the figures of which mean nothing.
FULL: Final = Plan()
QUICK: Final = Plan(
    shards=1,
    train_blocks=1,
    validation_blocks=1,
    calibration_blocks=1,
    test_blocks=1,
    train_steps=480,
    validation_steps=360,
    calibration_steps=400,
    test_steps=400,
    epochs=2,
    judging_haste=20.0,
)
