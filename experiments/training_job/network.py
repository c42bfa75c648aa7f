"""What is trained: a small perceptron that learns a fixed function from noisy samples, each rank from its own."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

INPUTS, HIDDEN, BATCH = 8, 24, 32
#: Parameters of the two layers, laid out in one vector.
SIZE = INPUTS * HIDDEN + HIDDEN + HIDDEN + 1
LEARNING_RATE, MOMENTUM_DECAY, SQUARE_DECAY, TINY = 3e-3, 0.9, 0.999, 1e-8


class Trainer:
    """One rank's replica: parameters and Adam's moments, shape ``(SIZE,)``, and the generator of its samples.

    ``lineage`` names the sizes through which the job has come: gradients are exchanged among ranks of one lineage.
    """

    def __init__(self, seed: int, rank: int, lineage: str = "") -> None:
        self.lineage = lineage
        first = np.random.default_rng(seed)
        self.parameters: Vector = first.normal(0.0, 0.3, SIZE)
        self.teacher: Vector = first.normal(0.0, 1.0, SIZE)
        self.momentum: Vector = np.zeros(SIZE)
        self.square: Vector = np.zeros(SIZE)
        self.step = 0
        self.random = np.random.default_rng([seed, rank])

    def resize(self, seed: int, rank: int, world: int) -> None:
        """Go on as rank ``rank`` of ``world`` from the state of a rank of another size: with samples of one's own."""
        self.random = np.random.default_rng([seed, rank, world, self.step])
        came_from = sha256(f"{self.lineage}@{self.step}".encode()).hexdigest()[:12]
        self.lineage = f"world-{world}-from-{came_from}"

    def local_gradient(self) -> tuple[float, Vector]:
        """Draw this rank's next batch; return its mean squared loss and the gradient, shape ``(SIZE,)``."""
        inputs = self.random.normal(size=(BATCH, INPUTS))
        noise = self.random.normal(0.0, 0.05, BATCH)
        target = _forward(self.teacher, inputs)[1] + noise
        hidden, output = _forward(self.parameters, inputs)
        error = output - target
        return float(np.mean(error * error)), _backward(self.parameters, inputs, hidden, error)

    def apply(self, gradient: Vector) -> None:
        """Take one step of Adam along the mean gradient of all ranks."""
        self.step += 1
        self.momentum += (1 - MOMENTUM_DECAY) * (gradient - self.momentum)
        self.square += (1 - SQUARE_DECAY) * (gradient * gradient - self.square)
        scale = LEARNING_RATE * np.sqrt(1 - SQUARE_DECAY**self.step) / (1 - MOMENTUM_DECAY**self.step)
        self.parameters -= scale * self.momentum / (np.sqrt(self.square) + TINY)


def _split(vector: Vector) -> tuple[Vector, Vector, Vector, float]:
    layer = INPUTS * HIDDEN
    return (
        vector[:layer].reshape(INPUTS, HIDDEN),
        vector[layer : layer + HIDDEN],
        vector[layer + HIDDEN : layer + 2 * HIDDEN],
        float(vector[-1]),
    )


def _forward(vector: Vector, inputs: Vector) -> tuple[Vector, Vector]:
    weights, bias, out, shift = _split(vector)
    hidden = np.tanh(inputs @ weights + bias)
    return hidden, hidden @ out + shift


def _backward(vector: Vector, inputs: Vector, hidden: Vector, error: Vector) -> Vector:
    out = _split(vector)[2]
    slope = 2.0 * error / len(error)
    through = (slope[:, None] * out) * (1.0 - hidden * hidden)
    return np.concatenate([(inputs.T @ through).ravel(), through.sum(axis=0), hidden.T @ slope, [slope.sum()]])
