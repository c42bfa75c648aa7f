"""Whether a predictor's numbers are those of a predictor: what a digest does not tell."""

from __future__ import annotations

from typing import Final

import numpy as np

from models.mlp import Predictor, arrays

#: Logits at which a calibration is looked at: far beyond both ends of what a network gives.
_LOGITS: Final = np.linspace(-60.0, 60.0, 2_401)


def unsound(predictor: Predictor) -> list[str]:
    """What is wrong with a predictor's numbers, each in words; empty when nothing is."""
    found = [
        f"{name} holds {int((~np.isfinite(array)).sum())} values that are no finite number"
        for name, array in arrays(predictor).items()
        if not np.isfinite(array).all()
    ]
    if not (np.isfinite(predictor.horizon_s) and predictor.horizon_s > 0):
        found.append(f"its horizon is {predictor.horizon_s} s, must be above 0")
    if not predictor.clip > 0:
        found.append(f"its clip is {predictor.clip}, must be above 0")
    given = predictor.calibration(_LOGITS)
    if not ((given >= 0) & (given <= 1)).all():
        found.append("its calibration gives values that are no probability")
    elif (np.diff(given) < -1e-12).any():
        found.append("its calibration falls where the logit rises")
    return found
