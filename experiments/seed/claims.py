"""What the paper claims, and the one form in which a claim is held against what was measured."""

from __future__ import annotations

from typing import Any, Final

DOWNTIME_SAVED: Final = 0.30
ACCURACY: Final = 0.90
#: "Computation cost" of the proposal, and the least and the most of its rivals, in seconds of an unnamed workload.
COST_S: Final = (8.30, 10.25, 20.00)
#: How far below "about 90 %" still counts as about 90 %.
ABOUT: Final = 0.02


def claim(text: str, paper: Any, measured: Any, holds: bool | str | None, reason: str) -> dict[str, Any]:
    """One claim as JSON values; ``holds`` is "depends on …" where it does, None where nobody can say.

    Raises
    ------
    ValueError
        When ``holds`` is another text.
    """
    if isinstance(holds, str) and not holds.startswith("depends on "):
        raise ValueError(f"{holds!r} neither holds nor depends on anything")
    return {"claim": text, "paper": paper, "measured": measured, "holds": holds, "reason": reason}


def of_readings(measured: dict[str, float], bar: float, depends_on: str) -> bool | str:
    """Whether a bar is passed by every reading of an unstated unit, by none, or by some.

    >>> of_readings({"s": -0.1, "h": 0.4}, 0.3, "the unit of α")
    'depends on the unit of α'
    >>> of_readings({"s": -0.1, "h": 0.2}, 0.3, "the unit of α")
    False
    """
    passed = [value >= bar for value in measured.values()]
    return f"depends on {depends_on}" if len(set(passed)) > 1 else passed[0]


def accuracy_claim(accuracy: float, never: float) -> dict[str, Any]:
    """The claim on accuracy, beside that of a predictor which always says no."""
    return claim(
        "about 90 % prediction accuracy",
        ACCURACY,
        round(accuracy, 5),
        accuracy >= ACCURACY - ABOUT,
        f"a predictor that never says yes has {never:.5f}: failures are rare, so accuracy tells nothing of foreseeing "
        "them; read recall, precision and false episodes",
    )


def cost_claim(gpu_hours_a_day: dict[str, float]) -> dict[str, Any]:
    """The claim on cost, which names no workload; what is lost is told in its place."""
    return claim(
        "computation cost 8.30 s against 10.25 to 20.00 s",
        list(COST_S),
        gpu_hours_a_day,
        None,
        "no workload, machine or unit of work is named, so no number can confirm or refute it; measured are the "
        "GPU-hours that the simulated job loses a day, and under measured_s what deciding costs on this machine",
    )
