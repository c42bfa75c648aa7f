"""What is trained: a byte-level GPT of two layers, on a text made up from a seed."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY, WIDTH, HEADS, LAYERS, CONTEXT = 128, 64, 4, 2, 64
#: Sequences a step, over all ranks: a job of any world up to this makes the same steps.
BATCH = 12
CORPUS_BYTES = 65536
LEARNING_RATE, MOMENTUM_DECAY, SQUARE_DECAY, TINY = 1e-3, 0.9, 0.99, 1e-8


class Block(nn.Module):
    """Attention to what came before, then a perceptron, each beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_perceptron = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.question, self.answer = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.perceptron = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(sequences, positions, WIDTH)`` to the same shape."""
        sequences, positions, _ = x.shape
        parts = self.question(self.before_attention(x)).view(sequences, positions, 3, HEADS, WIDTH // HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.answer(seen.transpose(1, 2).reshape(sequences, positions, WIDTH))
        return x + self.perceptron(self.before_perceptron(x))


class GPT(nn.Module):
    """Bytes in, logits of the next byte out."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.last, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

    def forward(self, bytes_: Tensor) -> Tensor:
        """Map ``(sequences, CONTEXT)`` to logits ``(sequences, CONTEXT, VOCABULARY)``."""
        return self.head(self.last(self.blocks(self.tokens(bytes_) + self.positions.weight)))


class Trainer:
    """One replica: model, Adam's moments, and the step that was done last.

    Adam is written out: ``torch.optim`` would load torch's compiler, which takes each start of a rank a second longer.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.model = GPT()
        self._parameters = list(self.model.parameters())
        size = sum(one.numel() for one in self._parameters)
        self.momentum, self.square = torch.zeros(size), torch.zeros(size)
        self.corpus = corpus(seed)
        self.begin()

    def begin(self) -> None:
        """Be as at the very beginning."""
        torch.manual_seed(self._seed)
        for one in self.model.modules():
            if isinstance(one, (nn.Linear, nn.Embedding, nn.LayerNorm)):
                one.reset_parameters()
        self.momentum.zero_()
        self.square.zero_()
        self.step = 0

    def state(self) -> dict[str, object]:
        """Return the tensors that a checkpoint holds, themselves and no copies."""
        return {"model": self.model.state_dict(), "momentum": self.momentum, "square": self.square}

    def local_gradient(self, rank: int, world: int) -> Tensor:
        """Return this rank's part of the next step's gradient and, as the last element, of its loss.

        Which sequences a step takes depends on seed and step alone; the ranks share them out.
        """
        taken = _starts(self._seed, self.step + 1)[rank::world]
        windows = torch.stack([self.corpus[start : start + CONTEXT + 1] for start in taken])
        logits = self.model(windows[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten(), reduction="sum")
        loss = loss / (BATCH * CONTEXT)
        gradient = torch.autograd.grad(loss, self._parameters)
        return torch.cat([*(one.flatten() for one in gradient), loss.detach().view(1)])

    def apply(self, gradient: Tensor) -> None:
        """Take one step of Adam along the gradient of all ranks together."""
        self.step += 1
        self.momentum.lerp_(gradient, 1 - MOMENTUM_DECAY)
        self.square.lerp_(gradient * gradient, 1 - SQUARE_DECAY)
        scale = LEARNING_RATE * (1 - SQUARE_DECAY**self.step) ** 0.5 / (1 - MOMENTUM_DECAY**self.step)
        change = scale * self.momentum / (self.square.sqrt() + TINY)
        begin = 0
        for one in self._parameters:
            one.data -= change[begin : begin + one.numel()].view_as(one)
            begin += one.numel()

    def digest(self) -> str:
        """Return the sha256 of the weights."""
        whole = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            whole.update(name.encode() + tensor.numpy().tobytes())
        return whole.hexdigest()


def corpus(seed: int) -> Tensor:
    """Return a text of ``CORPUS_BYTES`` ASCII bytes: made-up words, some of them often."""
    drawn = torch.Generator().manual_seed(seed)
    letters = torch.randint(97, 123, (200, 6), generator=drawn)
    lengths = torch.randint(2, 7, (200,), generator=drawn)
    chosen = (200 * torch.rand(CORPUS_BYTES // 2, generator=drawn) ** 3).long()
    text = b" ".join(bytes(letters[word, : lengths[word]].tolist()) for word in chosen.tolist())
    return torch.frombuffer(bytearray(text[:CORPUS_BYTES]), dtype=torch.uint8).long()


def _starts(seed: int, step: int) -> list[int]:
    drawn = torch.Generator().manual_seed(seed * 1_000_003 + step)
    return torch.randint(0, CORPUS_BYTES - CONTEXT - 1, (BATCH,), generator=drawn).tolist()
