"""Earned trust: what a predictor's alarms are worth, learned from how they ended; its claims do not enter.

Beta counts of alarms that came true and that did not, one pair for sparse alarms and one for dense ones, so that a
storm of false alarms does not spoil the trust in single ones. Every closed alarm first lets the past fade towards the
prior. The probability that is acted upon is a lower bound of the posterior: with lies only it falls to 0 as 1/n², with
true alarms it rises to the share of them.

A vacated node can no longer show whether it would have failed. Burn-in finds a real fault with probability q; where it
found none the alarm counts as true and false in the shares that Bayes' rule gives.
"""

from __future__ import annotations

import math
from typing import NamedTuple

#: Beta prior of every pair, and the share of what was learned that one more closed alarm (or failure) leaves.
HITS_PRIOR = 0.25
MISSES_PRIOR = 0.5
MEMORY = 0.98
#: Standard deviations below the mean that are believed; √HITS_PRIOR is the least with which lies earn nothing.
CAUTION = 0.5
#: q: how often burn-in finds a fault that is there.
BURN_IN_FINDS = 0.7
#: An alarm is dense when it is at least the 4th within an hour.
DENSE_ALARMS = 4
DENSE_WITHIN_S = 3600.0
#: The claimed law of leads counts as so many true alarms.
LEADS_PRIOR = 3.0


class Counts(NamedTuple):
    """Beta counts of what came true and of what did not."""

    hits: float
    misses: float


class Leads(NamedTuple):
    """How many lead times L were seen, and Σ ln(L/L̂), L̂ the claimed median."""

    count: float
    logs: float


class Trust(NamedTuple):
    """What closed alarms and failures have taught about one predictor on one job.

    Parameters
    ----------
    sparse, dense :
        Alarms that came true and that did not.
    failures :
        Failures that an alarm preceded and that none did.
    leads :
        The lead times of true alarms.
    """

    sparse: Counts
    dense: Counts
    failures: Counts
    leads: Leads


def no_trust() -> Trust:
    """Return the trust in a predictor of which nothing is known.

    >>> round(believed(no_trust().sparse), 3), round(believed_recall(no_trust()), 3)
    (0.155, 0.333)
    """
    unknown = Counts(HITS_PRIOR, MISSES_PRIOR)
    return Trust(unknown, unknown, unknown, Leads(0.0, 0.0))


def is_dense(at: float, before: float) -> bool:
    """Whether an alarm is dense, ``before`` being the time of the alarm ``DENSE_ALARMS − 1`` places earlier (s).

    >>> is_dense(4000.0, 400.0), is_dense(4000.0, 399.0)
    (True, False)
    """
    return at - before <= DENSE_WITHIN_S


def counted(counts: Counts, truth: float) -> Counts:
    """Return counts after one more case, ``truth`` of it true: the past fades towards the prior first.

    >>> counted(Counts(1.25, 0.5), 1.0)
    Counts(hits=2.23, misses=0.5)
    """
    hits = HITS_PRIOR + MEMORY * (counts.hits - HITS_PRIOR) + truth
    return Counts(hits, MISSES_PRIOR + MEMORY * (counts.misses - MISSES_PRIOR) + 1.0 - truth)


def believed(counts: Counts) -> float:
    """Return P = max(0, m − z·√(m(1−m)/(a+b+1))), m = a/(a+b): the probability that is acted upon.

    >>> round(believed(Counts(0.25, 10.5)), 4), round(believed(Counts(0.25, 100.5)), 6)
    (0.0013, 1.5e-05)
    >>> round(believed(Counts(40.0, 10.0)), 2)
    0.77
    """
    total = counts.hits + counts.misses
    mean = counts.hits / total
    return max(0.0, mean - CAUTION * math.sqrt(mean * (1.0 - mean) / (total + 1.0)))


def hidden_truth(counts: Counts) -> float:
    """Return the chance that an alarm was true whose node was vacated and passed burn-in.

    By Bayes' rule m(1−q)/(m(1−q) + 1 − m), m the posterior mean.

    >>> round(hidden_truth(Counts(8.0, 2.0)), 3)
    0.545
    """
    mean = counts.hits / (counts.hits + counts.misses)
    missed = mean * (1.0 - BURN_IN_FINDS)
    return missed / (missed + 1.0 - mean)


def closed_alarm(trust: Trust, dense: bool, truth: float) -> Trust:
    """Return the trust after an alarm was closed.

    Parameters
    ----------
    truth :
        1 if its node failed or burn-in found the fault, 0 if neither and the node was not vacated, and
        :func:`hidden_truth` of its counts if it was vacated and nothing was found.

    Examples
    --------
    >>> closed_alarm(no_trust(), dense=True, truth=0.0).dense
    Counts(hits=0.25, misses=1.5)
    """
    if dense:
        return Trust(trust.sparse, counted(trust.dense, truth), trust.failures, trust.leads)
    return Trust(counted(trust.sparse, truth), trust.dense, trust.failures, trust.leads)


def seen_failure(trust: Trust, foreseen: float) -> Trust:
    """Return the trust after a failure, ``foreseen`` the chance that an alarm preceded it.

    A failure that a vacated node was spared counts too: with 1 if burn-in found it, else with ``hidden_truth``.
    """
    return Trust(trust.sparse, trust.dense, counted(trust.failures, foreseen), trust.leads)


def seen_lead(trust: Trust, lead_s: float, claimed_median_s: float) -> Trust:
    """Return the trust after a true alarm came ``lead_s`` before its failure.

    >>> round(stretch(seen_lead(no_trust(), 72.0, 720.0)), 3)
    0.562
    """
    log = math.log(max(lead_s, 1.0) / claimed_median_s)
    leads = Leads(trust.leads.count + 1.0, trust.leads.logs + log)
    return Trust(trust.sparse, trust.dense, trust.failures, leads)


def stretch(trust: Trust) -> float:
    """Return by what the claimed lead times are to be multiplied: exp(Σ ln(L/L̂)/(3 + n))."""
    return math.exp(trust.leads.logs / (LEADS_PRIOR + trust.leads.count))


def believed_recall(trust: Trust) -> float:
    """Return r, the posterior mean share of failures that an alarm precedes."""
    return trust.failures.hits / (trust.failures.hits + trust.failures.misses)
