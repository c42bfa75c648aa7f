"""The hazard of a job: the failures that come without an alarm, and those that open alarms foretell."""

from __future__ import annotations


def base_hazard(recall: float, helped: float, mtbf_s: float) -> float:
    """Return (1 − r·S(C+W))/μ, in 1/s: the rate of failures against which no alarm helps.

    Parameters
    ----------
    recall :
        r, share of failures that an alarm precedes.
    helped :
        S(C+W), the share of those whose alarm comes early enough for one more durable checkpoint.

    Examples
    --------
    >>> base_hazard(0.0, 1.0, 3600.0) == 1.0 / 3600.0
    True
    """
    return (1.0 - recall * helped) / mtbf_s


def alarm_hazard(probability: float, density: float, survival: float) -> float:
    """Return P·f(a)/(P·S(a) + 1 − P), in 1/s: the hazard of a node that has not failed for a since its alarm.

    Parameters
    ----------
    probability :
        P, that the alarm is true.
    density, survival :
        f(a) and S(a) of the lead time, a = age + C + W: what fails before a checkpoint is durable, none can save.

    Examples
    --------
    >>> alarm_hazard(1.0, 0.001, 0.5), alarm_hazard(0.5, 0.001, 0.0), alarm_hazard(0.0, 0.001, 0.5)
    (0.002, 0.001, 0.0)
    """
    alive = probability * survival + 1.0 - probability
    return probability * density / alive if alive > 0.0 else 0.0


def still_to_come(probability: float, survival_now: float, survival_then: float) -> float:
    """Return P·S(b)/(P·S(a) + 1 − P): the chance that a node which has not failed for a will fail after b.

    >>> still_to_come(0.8, 1.0, 0.5), still_to_come(0.5, 0.5, 0.25)
    (0.4, 0.16666666666666666)
    """
    alive = probability * survival_now + 1.0 - probability
    return probability * survival_then / alive if alive > 0.0 else 0.0
