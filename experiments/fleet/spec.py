"""What a simulated fleet is made from, and the truth that comes with it. Times are counted in sampling intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

FaultClass = Literal["hbm", "link", "pcie", "thermal", "memory_leak", "disk", "power"]
LookAlike = Literal["job_stop", "hot_room", "driver_update", "noisy_counter", "maintenance", "exporter_gap"]

#: Share of each fault class; the source is the failure statistics of the Llama 3 run and of RSC-1/2.
FAULT_SHARES: Mapping[FaultClass, float] = MappingProxyType(
    {"hbm": 0.40, "link": 0.20, "pcie": 0.14, "thermal": 0.08, "memory_leak": 0.08, "disk": 0.05, "power": 0.05}
)
FAULT_CLASSES: tuple[FaultClass, ...] = tuple(FAULT_SHARES)


@dataclass(frozen=True, slots=True)
class ScriptedFault:
    """A fault that is put in on purpose: ``node`` shows signs from ``at_step`` and dies ``lead_steps`` later.

    It is back ``repair_steps`` after that; None leaves the repair to the fleet's own law.
    """

    node: str
    fault_class: FaultClass
    at_step: int
    lead_steps: int
    repair_steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpec:
    """A fleet as a value: the same spec gives the same bytes.

    Rates are per node and interval, durations in intervals. ``lead_median`` and ``lead_sigma`` are those of the
    lognormal law of the time from the first sign to the failure; ``sudden_share`` of the faults give no sign.
    ``burst_share`` of the failures come several at once, in a rack or on a switch. ``repair_sigma`` is that of the
    lognormal time to repair: its tail is heavy. ``look_alike_rate`` is that of each kind of look-alike but job stops
    and checkpoints, which take ``checkpoint_steps`` of every ``checkpoint_every``; ``missing`` is the share of samples
    lost for no reason. ``late_share`` of the samples are delivered late, and ``skew_s`` is the standard deviation of
    the nodes' clocks in seconds, see ``delivery``; neither changes a sample.
    """

    nodes: int = 16
    interval_s: float = 1.0
    seed: int = 0
    fault_rate: float = 1 / 6_000
    lead_median: float = 72.0
    lead_sigma: float = 0.8
    sudden_share: float = 0.4
    burst_share: float = 0.12
    repair_median: float = 240.0
    repair_sigma: float = 1.0
    look_alike_rate: float = 1 / 6_000
    missing: float = 0.002
    late_share: float = 0.0
    skew_s: float = 0.0
    job_nodes: int = 4
    job_run_mean: float = 2_400.0
    checkpoint_every: int = 300
    checkpoint_steps: int = 6
    rack_nodes: int = 8
    switch_nodes: int = 32
    scripted: tuple[ScriptedFault, ...] = ()

    def __post_init__(self) -> None:
        positive = ("nodes", "interval_s", "lead_median", "lead_sigma", "repair_median", "job_nodes", "job_run_mean")
        places = ("checkpoint_every", "checkpoint_steps", "rack_nodes", "switch_nodes")
        for name in (*positive, "repair_sigma", *places):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}, must be above 0")
        for name in ("fault_rate", "sudden_share", "burst_share", "look_alike_rate", "missing", "late_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}, must be 0 to 1")
        if not 0 <= self.skew_s < self.interval_s:
            raise ValueError(
                f"skew_s is {self.skew_s!r}, must be 0 or more and below the interval, {self.interval_s:g}"
            )
        for fault in self.scripted:
            if fault.node not in self.names:
                raise ValueError(f"scripted node {fault.node!r} is none of {self.names[0]}…{self.names[-1]}")

    @property
    def names(self) -> tuple[str, ...]:
        """Node names in the order of the rows: ``n00``, ``n01``, …"""
        width = max(2, len(str(self.nodes - 1)))
        return tuple(f"n{number:0{width}d}" for number in range(self.nodes))


@dataclass(frozen=True, slots=True)
class Fault:
    """The truth about one fault; steps are counted from the fleet's first. ``onset`` equals ``failure`` when sudden."""

    node: str
    fault_class: FaultClass
    onset: int
    failure: int
    back: int

    @property
    def sudden(self) -> bool:
        """Whether no sign came before the failure."""
        return self.onset == self.failure


@dataclass(frozen=True, slots=True)
class Benign:
    """The truth about one look-alike: something that looks like a fault and is none."""

    node: str
    kind: LookAlike
    start: int
    end: int


def scripted_fleet(nodes: int, seed: int, *faults: ScriptedFault, interval_s: float = 1.0) -> FleetSpec:
    """A quiet fleet in which nodes fail by script alone, for a demonstration.

    Look-alikes are a tenth as frequent as in an ordinary fleet, and jobs run on, but for their checkpoints.
    """
    return FleetSpec(
        nodes=nodes,
        interval_s=interval_s,
        seed=seed,
        fault_rate=0.0,
        look_alike_rate=1 / 60_000,
        job_run_mean=1e6,
        repair_median=1e6,
        scripted=faults,
    )
