"""The training jobs that a drill can run: their command lines, and how their files are looked at."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote, urlparse

from connectors.errors import WrongUse

JobName = Literal["torch", "numpy"]
JOBS: tuple[JobName, ...] = ("torch", "numpy")
_ROOT = Path(__file__).resolve().parents[2]
_TORCH = _ROOT / "sdk" / "examples" / "torch_gpt"


@dataclass(frozen=True, slots=True)
class Work:
    """One life of a job: where its files are, how many steps it takes, how long each at least, and its seed."""

    directory: Path
    steps: int
    step_s: float
    seed: int


class DrillJob(Protocol):
    """A job that a drill can run."""

    def command(self, work: Work) -> list[str]:
        """The command line of one rank; which rank stands in its environment."""

    def weights(self, work: Work, world: int) -> str | None:
        """The sha256 of the weights after the last step, None where the job has not come to its end."""

    def is_good(self, uris: list[str], step: int) -> bool:
        """Whether the checkpoint that its ranks told of at ``uris``, in their order, can be loaded."""


class TorchJob:
    """The small GPT of ``sdk/examples/torch_gpt``: gloo, all ranks go back to the checkpoint when one dies."""

    def __init__(self) -> None:
        missing = [name for name in ("torch", "forestall_client") if importlib.util.find_spec(name) is None]
        if missing or not _TORCH.is_dir():
            what = f"the package {missing[0]}" if missing else str(_TORCH)
            raise WrongUse(f"--job torch needs {what}, which is not here: `make dev` installs it, or take --job numpy")

    def command(self, work: Work) -> list[str]:
        """The command line of one rank."""
        return [*_words([sys.executable, str(_TORCH)], work), "--final", str(_final(work))]

    def weights(self, work: Work, world: int) -> str | None:
        """What the ranks wrote at their end."""
        try:
            told = json.loads(_final(work).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return str(told["sha256"]) if told["step"] == work.steps else None

    def is_good(self, uris: list[str], step: int) -> bool:
        """Whether every byte is as the seals of all ranks say."""
        from forestall_client.sealed import NotGood, require_good

        try:
            return len(set(uris)) == 1 and require_good(path_of(uris[0])) == step
        except NotGood:
            return False


class NumpyJob:
    """The demonstration job: gradients over files, only the rank that died does its steps again."""

    def command(self, work: Work) -> list[str]:
        """The command line of one rank."""
        return _words([sys.executable, "-P", "-m", "experiments.training_job"], work)

    def weights(self, work: Work, world: int) -> str | None:
        """The sha256 of the parameters in the last checkpoint, which are the same at every rank."""
        from hashlib import sha256

        from experiments.training_job import checkpoint
        from experiments.training_job.network import Trainer

        folder = work.directory / "checkpoints"
        if not checkpoint.is_good(folder, work.steps, world):
            return None
        digests = []
        for rank in range(world):
            trainer = Trainer(work.seed, rank)
            checkpoint.load(checkpoint.path_of(folder, work.steps, rank, world), trainer)
            digests.append(sha256(trainer.parameters.tobytes()).hexdigest())
        return digests[0] if len(set(digests)) == 1 else f"unequal: {digests}"

    def is_good(self, uris: list[str], step: int) -> bool:
        """Whether the file of every rank is whole."""
        from experiments.training_job.checkpoint import BadCheckpoint, read

        try:
            for uri in uris:
                read(path_of(uri))
        except BadCheckpoint:
            return False
        return all(f"step-{step:010d}" in uri for uri in uris)


def job_named(name: JobName) -> DrillJob:
    """Return the job; raises :class:`WrongUse` where what it needs is not installed."""
    return TorchJob() if name == "torch" else NumpyJob()


def repeated_steps(work: Work, world: int) -> int:
    """Return how many steps the job did again by its own word: of the rank that did the most of them."""
    counts = []
    for rank in range(world):
        told = Counter(_steps_told(work.directory / f"losses-rank-{rank}.txt"))
        counts.append(sum(told.values()) - len(told))
    return max(counts)


def losses_of(work: Work) -> dict[int, float]:
    """Return the loss of each step as rank 0 wrote it down last."""
    path = work.directory / "losses-rank-0.txt"
    words = (line.split(" ") for line in path.read_text(encoding="utf-8").splitlines())
    return {int(step): float.fromhex(loss) for step, loss in words}


def path_of(uri: str) -> Path:
    """Return the path of a ``file:`` URI.

    >>> path_of("file:///tmp/a%20b")
    PosixPath('/tmp/a b')
    """
    return Path(unquote(urlparse(uri).path))


def _steps_told(losses: Path) -> list[str]:
    try:
        return [line.split(" ", 1)[0] for line in losses.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def _words(program: list[str], work: Work) -> list[str]:
    return [
        *program,
        *("--directory", str(work.directory), "--steps", str(work.steps)),
        *("--step-s", f"{work.step_s:g}", "--seed", str(work.seed)),
    ]


def _final(work: Work) -> Path:
    return work.directory.with_name(f"{work.directory.name}-final.json")
