"""What each metric shows beyond what the others of the node let expect.

With y the deviations in units and C their covariance, the residual of a metric on all others is (yP)/diag(P), where
P = (C + ridge)⁻¹ (the regression identity of the precision matrix; Lauritzen, *Graphical Models*, 1996).
"""

from __future__ import annotations

import numpy as np

from models.detector.arithmetic import Floats
from models.detector.constants import RIDGE, UNITS_IN_MATRIX_MAX


def in_units(deviation: Floats, unit: Floats) -> Floats:
    """Deviations in units, bounded; 0 where missing."""
    bounded: Floats = np.clip(deviation / unit, -UNITS_IN_MATRIX_MAX, UNITS_IN_MATRIX_MAX)
    return np.where(np.isnan(bounded), np.float32(0.0), bounded)


def add_products(matrix: Floats, y: Floats, share: Floats) -> Floats:
    """The average of y yᵀ moves by ``share (rows,)`` towards that of ``y (rows, metrics)``."""
    return matrix + share[:, None, None] * (y[:, :, None] * y[:, None, :] - matrix)


def residual_matrix(products: Floats) -> Floats:
    """From the average of y yᵀ ``(metrics, metrics)`` the matrix Q with which yQ are the residuals.

    A metric that never moved has no part in it: its row and column are 0.

    >>> q = residual_matrix(np.float32([[1.0, 0.99, 0], [0.99, 1.0, 0], [0, 0, 0]]))
    >>> [(np.array(y) @ q).round(1).tolist() for y in ([2.0, 2.0, 0.0], [2.0, -2.0, 0.0])]
    [[0.1, 0.1, 0.0], [3.9, -3.9, 0.0]]
    """
    wide = products.astype(np.float64)
    sd = np.sqrt(np.diag(wide))
    moves = sd > 0
    sd = np.where(moves, sd, 1.0)
    precision = np.linalg.inv(wide / sd[:, None] / sd[None, :] + RIDGE * np.eye(len(sd)))
    q = precision / np.diag(precision)[None, :] / sd[:, None]
    return np.where(moves[:, None] & moves[None, :], q, 0.0).astype(np.float32)


def residuals(y: Floats, matrix: Floats) -> Floats:
    """Row by row yQ: ``(rows, metrics), (rows, metrics, metrics) → (rows, metrics)``."""
    out: Floats = np.einsum("ni,nij->nj", y, matrix)
    return out
