"""What goes on in a fleet during a chunk of steps, before any metric shows it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from experiments.fleet.spec import FAULT_CLASSES

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

#: Error counters that a benign chatterer may chatter on.
CHATTERERS: tuple[str, ...] = (
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
    "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER",
    "node_network_receive_errs_total",
)


@dataclass(frozen=True, slots=True)
class Latents:
    """Causes, each ``(steps, nodes)`` unless said otherwise.

    ``load`` is 0 (idle) to 1 (training), ``writing`` 1 while a checkpoint is written, ``ambient`` degrees above the
    usual room, ``severity`` (classes, steps, nodes) how far each fault has come (about 1 at the failure), ``chatter``
    (chatterers, steps, nodes) benign events an interval, ``loss`` the probability that a whole sample is lost (1: the
    node is down), ``gpu_loss`` that the GPU's part is, ``restarted`` whether the node's counters begin anew, ``away``
    whether it is down or being worked on.
    """

    load: Floats
    writing: Floats
    ambient: Floats
    severity: Floats
    chatter: Floats
    loss: Floats
    gpu_loss: Floats
    restarted: Flags
    away: Flags

    @classmethod
    def calm(cls, steps: int, nodes: int) -> Latents:
        """Every node trains, and nothing else goes on."""

        def zeros(*lead: int) -> Floats:
            return np.zeros((*lead, steps, nodes), np.float32)

        return cls(
            load=np.ones((steps, nodes), np.float32),
            writing=zeros(),
            ambient=zeros(),
            severity=zeros(len(FAULT_CLASSES)),
            chatter=zeros(len(CHATTERERS)),
            loss=zeros(),
            gpu_loss=zeros(),
            restarted=np.zeros((steps, nodes), np.bool_),
            away=np.zeros((steps, nodes), np.bool_),
        )

    def of(self, rows: slice) -> Latents:
        """The causes on some of the nodes; a view."""
        return Latents(**{cause.name: getattr(self, cause.name)[..., rows] for cause in fields(self)})
