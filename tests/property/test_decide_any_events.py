"""Whatever stands on the decision log, the decide fold takes it, stays bounded, and can be stopped anywhere."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from any_record import EVENTS, any_record
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.codecs.records import encode_event
from connectors.kafka import topics
from models.policy_settings import PolicySettings
from models.records import Incident, Membership, Progress, Tick
from streams.agents.decide import decide_stage
from streams.batch import Batch, Partition
from streams.fold import Output

SOURCE = Partition(topics.EVENT, 0)
STAGE = decide_stage(PolicySettings(level="migrate", migration_s=5.0))
START = 1_700_000_000.0
GIANT = [  # a world that nobody could count to
    Tick(at=START),
    Membership(id="m", job="j", node="n0", at=START, state="running", rank=0, world=2**62),
    Progress(id="p", job="j", node="n0", rank=0, at=START, step=5, loss=1.0, step_s=0.5, load=0.0),
    Incident(
        id="i/0",
        job="j",
        node="n0",
        at=START,
        incident="i",
        state="opened",
        probability=0.9,
        deviation=5.0,
        horizon_s=120.0,
    ),
]
NAMES = {"job": ("j", "k"), "node": ("n0", "n1", "n2"), "incident": ("i0", "i1"), "id": tuple("abcdefgh")}


def _near(event: Any, draw: st.DrawFn) -> Any:
    """The same event among few jobs, nodes and ids, and mostly at a sensible time, so that events meet each other."""
    named = {f.name for f in fields(event)} & NAMES.keys()
    told = {name: draw(st.sampled_from(NAMES[name])) for name in sorted(named)}
    if draw(st.integers(0, 9)):
        told["at"] = START + draw(st.integers(0, 300))
    return replace(event, **told)


@st.composite
def any_event(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from((*EVENTS, Tick, Membership)))
    return _near(draw(any_record(kind)), draw)


def apply(raws: list[bytes], restarts: frozenset[int] = frozenset()) -> tuple[list[Output], bytes]:
    """Outputs and state; before each record in ``restarts`` the fold is restored from its bytes."""
    fold, outputs = STAGE.restore(0, None), []
    for at, raw in enumerate(raws):
        if at in restarts:
            fold = STAGE.restore(0, fold.snapshot())
        outputs += fold.apply(Batch(SOURCE, at, [b"j"], [raw]))
    return outputs, fold.snapshot()


@given(
    events=st.lists(any_event(), max_size=25),
    restarts=st.frozensets(st.integers(0, 24)),
)
@example(GIANT, [])
@example([Tick(at=1e300), Tick(at=START), Membership(id="m", job="j", node="n", at=START, state="spare")], [])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_events_are_taken_and_a_restart_anywhere_shows_nowhere(events: list[Any], restarts: Any) -> None:
    raws = [encode_event(event) for event in events]
    outputs, state = apply(raws)
    assert apply(raws, frozenset(restarts)) == (outputs, state)
    whole = STAGE.restore(0, None)
    assert list(whole.apply(Batch(SOURCE, 0, [b"j"] * len(raws), raws))) == outputs
    assert whole.snapshot() == state
