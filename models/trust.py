"""Earned trust: what a predictor's alarms are worth, learned from how they ended; its claims do not enter.

Alarms are counted as they close: came true, did not, or, of a vacated node, nothing was found. One record for sparse
alarms and one for dense ones, so that a storm of false alarms does not spoil the trust in single ones. The past fades
towards the prior with every alarm. What is acted upon is a lower bound of the posterior: with lies only it falls to 0
as 1/n², with true alarms it rises to the share of them.

A vacated node can no longer show whether it would have failed; burn-in finds a real fault with probability q. The share
of true alarms m is the one that agrees with its own reading of these cases: m·n = hits + unfound·m(1−q)/(1 − qm).

A node that fails under an open alarm may do so by chance. Of c of all nodes accused and r of all failures foreseen, the
alarm foretold it with probability r/(r + (1−r)c): where everything is accused, nothing is foretold.
"""

from __future__ import annotations

import math
from typing import NamedTuple

#: Beta prior of every record, and the share of what was learned that one more closed alarm (or failure) leaves.
HITS_PRIOR = 0.25
MISSES_PRIOR = 0.5
MEMORY = 0.98
#: z: standard deviations below the mean that are believed; √HITS_PRIOR is the least with which lies earn nothing.
CAUTION = 0.5
#: The same for dense alarms: among so many some come true by chance, and one that did proves little.
DENSE_CAUTION = 1.0
#: q: how often burn-in finds a fault that is there.
BURN_IN_FINDS = 0.7
#: An alarm is dense when it is at least the 4th within an hour.
DENSE_ALARMS = 4
DENSE_WITHIN_S = 3600.0
#: The claimed law of leads counts as so many true alarms.
LEADS_PRIOR = 3.0


class Counts(NamedTuple):
    """Alarms that came true, that did not, and of which a vacated node showed nothing."""

    hits: float
    misses: float
    unfound: float


class Failures(NamedTuple):
    """Failures that an alarm foretold and that none did."""

    foreseen: float
    unforeseen: float


class Leads(NamedTuple):
    """How many lead times L were seen, and Σ ln(L/L̂), L̂ the claimed median."""

    seen: float
    logs: float


class Trust(NamedTuple):
    """What closed alarms and failures have taught about one predictor on one job."""

    sparse: Counts
    dense: Counts
    failures: Failures
    leads: Leads


def no_trust() -> Trust:
    """Return the trust in a predictor of which nothing is known.

    >>> round(believed(no_trust().sparse), 3), round(believed_recall(no_trust()), 3)
    (0.155, 0.333)
    """
    unknown = Counts(HITS_PRIOR, MISSES_PRIOR, 0.0)
    return Trust(unknown, unknown, Failures(HITS_PRIOR, MISSES_PRIOR), Leads(0.0, 0.0))


def is_dense(at: float, before: float) -> bool:
    """Whether an alarm is dense, ``before`` being the time of the alarm ``DENSE_ALARMS − 1`` places earlier (s).

    >>> is_dense(4000.0, 400.0), is_dense(4000.0, 399.0)
    (True, False)
    """
    return at - before <= DENSE_WITHIN_S


def counted(counts: Counts, truth: float, unfound: bool) -> Counts:
    """Return counts after one more alarm, ``truth`` of it true or unfound: the past fades towards the prior first.

    >>> counted(Counts(1.25, 0.5, 0.0), 1.0, False)
    Counts(hits=2.23, misses=0.5, unfound=0.0)
    """
    hits = HITS_PRIOR + MEMORY * (counts.hits - HITS_PRIOR)
    misses = MISSES_PRIOR + MEMORY * (counts.misses - MISSES_PRIOR)
    if unfound:
        return Counts(hits, misses, MEMORY * counts.unfound + 1.0)
    return Counts(hits + truth, misses + 1.0 - truth, MEMORY * counts.unfound)


def true_share(counts: Counts) -> float:
    """Return m, the share of true alarms: the smaller root of nq·m² − (n + aq − u(1−q))·m + a = 0.

    >>> true_share(Counts(3.0, 1.0, 0.0)), round(true_share(Counts(4.0, 1.0, 10.0)), 3)
    (0.75, 0.365)
    """
    total = counts.hits + counts.misses + counts.unfound
    if counts.unfound == 0.0:
        return counts.hits / total
    middle = total + counts.hits * BURN_IN_FINDS - counts.unfound * (1.0 - BURN_IN_FINDS)
    root = math.sqrt(max(0.0, middle * middle - 4.0 * total * BURN_IN_FINDS * counts.hits))
    return min(1.0, 2.0 * counts.hits / (middle + root))


def believed(counts: Counts, dense: bool = False) -> float:
    """Return P = max(0, m − z·√(m(1−m)/(n+1))): the probability that is acted upon.

    >>> round(believed(Counts(0.25, 10.5, 0.0)), 4), round(believed(Counts(0.25, 100.5, 0.0)), 6)
    (0.0013, 1.5e-05)
    >>> round(believed(Counts(40.0, 10.0, 0.0)), 2), round(believed(Counts(40.0, 10.0, 0.0), dense=True), 2)
    (0.77, 0.74)
    """
    caution = DENSE_CAUTION if dense else CAUTION
    mean = true_share(counts)
    total = counts.hits + counts.misses + counts.unfound
    return max(0.0, mean - caution * math.sqrt(mean * (1.0 - mean) / (total + 1.0)))


def hidden_truth(counts: Counts) -> float:
    """Return the chance that an alarm was true whose node was vacated and passed burn-in: m(1−q)/(1 − qm).

    >>> round(hidden_truth(Counts(8.0, 2.0, 0.0)), 3)
    0.545
    """
    mean = true_share(counts)
    return mean * (1.0 - BURN_IN_FINDS) / (1.0 - BURN_IN_FINDS * mean)


def foretold(recall: float, others: int, nodes: int) -> float:
    """Return the chance r/(r + (1−r)c) that an alarm foretold a failure and was not open by chance.

    Parameters
    ----------
    recall :
        r, the believed share of failures that are foreseen.
    others :
        Open alarms about other nodes, so that c = 1 − exp(−others/nodes) of the nodes are accused.

    Examples
    --------
    >>> foretold(0.6, 0, 32), round(foretold(0.1, 10, 32), 2)
    (1.0, 0.29)
    """
    chance = 1.0 - math.exp(-others / nodes)
    return recall / (recall + (1.0 - recall) * chance)


def closed_alarm(trust: Trust, dense: bool, truth: float, unfound: bool) -> Trust:
    """Return the trust after an alarm was closed.

    Parameters
    ----------
    truth :
        How true it was: :func:`foretold` if its node failed, 1 if burn-in found the fault, else 0.
    unfound :
        Whether its node was vacated and burn-in found nothing.

    Examples
    --------
    >>> closed_alarm(no_trust(), dense=True, truth=0.0, unfound=False).dense
    Counts(hits=0.25, misses=1.5, unfound=0.0)
    """
    if dense:
        return Trust(trust.sparse, counted(trust.dense, truth, unfound), trust.failures, trust.leads)
    return Trust(counted(trust.sparse, truth, unfound), trust.dense, trust.failures, trust.leads)


def seen_failure(trust: Trust, foreseen: float) -> Trust:
    """Return the trust after a failure, ``foreseen`` the chance that an alarm foretold it.

    A failure that a vacated node was spared counts too: with 1 if burn-in found it, else with :func:`hidden_truth`.
    """
    hits = HITS_PRIOR + MEMORY * (trust.failures.foreseen - HITS_PRIOR) + foreseen
    misses = MISSES_PRIOR + MEMORY * (trust.failures.unforeseen - MISSES_PRIOR) + 1.0 - foreseen
    return Trust(trust.sparse, trust.dense, Failures(hits, misses), trust.leads)


def seen_lead(trust: Trust, lead_s: float, claimed_median_s: float) -> Trust:
    """Return the trust after a true alarm came ``lead_s`` before its failure.

    >>> round(stretch(seen_lead(no_trust(), 72.0, 720.0)), 3)
    0.562
    """
    log = math.log(max(lead_s, 1.0) / claimed_median_s)
    leads = Leads(trust.leads.seen + 1.0, trust.leads.logs + log)
    return Trust(trust.sparse, trust.dense, trust.failures, leads)


def stretch(trust: Trust) -> float:
    """Return by what the claimed lead times are to be multiplied: exp(Σ ln(L/L̂)/(n₀ + n))."""
    return math.exp(trust.leads.logs / (LEADS_PRIOR + trust.leads.seen))


def believed_recall(trust: Trust) -> float:
    """Return r, the posterior mean share of failures that are foreseen."""
    return trust.failures.foreseen / (trust.failures.foreseen + trust.failures.unforeseen)
