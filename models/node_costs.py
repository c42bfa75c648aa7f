"""What each node was to a job: how long it ran, waited or was out, its incidents, failures and false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from models.records import Incident, JobEvent, Membership, NodeFate, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTally:
    """Counts and seconds of one node.

    ``foreseen`` are those of the ``failures`` of a running rank that came under an open incident; ``confirmed`` the
    failures after the node was left; ``false_alarms`` the incidents that closed although the node neither failed nor
    was left, and the times it was left and then given back as a spare.
    """

    incidents: int = 0
    failures: int = 0
    foreseen: int = 0
    left: int = 0
    confirmed: int = 0
    false_alarms: int = 0
    running_s: float = 0.0
    spare_s: float = 0.0
    out_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a node stands, since when, and whether it was left on a suspicion that nothing has settled yet."""

    state: str
    since: float
    doubted: bool = False


@dataclass(slots=True)
class NodeCosts:
    """The fold; the time between ``since`` and ``until`` counts (s)."""

    since: float = -math.inf
    until: float = math.inf
    tallies: dict[str, NodeTally] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def take(self, event: JobEvent) -> None:
        """Take in the next event, none of an earlier time being to come."""
        match event:
            case Incident(history=False):
                self._incident(event)
            case Membership():
                self._member(event)
            case NodeFate(state="failed"):
                self._failed(event)
            case Outcome(action="MIGRATE", stage="done"):
                self._count(event.node, left=1)
                self._stand(event.node, "vacated", event.at, doubted=True)

    def counted(self, at: float) -> dict[str, NodeTally]:
        """Return every node's tally as of ``at`` (s)."""
        found = dict(self.tallies)
        for node, standing in self.standings.items():
            found[node] = self._passed(found.get(node, NodeTally()), standing, at)
        return found

    def _incident(self, event: Incident) -> None:
        if event.state != "closed":
            if event.incident not in self.seen:
                self.seen.add(event.incident)
                self._count(event.node, incidents=1)
            self.open[event.node] = event.incident
        elif self.open.get(event.node) == event.incident:
            del self.open[event.node]
            standing = self.standings.get(event.node)
            if standing is not None and standing.state in {"running", "spare"}:
                self._count(event.node, false_alarms=1)

    def _member(self, event: Membership) -> None:
        standing = self.standings.get(event.node)
        doubted = standing is not None and standing.doubted
        if doubted and event.state != "vacated":
            self._count(event.node, false_alarms=1)
            doubted = False
        self._stand(event.node, event.state, event.at, doubted=doubted)

    def _failed(self, event: NodeFate) -> None:
        standing = self.standings.get(event.node)
        if standing is not None and standing.state == "running":
            self._count(event.node, failures=1, foreseen=int(event.node in self.open))
        elif standing is not None and standing.doubted:
            self._count(event.node, confirmed=1)
        self._stand(event.node, "failed", event.at)

    def _count(self, node: str, **more: int) -> None:
        known = self.tallies.get(node, NodeTally())
        self.tallies[node] = replace(known, **{name: getattr(known, name) + add for name, add in more.items()})

    def _stand(self, node: str, state: str, at: float, *, doubted: bool = False) -> None:
        before = self.standings.get(node)
        if before is not None:
            self.tallies[node] = self._passed(self.tallies.get(node, NodeTally()), before, at)
        self.standings[node] = Standing(state, at, doubted)

    def _passed(self, tally: NodeTally, standing: Standing, at: float) -> NodeTally:
        name = {"running": "running_s", "spare": "spare_s"}.get(standing.state, "out_s")
        seconds = max(0.0, min(at, self.until) - max(standing.since, self.since))
        return replace(tally, **{name: getattr(tally, name) + seconds})
