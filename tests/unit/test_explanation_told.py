"""An explanation as a person reads it, what an id finds, and what a replay concludes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from signing_keys import sealed

from connectors.codecs.records import encode_command, encode_event
from connectors.errors import WrongUse
from connectors.kafka import topics
from infra.explain.epochs import Epochs
from infra.explain.finding import CommandOnLog, IncidentOnLog, find
from infra.explain.lines import lines
from infra.explain.replaying import Compared, compare_command, compare_incidents, replayed
from infra.explain.subject import telemetry_of
from infra.explain.watching import Seen
from infra.kept_settings import KeptSettings
from models.incident import IncidentSettings
from models.policy_settings import PolicySettings
from models.records import Cause, Command, Incident, Reason, Tick

T = 1_763_942_400.0
COMMAND = Command(
    id="c0ffee0000000001",
    action="MIGRATE",
    job="gpt",
    generation=3,
    issued_at=T,
    expires_at=T + 60,
    reason=Reason(rule="break-even", numbers={"x": 1.0, "P": 0.5}, evidence=("telemetry.node.v1/0/7",)),
    cause=Cause(0, 12),
    incident="1ncident00000001",
    node="n1",
    spare="s0",
)
INCIDENT = Incident(
    id="1ncident00000001/0",
    job="gpt",
    node="n1",
    at=T,
    incident="1ncident00000001",
    state="opened",
    probability=0.9,
    deviation=3.0,
    horizon_s=60.0,
    evidence=("telemetry.node.v1/0/7",),
)


class MemoryMessage:
    def __init__(self, offset: int, value: bytes) -> None:
        self._offset, self._value = offset, value

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 1, round(T * 1000) + self._offset


class MemoryLog:
    """A log of a run, of one partition a topic."""

    run = "20261124T000000Z"

    def __init__(self, **values: list[bytes]) -> None:
        self._values = {topics.COMMAND: values.get("commands", []), topics.EVENT: values.get("events", [])}

    def partitions(self, topic: str) -> range:
        return range(1)

    def records(self, topic: str, partition: int) -> Iterator[MemoryMessage]:
        yield from (MemoryMessage(at, value) for at, value in enumerate(self._values[topic]))


def found(name: str, *, commands: tuple[Command, ...] = (COMMAND,), events: tuple[Any, ...] = (INCIDENT,)) -> Any:
    raws = [b"junk", *map(sealed, commands)]
    log = MemoryLog(commands=raws, events=[encode_event(Tick(at=T)), b"{", *map(encode_event, events)])
    return find(log, name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [COMMAND.id, COMMAND.id[:6]])
def test_a_command_is_found_by_its_id_or_the_first_letters_of_it(name: str) -> None:
    one = found(name)
    assert isinstance(one, CommandOnLog)
    assert (one.command, one.place, one.appended) == (COMMAND, "control.command.v1/0/1", T + 0.001)


@pytest.mark.parametrize("name", [INCIDENT.incident, INCIDENT.id, INCIDENT.incident[:7]])
def test_an_incident_is_found_by_its_id_or_by_that_of_a_record(name: str) -> None:
    changed = replace(INCIDENT, id="1ncident00000001/1", state="changed")
    one = found(name, events=(INCIDENT, changed, INCIDENT))
    assert isinstance(one, IncidentOnLog)
    assert (one.incident, one.place) == (INCIDENT, "control.event.v1/0/2")
    assert found(changed.id, events=(INCIDENT, changed)).incident == changed


def test_what_is_not_there_is_answered_with_what_comes_closest() -> None:
    with pytest.raises(
        WrongUse, match=r"in run 20261124T000000Z; there are 2, among them c0ffee0000000001 \(command\)"
    ):
        found("c0ffee0000000002")
    with pytest.raises(WrongUse, match=r"1ncident00000001 \(incident\), c0ffee0000000001 \(command\)"):
        found("zzzzzzzz")
    with pytest.raises(WrongUse, match="neither a command nor an incident"):
        found("c0ffee", commands=(), events=())


def test_letters_that_two_begin_with_or_too_few_find_nothing() -> None:
    other = replace(COMMAND, id="c0ffee0000000009")
    with pytest.raises(WrongUse, match="there are 3"):
        found("c0ffee", commands=(COMMAND, other))
    with pytest.raises(WrongUse):
        found("c0ff")


def test_evidence_names_its_telemetry() -> None:
    evidence = ("telemetry.node.v1/0/7", "telemetry.node.v1/1/9", "control.event.v1/0/5")
    assert telemetry_of(evidence) == (1, 9)
    assert telemetry_of(("control.event.v1/0/5", "telemetry.node.v1/x/9", "telemetry.node.v1")) is None


def test_settings_hold_from_when_they_were_told_and_the_first_also_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from test_kept_settings import told

    from infra.explain import epochs

    monkeypatch.setattr(epochs, "settings_told", lambda log: (told(10.0, theta=0.1), told(20.0, theta=0.2)))
    known = Epochs(None)  # type: ignore[arg-type]
    assert len(known) == 2
    assert [known.at(at).policy.theta for at in (5.0, 10.0, 19.9, 20.0, 99.0)] == [0.1, 0.1, 0.1, 0.2, 0.2]


def seen(**incidents: Incident) -> Seen:
    kept = KeptSettings(PolicySettings(), IncidentSettings(), "m")
    return Seen("n1", "telemetry.node.v1/0/7", 7, kept, incidents=dict(incidents))


def test_a_command_is_compared_without_its_seal() -> None:
    on_log = CommandOnLog(COMMAND, sealed(COMMAND), "control.command.v1/0/1", T)
    assert compare_command(on_log, [COMMAND]).equal
    other = replace(COMMAND, reason=replace(COMMAND.reason, numbers={"x": 1.0, "P": 0.25}))
    [words] = compare_command(on_log, [other]).differences()
    assert words == "command MIGRATE (control.command.v1/0/1): reason.numbers.P is 0.5 on the log, 0.25 recomputed"
    [words] = compare_command(on_log, []).differences()
    assert words == "command MIGRATE (control.command.v1/0/1) does not follow from the log"
    assert compare_command(replace(on_log, raw=encode_command(COMMAND)), [COMMAND]).equal, "one that bears no seal"


def test_an_incident_is_compared_record_by_record() -> None:
    record = IncidentOnLog(INCIDENT, encode_event(INCIDENT), 0, 2, T)
    [one] = compare_incidents([record], seen(**{INCIDENT.id: INCIDENT}))
    assert (one.what, one.equal) == ("incident opened", True)
    [one] = compare_incidents([record], seen(**{INCIDENT.id: replace(INCIDENT, probability=0.8)}))
    assert list(one.differences()) == [
        "incident opened (control.event.v1/0/2): probability is 0.9 on the log, 0.8 recomputed"
    ]
    [one] = compare_incidents([record], seen())
    assert not one.equal


GOOD = Compared("a", "t/0/1", b"{}", b"{}")
BAD = Compared("b", "t/0/2", b'{"x":[1]}', b'{"y":2}')


def test_what_a_replay_concludes() -> None:
    assert replayed([GOOD], [])["equal"] is True
    assert replayed([GOOD], ["gone"])["equal"] is None
    assert replayed([], [])["equal"] is None
    told = replayed([GOOD, BAD], ["gone"])
    assert told["equal"] is False, "what differs differs, whatever else is gone"
    assert told["differs"] == [
        "b (t/0/2): x is [1] on the log, None recomputed",
        "b (t/0/2): y is None on the log, 2 recomputed",
    ]
    assert told["compared"][1] == {"what": "b", "place": "t/0/2", "equal": False}


def document(**more: Any) -> dict[str, Any]:
    metric = {"metric": "gpu0.temp_c", "unit": "celsius", "value": 91.0, "usual": 65.25, "extreme": 94.0, "z": 12.0}
    transition = {"metric": "gpu0.temp_c", "at": T - 4.0, "from": 4, "to": 9, "p": 0.0123}
    told: dict[str, Any] = {
        "id": COMMAND.id,
        "kind": "command",
        "action": "MIGRATE",
        "job": "gpt",
        "node": "n1",
        "spare": "s0",
        "incident": INCIDENT.incident,
        "at": T,
        "rule": "break-even",
        "numbers": {f"x{i}": float(i) for i in range(12)} | {"P": 0.5, "M": 7551.42},
        "subject": {"node": "n1", "partition": 0, "offset": 7, "why": "the incident"},
        "probability": 0.912,
        "baseline": {
            "of": "node",
            "what": "median of 51 healthy frames",
            "frames": 51,
            "probability": 0.01,
            "logit": -4,
        },
        "contributions": [],
        "metrics": [
            metric | {"contribution": 5.5, "features": ["thermal.high3"]},
            dict.fromkeys(metric) | {"metric": "node", "unit": "", "contribution": -1.25, "features": ["node.stay"]},
        ],
        "logit_difference": 4.25,
        "transitions": [transition | {"from_range": [64.0, 65.5], "to_range": [70.5, None]}],
        "alternatives": [
            {"policy": "young", "kind": "checkpoint", "would": "MIGRATE n1 → s0 at the same time", "seconds": 0.0},
            {"policy": "daly", "kind": "checkpoint", "would": "MIGRATE n1 → s0 at the same time", "seconds": 0.0},
            {"policy": "never", "kind": "migration", "would": "no MIGRATE within 60 s", "seconds": None},
        ],
        "evidence": ["telemetry.node.v1/0/7"],
        "missing": [],
        "replay": None,
    }
    return told | more


def test_the_lines_of_a_command() -> None:
    assert list(lines(document())) == [
        "MIGRATE n1 → s0 · job gpt · 2025-11-24 00:00:00.000 UTC · command c0ffee0000000001",
        "because    break-even",
        "numbers    P 0.5, M 7,551, x0 0, x1 1, x2 2, x3 3, x4 4, x5 5, x6 6 (and 5 more: --json)",
        "looked at  the incident",
        "P          0.912; as usual it is 0.010 (median of 51 healthy frames); logit +4.25 from there",
        "moved by    +5.50  gpu0.temp_c  91 celsius, usual 65.2, 94 at the farthest (+12.0 σ); thermal.high3",
        "            -1.25  node         node.stay",
        "improbable p 0.0123  gpu0.temp_c  from 64…65.5 to above 70.5, 4.0 s before",
        "others     checkpoint young, daly: MIGRATE n1 → s0 at the same time",
        "           migration never: no MIGRATE within 60 s",
        "evidence   telemetry.node.v1/0/7",
    ]


def test_the_lines_of_an_incident_of_no_job() -> None:
    told = document(kind="incident", action=None, spare=None, job=None, id="1ncident00000001")
    assert next(lines(told)) == "INCIDENT n1 · job none · 2025-11-24 00:00:00.000 UTC · incident 1ncident00000001"


def test_what_is_missing_is_told_in_the_place_of_what_was_computed() -> None:
    nothing = {"baseline": None, "metrics": [], "transitions": [], "alternatives": []}
    told = list(lines(document(**nothing, missing=["the frame is gone"])))
    assert "P          no telemetry explains it: see what is missing" in told
    assert "missing    the frame is gone" in told
    assert "P          none was told" in list(lines(document(**nothing, subject=None)))


@pytest.mark.parametrize(
    ("compared", "missing", "begins"),
    [
        ([GOOD], [], "replay     equal: recomputed from the log, byte for byte: a"),
        ([GOOD], ["gone"], "replay     cannot be told"),
        ([GOOD, BAD], [], "replay     NOT EQUAL"),
    ],
)
def test_the_lines_of_a_replay(compared: list[Compared], missing: list[str], begins: str) -> None:
    told = list(lines(document(replay=replayed(compared, missing), missing=missing)))
    [place] = [at for at, line in enumerate(told) if line.startswith(begins)]
    differing = [line.strip() for line in told[place + 1 :]]
    assert differing == [words for one in compared if not one.equal for words in one.differences()]
