"""What the commands that simulate policies share: choosing by name, the progress bar, and what is missing or wrong."""

from __future__ import annotations

import argparse
import difflib
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.errors import Failed, WrongUse

if TYPE_CHECKING:
    from experiments.failure_trace.trace import Trace
    from experiments.policy_lab.cases import Case
    from experiments.policy_lab.profile import Profile

SEEDS_MAX = 100_000
Progress = Callable[[int], None]


@contextmanager
def lab() -> Iterator[None]:
    """Tell what the lab needs beyond forestall itself, with the cure."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise Failed(
            f"the lab needs {missing.name}, which running forestall does not: make dev, or infra/deploy/install.sh "
            "web,lab"
        ) from missing


@contextmanager
def reading() -> Iterator[None]:
    """Tell what is wrong with a file, of which the message already names the place, as wrong use."""
    try:
        yield
    except ValueError as wrong:
        raise WrongUse(str(wrong)) from wrong


def seeds(text: str) -> int:
    """Return a number of seeds: at least 2, for one gives no interval."""
    if not text.isdecimal() or not 2 <= int(text) <= SEEDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seeds; 2 to {SEEDS_MAX}, for an interval needs two")
    return int(text)


def seed(text: str) -> int:
    """Return the first seed: 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; write 0 or more")
    return int(text)


def profile_of(named: str) -> Profile:
    """Return the profile of a name or of a file."""
    from experiments.policy_lab.profile import load_profile, profile_names

    if not Path(named).exists() and not named.endswith(".toml"):
        known(named, profile_names(), "--profile")
    with reading():
        return load_profile(named)


def trace_of(path: Path | None, nodes: int) -> Trace | None:
    """Return the faults of a log, or nothing where none is named."""
    from experiments.failure_trace.reading import read_trace

    if path is None:
        return None
    with reading():
        trace = read_trace(path, nodes)
    if trace.start.max() <= trace.start.min():
        raise WrongUse(f"{path}: all faults begin at once, so there is no time for a job to run in; name a longer log")
    return trace


def case_of(named: str) -> Case:
    """Return the predictor's case of a name."""
    from experiments.policy_lab.cases import CASES

    return CASES[known(named, CASES, "--case")]


def known(named: str, names: Collection[str], option: str) -> str:
    """Return a name that is one of ``names``; WrongUse says which is meant, or all there are."""
    if named in names:
        return named
    close = difflib.get_close_matches(named, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
    raise WrongUse(f"{option} {named}: there is none of that name; {hint}")


@contextmanager
def bar(label: str, total: int) -> Iterator[Progress]:
    """Show a progress bar on stderr; what is yielded is told how many of ``total`` are done."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True)) as bars:
        task = bars.add_task(label, total=total)
        yield lambda done: bars.update(task, completed=done)


class Stopwatch:
    """Seconds since it was made; they stand in a result under ``measured_s`` only."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Passed so far, to a hundredth."""
        return round(time.monotonic() - self._began, 2)
