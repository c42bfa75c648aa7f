"""One number for a fleet: how much of it is known to be fit for work over the predictor's horizon, of 100.

Each node is worth, by what is told of it last:

======== ==================================================================================
healthy  1 − P, the chance that it does not fail within the horizon
suspect  1 − P, but ½ at most: somebody should look
failing  1 − P, but ½ at most
warming  ½: it is being learned, and nothing is known of it yet
unknown  0: nothing is heard from it
out      0: it has failed, or was left and not given back
======== ==================================================================================

The number is 100 times the mean over all nodes, spares among them. A node that gets worse never raises it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from models.records import InventoryNode, Membership, NodeFate, Verdict

State = Verdict | Literal["out"]
#: What a node in a state is worth at most, the best state first.
WORTH_MAX: Final[dict[State, float]] = {
    "healthy": 1.0,
    "suspect": 0.5,
    "failing": 0.5,
    "warming": 0.5,
    "unknown": 0.0,
    "out": 0.0,
}
DEFINITION: Final = (
    "100 × the mean worth of a node: 1 − P where it is healthy, the same but at most ½ where it is suspect or failing, "
    "½ while it is learned, 0 where nothing is heard from it or it is out"
)


@dataclass(frozen=True, slots=True)
class NodeState:
    """What is told of a node: its state, and P where there is one."""

    node: str
    state: State
    probability: float | None = None

    @property
    def worth(self) -> float:
        """Between 0 and 1; without P no more than ½, for nothing is known of what is to come."""
        most = WORTH_MAX[self.state]
        if self.probability is None or math.isnan(self.probability):
            return min(most, 0.5)
        return min(most, 1.0 - min(1.0, max(0.0, self.probability)))


@dataclass(frozen=True, slots=True)
class Term:
    """The nodes of one state: how many, the sum of their P, and what they are worth together."""

    state: State
    nodes: int
    probability: float
    worth: float


@dataclass(frozen=True, slots=True)
class FleetHealth:
    """The number, and all that it is made of: ``number`` = 100 × ``worth`` / ``nodes``; None where there are no nodes.

    The healthy nodes are worth their number less the sum of their P. ``lessened`` are all others, the worst first.
    """

    number: float | None
    nodes: int
    worth: float
    terms: tuple[Term, ...]
    lessened: tuple[NodeState, ...]


class Standing:
    """Which nodes are out, by the newest word of any job; of two words at one time the one that says out counts.

    The order in which words are taken does not matter. A node that no job told of is never out.
    """

    def __init__(self) -> None:
        self._words: dict[str, tuple[float, bool]] = {}
        self._failed: dict[str, float] = {}

    def take(self, told: InventoryNode | Membership | NodeFate) -> None:
        """Where a node stands with a job, or that it failed; that one came back says nothing before a job does."""
        if not isinstance(told, NodeFate):
            word = (told.at, told.state == "vacated")
            self._words[told.node] = max(self._words.get(told.node, word), word)
        elif told.state == "failed":
            self._failed[told.node] = max(self._failed.get(told.node, told.at), told.at)

    def members(self) -> Iterable[str]:
        """Every node that a job told of."""
        return self._words.keys()

    def out(self, node: str) -> bool:
        """Whether a node is out."""
        word = self._words.get(node)
        return word is not None and (word[1] or self._failed.get(node, -math.inf) >= word[0])


class Assessed(Protocol):
    """What the number takes of an assessment."""

    @property
    def verdict(self) -> Verdict: ...
    @property
    def probability(self) -> float | None: ...


def node_states(nodes: Iterable[str], assessed: Mapping[str, Assessed], standing: Standing) -> Iterator[NodeState]:
    """Each of these nodes: out by its newest word, else as assessed, else unknown."""
    for node in nodes:
        latest = assessed.get(node)
        state: State = "unknown" if latest is None else latest.verdict
        yield NodeState(node, "out" if standing.out(node) else state, None if latest is None else latest.probability)


def fleet_health(nodes: Iterable[NodeState]) -> FleetHealth:
    """Return the health of a fleet; each node is to come once.

    >>> fleet_health([NodeState("a", "healthy", 0.02), NodeState("b", "failing", 0.9)]).number
    54.0
    """
    found = sorted(nodes, key=lambda one: (one.worth, one.node))
    terms = tuple(_term(state, [one for one in found if one.state == state]) for state in WORTH_MAX)
    worth = math.fsum(one.worth for one in found)
    return FleetHealth(
        number=round(100.0 * worth / len(found), 3) if found else None,
        nodes=len(found),
        worth=worth,
        terms=tuple(term for term in terms if term.nodes),
        lessened=tuple(one for one in found if one.state != "healthy"),
    )


def _term(state: State, nodes: list[NodeState]) -> Term:
    chances = [one.probability for one in nodes if one.probability is not None]
    return Term(state, len(nodes), math.fsum(chances), math.fsum(one.worth for one in nodes))
