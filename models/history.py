"""The history hazard: how likely a node is to fail given its own past faults and those of the fleet, without telemetry.

A self-exciting point process (Hawkes 1971). A node i that is up fails at the rate

    λ_i(t) = b + m·Σ_j (n_j/τ_j)·c_ij(t) + m′·Σ_j (n′_j/τ′_j)·F_j(t)/up,

where c_ij(t) = Σ e^(−age/τ_j) over the node's repairs counts those of about the last τ_j ("repaired an hour ago",
"third fault this week"), F_j(t) does so with the faults of the whole fleet (a rack or a switch takes several nodes,
some weeks are bad), and n_j is how many further faults each brings. Only this shape (τ, n) is
shipped. The base b is learned from the fleet's own faults, each by the share b/λ with which it was no consequence of
another; and how far the shape is believed on this fleet, m and m′, is weighed by Bayes' rule over a few candidates,
"not at all" among them: a fleet without memory loses no more than −ln of that candidate's prior, once, however long it
runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

#: How soon the base rate forgets, and how many faults the shipped one is worth.
BASE_MEMORY_S: Final = 60 * 86_400.0
BASE_WEIGHT: Final = 0.25

Floats = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Belief:
    """One candidate: how strongly a node's own past (m) and the fleet's (m′) tell, and its prior probability."""

    own: float
    shared: float
    prior: float


#: The shape taken at its word.
BELIEVED: Final = (Belief(1.0, 1.0, 1.0),)
_STRENGTHS: Final = ((0.0, 0.4), (0.3, 0.2), (1.0, 0.4))
#: All pairs of: not at all, a third, fully.
WEIGHED: Final = tuple(Belief(m, s, p * q) for m, p in _STRENGTHS for s, q in _STRENGTHS)


@dataclass(frozen=True, slots=True)
class HistoryShape:
    """What is fitted once and shipped; times in seconds.

    Parameters
    ----------
    memory_s : τ_j, one for each count that a node keeps.
    recurrence : n_j ≥ 0, further faults of a node that one repair brings, by memory; below 1 in all.
    shared_memory_s, shared : τ′_j and n′_j, further faults of the fleet that one fault brings.
    base_rate : 1/s and node, where the base begins.
    """

    memory_s: Floats
    recurrence: Floats
    shared_memory_s: Floats
    shared: Floats
    base_rate: float

    def __post_init__(self) -> None:
        memories, further = self.memory_s + self.shared_memory_s, self.recurrence + self.shared
        pairs = ((self.memory_s, self.recurrence), (self.shared_memory_s, self.shared))
        if not all(len(memory) == len(brings) > 0 for memory, brings in pairs):
            raise ValueError("history shape: needs one number of further faults for each memory, and at least one")
        if not all(0.0 < value < math.inf for value in (*memories, self.base_rate)):
            raise ValueError("history shape: memories and base rate must be above 0 and finite")
        if not (min(further) >= 0.0 and sum(further) < 1.0):
            raise ValueError("history shape: a fault must bring 0 or more further faults, and fewer than 1 in all")


def history_rate(counts: Floats, recurrence: Floats, memory_s: Floats, elapsed_s: float) -> float:
    """Return Σ_j (n_j/τ_j)·c_j·e^(−elapsed/τ_j) in 1/s: what past repairs, or faults of the fleet, add to a rate.

    Plain arithmetic on floats and tuples, so that a compiled simulator can call it.

    >>> round(history_rate((1.0,), (0.3,), (7200.0,), 0.0) * 3600, 3)  # just repaired: .15 an hour
    0.15
    """
    rate = 0.0
    for j in range(len(counts)):
        rate += recurrence[j] / memory_s[j] * counts[j] * math.exp(-elapsed_s / memory_s[j])
    return rate


@dataclass(frozen=True, slots=True)
class NodeHistory:
    """A node's past: its repairs, as counts that fade, each with its memory.

    Parameters
    ----------
    repaired_at : the last repair, at which ``counts`` stand; they are empty before the first one.
    down_since : None while it is up.
    """

    repaired_at: float = 0.0
    counts: Floats = ()
    down_since: float | None = None

    def failed(self, at: float) -> NodeHistory:
        """Return the history of a node that went down at ``at``, or was down already."""
        return replace(self, down_since=at) if self.down_since is None else self

    def recovered(self, at: float, shape: HistoryShape) -> NodeHistory:
        """Return the history of a node that is up again at ``at``, one repair the richer."""
        faded = self.counts_at(at, shape) or (0.0,) * len(shape.memory_s)
        return NodeHistory(at, tuple(count + 1.0 for count in faded))

    def counts_at(self, at: float, shape: HistoryShape) -> Floats:
        """Return c_j(at); times before the last repair count as it."""
        elapsed = max(0.0, at - self.repaired_at)
        return tuple(count * math.exp(-elapsed / tau) for count, tau in zip(self.counts, shape.memory_s, strict=False))

    def rate(self, at: float, shape: HistoryShape) -> float:
        """Return what the node's own past adds to its rate, in 1/s, the shape taken at its word."""
        return history_rate(self.counts, shape.recurrence, shape.memory_s, max(0.0, at - self.repaired_at))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a fleet's past says at one time of the nodes that are up.

    Parameters
    ----------
    base : b, 1/s and node.
    shared : m′/up, by which what the fleet's faults add is multiplied for each node.
    recent : F_j, fading with the shared memories.
    own : m.
    together : how many nodes fail at the same instant, on average; at least 1.
    """

    base: float
    shared: float
    recent: Floats
    own: float
    together: float

    def rate(self, added: float, ahead_s: float, shape: HistoryShape) -> float:
        """Return λ (1/s) ``ahead_s`` later, nothing having happened, of a node whose own past adds ``added`` then."""
        fleet = history_rate(self.recent, shape.shared, shape.shared_memory_s, ahead_s)
        return self.base + self.shared * fleet + self.own * added

    def hazard(self, nodes: int, added: float, ahead_s: float, shape: HistoryShape) -> float:
        """Return h (1/s) of a job on ``nodes`` nodes, whose pasts add ``added`` in all; one instant stops it once."""
        return nodes * self.rate(added / nodes, ahead_s, shape) / self.together


@dataclass(frozen=True, slots=True)
class FleetHistory:
    """What a fleet has learned of its faults up to ``at``; a fold over failures and recoveries.

    Parameters
    ----------
    up : nodes that could fail.
    counts : Σ c_ij over those.
    recent : F_j, the fleet's faults fading with the shared memories.
    spontaneous : of each belief, faults that were no consequence of another, fading with ``BASE_MEMORY_S``.
    exposure_s : node-seconds up, fading alike.
    faults, instants : how many faults there were, and at how many different times.
    nats : of each belief, ln(prior × likelihood so far), rates taken in 1/s.
    """

    at: float
    up: int
    counts: Floats
    recent: Floats
    spontaneous: Floats
    exposure_s: float
    faults: int
    instants: int
    nats: Floats

    @staticmethod
    def begin(at: float, nodes: int, shape: HistoryShape, beliefs: Sequence[Belief] = WEIGHED) -> FleetHistory:
        """Return a fleet of ``nodes`` that are up and have no past."""
        return FleetHistory(
            at,
            nodes,
            (0.0,) * len(shape.memory_s),
            (0.0,) * len(shape.shared_memory_s),
            (BASE_WEIGHT,) * len(beliefs),
            BASE_WEIGHT / shape.base_rate,
            0,
            0,
            tuple(math.log(belief.prior) for belief in beliefs),
        )

    @property
    def evidence(self) -> float:
        """ln of the likelihood of all that was seen, the beliefs weighed by their priors."""
        top = max(self.nats)
        return top + math.log(sum(math.exp(one - top) for one in self.nats))

    def weights(self) -> Floats:
        """Return the posterior probability of each belief."""
        top = max(self.nats)
        raw = [math.exp(one - top) for one in self.nats]
        return tuple(one / math.fsum(raw) for one in raw)

    def until(self, at: float, shape: HistoryShape, beliefs: Sequence[Belief] = WEIGHED) -> FleetHistory:
        """Return the fleet at ``at``, nothing having happened since; times before ``self.at`` change nothing."""
        passed = at - self.at
        if passed <= 0.0:
            return self
        fades, shared_fades = _fades(passed, shape.memory_s), _fades(passed, shape.shared_memory_s)
        own = _expected(shape.recurrence, self.counts, fades)
        shared = _expected(shape.shared, self.recent, shared_fades) if self.up else 0.0
        quiet = [
            base * self.up * passed + belief.own * own + belief.shared * shared
            for base, belief in zip(self._bases(), beliefs, strict=True)
        ]
        kept, first = math.exp(-passed / BASE_MEMORY_S), BASE_WEIGHT / shape.base_rate
        return FleetHistory(
            at,
            self.up,
            tuple(count * fade for count, fade in zip(self.counts, fades, strict=True)),
            tuple(count * fade for count, fade in zip(self.recent, shared_fades, strict=True)),
            tuple(BASE_WEIGHT + kept * (one - BASE_WEIGHT) for one in self.spontaneous),
            first + kept * (self.exposure_s - first) + self.up * passed,
            self.faults,
            self.instants,
            tuple(one - expected for one, expected in zip(self.nats, quiet, strict=True)),
        )

    def failed(
        self, at: float, nodes: Sequence[NodeHistory], shape: HistoryShape, beliefs: Sequence[Belief] = WEIGHED
    ) -> FleetHistory:
        """Return the fleet after ``nodes`` went down together at ``at``; none of these faults foretells another."""
        now = self.until(at, shape, beliefs)
        shared, bases = now._shared(shape), now._bases()
        spontaneous, nats, counts = list(now.spontaneous), list(now.nats), list(now.counts)
        for node in nodes:
            own = node.rate(at, shape)
            for k, (base, belief) in enumerate(zip(bases, beliefs, strict=True)):
                rate = base + belief.own * own + belief.shared * shared
                spontaneous[k] += base / rate
                nats[k] += math.log(rate)
            for j, count in enumerate(node.counts_at(at, shape)):
                counts[j] = max(0.0, counts[j] - count)
        return replace(
            now,
            up=now.up - len(nodes),
            counts=tuple(counts),
            recent=tuple(count + len(nodes) for count in now.recent),
            spontaneous=tuple(spontaneous),
            faults=now.faults + len(nodes),
            instants=now.instants + 1,
            nats=tuple(nats),
        )

    def recovered(
        self, at: float, node: NodeHistory, shape: HistoryShape, beliefs: Sequence[Belief] = WEIGHED
    ) -> FleetHistory:
        """Return the fleet after a node came back; ``node`` is its history with this repair in it."""
        now = self.until(at, shape, beliefs)
        counts = (had + came for had, came in zip(now.counts, node.counts_at(at, shape), strict=True))
        return replace(now, up=now.up + 1, counts=tuple(counts))

    def outlook(self, shape: HistoryShape, beliefs: Sequence[Belief] = WEIGHED) -> Outlook:
        """Return the rates at ``self.at``, the beliefs weighed by what they foretold so far."""
        weights = self.weights()
        base = sum(weight * base for weight, base in zip(weights, self._bases(), strict=True))
        shared = sum(weight * belief.shared for weight, belief in zip(weights, beliefs, strict=True))
        own = sum(weight * belief.own for weight, belief in zip(weights, beliefs, strict=True))
        together = (1 + self.faults) / (1 + self.instants)
        return Outlook(base, shared / max(1, self.up), self.recent, own, together)

    def _bases(self) -> Floats:
        return tuple(one / self.exposure_s for one in self.spontaneous)

    def _shared(self, shape: HistoryShape) -> float:
        return history_rate(self.recent, shape.shared, shape.shared_memory_s, 0.0) / max(1, self.up)


def _fades(passed: float, memory_s: Floats) -> Floats:
    return tuple(math.exp(-passed / tau) for tau in memory_s)


def _expected(brings: Floats, counts: Floats, fades: Floats) -> float:
    """∫ of what the counts add, over a time in which they fade so."""
    return sum(n * count * (1.0 - fade) for n, count, fade in zip(brings, counts, fades, strict=True))
