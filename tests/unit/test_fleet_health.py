"""The fleet health number: a person gets the same from its terms, and a node that gets worse never raises it."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codecs.records import encode_record
from connectors.kafka.topics import EVENT
from infra.observer.health import as_told, health_of
from infra.observer.record import LogRecord
from infra.observer.view import View
from models.fleet_health import WORTH_MAX, NodeState, Standing, State, fleet_health
from models.records import Event, Membership, NodeFate
from tests.observed_story import rescue

#: From the best to the worst, as far as one is worse than another.
WORSE: tuple[State, ...] = ("healthy", "suspect", "failing", "unknown", "out")
chances = st.none() | st.floats(0.0, 1.0)
states = st.sampled_from(tuple(WORTH_MAX))
fleets = st.lists(st.builds(NodeState, st.uuids().map(str), states, chances), max_size=30)


def by_hand(told: dict[str, object]) -> float:
    """The number from its JSON with nothing but the definition."""
    worth = 0.0
    for term in told["terms"]:  # type: ignore[attr-defined]
        if term["state"] == "healthy":
            worth += term["nodes"] - term["probability"]
    for node in told["lessened"]:  # type: ignore[attr-defined]
        fit = 0.5 if node["probability"] is None else 1.0 - node["probability"]
        worth += {"warming": min(0.5, fit), "suspect": min(0.5, fit), "failing": min(0.5, fit)}.get(node["state"], 0.0)
    return 100.0 * worth / told["nodes"]  # type: ignore[operator]


def healthy_with_p(fleet: list[NodeState]) -> list[NodeState]:
    """A healthy node always has P on the topics."""
    return [NodeState(one.node, one.state, one.probability or 0.0) if one.state == "healthy" else one for one in fleet]


@settings(max_examples=200, deadline=None)
@given(fleets)
def test_a_person_recomputes_it_from_its_json(fleet: list[NodeState]) -> None:
    found = fleet_health(healthy_with_p(fleet))
    told = json.loads(json.dumps(as_told(found)))
    if not fleet:
        assert told["number"] is None
        return
    assert told["number"] == pytest.approx(by_hand(told), abs=2e-3)
    assert 0.0 <= told["number"] <= 100.0
    assert sum(term["nodes"] for term in told["terms"]) == told["nodes"] == len(fleet)
    assert sum(term["worth"] for term in told["terms"]) == pytest.approx(told["worth"], abs=1e-4)


@settings(max_examples=300, deadline=None)
@given(fleets, st.integers(0, len(WORSE) - 1), st.integers(0, len(WORSE) - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_node_that_gets_worse_never_raises_it(
    fleet: list[NodeState], one: int, other: int, p: float, more: float
) -> None:
    better = NodeState("n", WORSE[min(one, other)], p)
    worse = NodeState("n", WORSE[max(one, other)], min(1.0, p + more))
    before, after = fleet_health([*fleet, better]).number, fleet_health([*fleet, worse]).number
    assert before is not None
    assert after is not None
    assert after <= before


@pytest.mark.parametrize("state", ["warming", "healthy", "suspect", "failing"])
def test_a_node_that_falls_silent_or_out_is_worth_nothing(state: State) -> None:
    assert NodeState("n", state, 0.1).worth > NodeState("n", "unknown", 0.1).worth == 0.0
    assert NodeState("n", "out", 0.0).worth == 0.0


def test_no_data_is_no_health() -> None:
    assert fleet_health([NodeState("a", "unknown"), NodeState("b", "unknown")]).number == 0.0
    assert fleet_health([NodeState("a", "healthy", None)]).number == 50.0
    assert fleet_health([NodeState("a", "healthy", float("nan"))]).number == 50.0


def test_the_order_of_the_nodes_does_not_matter() -> None:
    fleet = [NodeState(f"n{number}", state, 0.1 * number) for number, state in enumerate(WORTH_MAX)]
    assert fleet_health(fleet) == fleet_health(reversed(fleet))


def test_the_worst_come_first() -> None:
    found = fleet_health([NodeState("a", "suspect", 0.6), NodeState("b", "out"), NodeState("c", "healthy", 0.0)])
    assert [one.node for one in found.lessened] == ["b", "a"]


def on_the_log(event: Event) -> LogRecord:
    return LogRecord(EVENT, 0, 0, b"demo", encode_record(event), 1.0)


def observed(seconds: int = 60) -> View:
    view = View()
    for record in rescue(seconds):
        view.fold(record)
    return view


def test_the_observer_counts_each_node_once() -> None:
    view = observed()
    told = view.health()
    assert told["nodes"] == len(view.fleet.nodes) == 16
    assert told["number"] == pytest.approx(by_hand(told), abs=2e-3)
    assert {term["state"]: term["nodes"] for term in told["terms"]}["unknown"] == 1
    assert view.overview()["health"] == told


def test_a_node_that_failed_or_was_left_is_out_until_it_is_given_back() -> None:
    view = observed(30)
    before = view.health()["number"]
    numbers = []
    for at, state in product((1e10, 2e10), ("vacated", "spare")):
        member = Membership(id=f"m{at}{state}", job="demo", node="n04", at=at + (state == "spare"), state=state)  # type: ignore[arg-type]
        view.fold(on_the_log(member))
        numbers.append(view.health()["number"])
    assert numbers[0] == numbers[2] < before
    assert numbers[1] == numbers[3] == before


def test_a_member_that_was_never_assessed_is_unknown() -> None:
    view = View()
    view.fold(on_the_log(Membership(id="m", job="demo", node="n1", at=1.0, state="running", rank=0)))
    assert health_of(view.fleet, view.standing)["lessened"] == [
        {"node": "n1", "state": "unknown", "probability": None, "worth": 0.0}
    ]


@pytest.mark.parametrize("first_job", ["a", "b"])
def test_of_two_words_at_one_time_the_one_that_says_out_counts(first_job: str) -> None:
    words = [
        Membership(id="1", job="a", node="n", at=5.0, state="running", rank=0),
        Membership(id="2", job="b", node="n", at=5.0, state="vacated"),
    ]
    standing = Standing()
    for word in sorted(words, key=lambda one: one.job != first_job):
        standing.take(word)
    assert standing.out("n")


@pytest.mark.parametrize("failure_first", [True, False])
def test_a_member_that_failed_is_out_and_a_node_of_no_job_is_as_it_was_assessed(failure_first: bool) -> None:
    told: list[Membership | NodeFate] = [
        Membership(id="1", job="a", node="n", at=5.0, state="running", rank=0),
        NodeFate(id="f", job=None, node="n", at=6.0, state="failed"),
        NodeFate(id="g", job=None, node="other", at=6.0, state="failed"),
    ]
    standing = Standing()
    for one in reversed(told) if failure_first else told:
        standing.take(one)
    assert (standing.out("n"), standing.out("other")) == (True, False)
