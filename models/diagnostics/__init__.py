"""The seed's failure signatures, each a pure function of what the log tells: does it hold, since when, and why.

Every one is told whether it holds or not, with its numbers; one that holds names its cause by looking at each.
"""

from models.diagnostics.checkpoint_overhead import Checkpoint, checkpoint_overhead
from models.diagnostics.diagnosis import CAUSES, Diagnosis
from models.diagnostics.probability_stuck import Told, probability_stuck
from models.diagnostics.recovery_slow import Move, Recovery, recovery_slow

__all__ = [
    "CAUSES",
    "Checkpoint",
    "Diagnosis",
    "Move",
    "Recovery",
    "Told",
    "checkpoint_overhead",
    "probability_stuck",
    "recovery_slow",
]
