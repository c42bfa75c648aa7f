"""A first layer that is not learned: each feature told piece by piece, between quantiles of itself.

A network of a few dozen units bends where its training happens to put the bends; trees bend at any value of any
feature. So each feature x comes in as itself and as pieces min(max(x, a), b) between neighbouring quantiles a and b
(Gorishniy et al. 2022, piecewise linear encoding). A piece is max(0, x − a) − max(0, x − b) and a constant: such
hinges are a layer of an ordinary network, and what makes pieces of them is folded into the layer after.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.mlp import Layer

Doubles = NDArray[np.float64]

#: The least width of a piece, in standard deviations of its feature.
LEAST_PIECE: Final = 0.01
#: A feature itself counts up to so many of them.
SPAN: Final = 5.0


class Pieces(nn.Module):  # type: ignore[misc]
    """``(n, features) → (n, pieces)``: each feature within ``SPAN``, then the place within each piece of it, −½ to ½.

    Parameters
    ----------
    rows : normalised features ``(n, features)`` whose quantiles bound the pieces.
    quantiles : which, rising from 0 to 1.
    """

    column: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    slope: torch.Tensor
    middle: torch.Tensor

    def __init__(self, rows: NDArray[np.float32], quantiles: Sequence[float]) -> None:
        super().__init__()
        bounds = np.quantile(rows, quantiles, axis=0)
        found = [(column, -SPAN, SPAN, 1.0, 0.0) for column in range(rows.shape[1])]
        for column, ends in enumerate(bounds.T):
            for low, high in pairwise(np.unique(ends).tolist()):
                if high - low > LEAST_PIECE:
                    found.append((column, low, high, 1 / (high - low), (low + high) / 2))
        self.register_buffer("column", torch.tensor([piece[0] for piece in found]))
        for place, name in enumerate(("low", "high", "slope", "middle"), 1):
            self.register_buffer(name, torch.tensor([piece[place] for piece in found], dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The pieces of normalised features."""
        within = torch.minimum(torch.maximum(x[:, self.column], self.low), self.high)
        return (within - self.middle) * self.slope

    def folded(self, after: Layer, features: int) -> tuple[Layer, Layer]:
        """The hinges, and the layer that gives of them what ``after`` gives of the pieces."""
        column, low, high, slope, middle = (
            getattr(self, name).numpy().astype(np.float64) for name in ("column", "low", "high", "slope", "middle")
        )
        place: dict[tuple[int, float], int] = {}
        pieces = list(zip(column.astype(int).tolist(), low.tolist(), high.tolist(), strict=True))
        for at, *ends in pieces:
            for end in ends:
                place.setdefault((at, end), len(place))
        weight, bias = np.zeros((len(place), features)), np.zeros(len(place))
        for (at, end), unit in place.items():
            weight[unit, at], bias[unit] = 1.0, -end
        told = np.zeros((len(after.bias), len(place)))
        for piece, (at, start, end) in enumerate(pieces):
            told[:, place[at, start]] += after.weight[:, piece] * slope[piece]
            told[:, place[at, end]] -= after.weight[:, piece] * slope[piece]
        shift: NDArray[Any] = after.weight @ ((low - middle) * slope)
        return Layer(weight, bias), Layer(told, after.bias + shift)
