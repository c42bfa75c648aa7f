"""A policy in numbers: how often it saves, what an alarm makes it do, and whom it believes."""

from __future__ import annotations

from typing import Final, NamedTuple

# How the rate of checkpoints is found.
NO_PACE: Final = 0
FIXED: Final = 1
LAZY: Final = 2
LITERAL: Final = 3
HAZARD: Final = 4

# What an alarm makes a policy save, and leave.
IGNORE: Final = 0
SAVE_AUPY: Final = 1
SAVE_EARLY: Final = 2
LEAVE_LITERAL: Final = 1
LEAVE_BREAK_EVEN: Final = 2
ORACLE: Final = 3

# Whom it believes.
CLAIMS: Final = 0
EARNED: Final = 1
TRUTH: Final = 2


class Rule(NamedTuple):
    """One policy.

    Parameters
    ----------
    pace, save, leave, trust :
        One of the constants above each.
    interval_s :
        T, of a fixed pace, and Young's for the lazy one.
    weibull :
        Weibull shape that the lazy pace assumes.
    alpha, beta, load :
        α and β of Eq. 2 in 1/s, and the load I.
    eta :
        η of Eq. 6.
    elastic :
        Whether it goes on smaller where others wait.
    keep_s :
        Time between checkpoints to storage of a job that saves to its peers' memory; infinite for others.
    """

    pace: int
    save: int = IGNORE
    leave: int = IGNORE
    trust: int = CLAIMS
    interval_s: float = 0.0
    weibull: float = 1.0
    alpha: float = 0.0
    beta: float = 0.0
    load: float = 0.0
    eta: float = 0.0
    elastic: bool = False
    keep_s: float = float("inf")
