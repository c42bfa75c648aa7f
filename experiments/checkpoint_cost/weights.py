"""A model's state of a given size: tensors as a transformer has them, of values that do not compress."""

from __future__ import annotations

from typing import Final

import torch

_FLOAT_BYTES: Final = 4
_PATTERN_FLOATS: Final = 1 << 20
_TENSORS: Final = 24  # of equal size, so that a small model is no single tensor either


def weights(size: int, seed: int = 1) -> dict[str, torch.Tensor]:
    """Return float32 tensors of ``size`` bytes together (to within one row), the same for the same seed."""
    pattern = torch.rand(_PATTERN_FLOATS, generator=torch.Generator().manual_seed(seed))
    width = 256 if size < _TENSORS * 1024 * _FLOAT_BYTES else 1024
    rows = max(1, round(size / (_TENSORS * width * _FLOAT_BYTES)))
    repeated = -(-rows * width // _PATTERN_FLOATS)
    return {
        f"layers.{number}.weight": pattern.roll(number).repeat(repeated)[: rows * width].reshape(rows, width).clone()
        for number in range(_TENSORS)
    }


def total_bytes(state: dict[str, torch.Tensor]) -> int:
    """Return the bytes of all tensors together."""
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())
