"""How well failures of a simulated fleet are foreseen: predictors, a peer and the ceiling on nodes never seen."""

from experiments.prediction.plan import FULL, QUICK, Plan

__all__ = ["FULL", "QUICK", "Plan"]
