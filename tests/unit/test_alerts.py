"""Which alerts fire, when they are over, what is due; and that rules, runbooks and kinds are the same alerts."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alert_receiver import AlertReceiver

from connectors.codecs.records import encode_event
from connectors.errors import WrongUse
from connectors.kafka.snapshots import Snapshot
from connectors.kafka.topics import EVENT
from infra.alerts.book import AlertBook
from infra.alerts.decided import BreakerFold
from infra.alerts.events import GRACE_S, NEWS_S, Events
from infra.alerts.keeping import Kept, load, of_log, save
from infra.alerts.kinds import (
    BREAKER_TRIPPED,
    COMMAND_REFUSED,
    DEAD_LETTERS,
    KINDS,
    LETTERS_MAX,
    LETTERS_S,
    NODE_SUSPECT,
    SENT,
    WORKER_STALE,
)
from infra.alerts.looks import STALE_S, Looks
from infra.alerts.payload import ALERTS_MAX, NEVER, groups, payload
from infra.alerts.receiver import ANSWER_S, Receiver, require_url
from infra.alerts.service import QUIET_S, Eyes, Sender
from infra.alerts.wiring import page_of
from infra.influx.checks import CHECKS
from infra.metrics.health import Health
from infra.observer.reader import LogState
from infra.settings import Alerts, Web
from infra.status import reading as status_reading
from infra.status.reading import Reading
from models.brakes.state import Trip
from models.decisions import initial_state, to_bytes
from models.diagnostics import Diagnosis
from models.policy_settings import PolicySettings
from models.records import (
    BreakerReset,
    Cause,
    Command,
    Incident,
    Membership,
    NodeFate,
    Outcome,
    Reason,
    Tick,
)

ROOT = Path(__file__).parents[2]
RULES = ROOT / "infra" / "deploy" / "alerts.rules.yml"
T = 1_763_942_400.0


def incident(state: str = "opened", at: float = T, node: str = "n1", **more: object) -> Incident:
    given = {"probability": 0.8, "deviation": 3.0, "horizon_s": 1800.0, **more}
    return Incident(id=f"{node}{state}{at}", job="demo", node=node, at=at, incident=f"i-{node}", state=state, **given)  # type: ignore[arg-type]


def command(action: str = "MIGRATE", node: str | None = "n1", of: str | None = "i-n1", key: str = "c1") -> Command:
    return Command(
        id=key, action=action, job="demo", generation=4, issued_at=T, expires_at=T + 60, incident=of, node=node,  # type: ignore[arg-type]
        reason=Reason(rule="break-even"), cause=Cause(0, 1),
    )  # fmt: skip


def outcome(stage: str, at: float = T + 1, key: str = "c1", reason: str | None = None) -> Outcome:
    return Outcome(
        id=f"{key}{stage}{at}", job="demo", command=key, action="MIGRATE", node="n1", stage=stage, at=at, reason=reason,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def events() -> Events:
    return Events(AlertBook(born=T - 10))


def test_an_incident_fires_with_what_is_done_about_it_and_is_over_when_it_closes(events: Events) -> None:
    events.take(incident())
    events.take(command())
    events.take(outcome("done"))
    [alert] = events.book.firing(NODE_SUSPECT)
    assert alert.labels == {"alertname": "ForestallNodeSuspect", "severity": "info", "node": "n1", "job": "demo"}
    assert "n1 of demo is suspected: P(failure within 1800 s) is 0.80" in alert.annotations["summary"]
    assert alert.annotations["doing"] == "MIGRATE 4 was given: break-even; MIGRATE 4: done on n1"
    events.take(incident("changed", T + 5, probability=0.9))
    assert "0.90" in alert.annotations["summary"]
    assert "MIGRATE 4: done" in alert.annotations["doing"]
    assert alert.starts_at == T
    events.take(incident("closed", T + 30))
    assert (alert.ends_at, alert.status, events.book.firing()) == (T + 30, "resolved", [])


def test_an_incident_of_a_loaded_past_and_a_close_of_none_fire_nothing(events: Events) -> None:
    events.take(incident(history=True))
    events.take(incident("closed", node="n9"))
    assert events.book.alerts == []


def test_no_label_holds_an_id(events: Events) -> None:
    events.take(incident())
    events.take(command())
    events.take(outcome("failed", reason="the rank says: no"))
    for alert in events.book.alerts:
        assert not {"c1", "i-n1"} & set(alert.labels.values())
    assert {one.kind for one in events.book.alerts} == {NODE_SUSPECT, COMMAND_REFUSED}


def test_a_command_that_was_not_carried_out_is_over_when_one_of_its_kind_is_or_it_is_no_news(events: Events) -> None:
    for end in (lambda: events.take(outcome("done", T + 9, "c2")), lambda: events.pass_time(T + 2 + NEWS_S)):
        events.take(outcome("rejected", reason="hourly limit"))
        [alert] = events.book.firing(COMMAND_REFUSED)
        assert alert.annotations["description"] == "hourly limit"
        end()
        assert events.book.firing() == []


def test_a_command_of_which_nobody_is_heard_pages_once_it_has_expired(events: Events) -> None:
    events.take(command("CHECKPOINT", None, None, "c1"))
    events.take(command(key="c2"))
    events.take(outcome("received", key="c2"))
    events.pass_time(T + 60 + GRACE_S - 1)
    assert events.book.firing() == []
    events.pass_time(T + 60 + GRACE_S + 1)
    [alert] = events.book.firing()
    assert (alert.labels["action"], alert.labels["severity"]) == ("CHECKPOINT", "page")
    events.pass_time(T + 60 + GRACE_S + 2)
    assert len(events.book.alerts) == 1
    events.pass_time(T + 61 + 2 * NEWS_S)
    assert (events.book.firing(), events.commands) == ([], {})


def test_what_was_over_before_the_book_was_made_is_not_told() -> None:
    events = Events(AlertBook(born=T + 100))
    events.take(incident())
    events.take(incident("closed", T + 5))
    assert events.book.alerts == []
    events.take(incident(node="n2"))
    assert len(events.book.due(T + 200, 60.0)) == 1, "it still fires"


def test_due_is_what_changed_and_what_has_to_be_told_again() -> None:
    book = AlertBook(born=T)
    book.fire(DEAD_LETTERS, T, {"summary": "x"})
    [alert] = book.due(T, 60.0)
    book.note_told([alert], ["firing"], T)
    assert book.due(T + 59, 60.0) == []
    assert book.due(T + 60, 60.0) == [alert]
    book.resolve(DEAD_LETTERS, T + 61)
    assert book.due(T + 61, 60.0) == [alert]
    book.note_told([alert], ["resolved"], T + 62)
    assert book.alerts == []


def test_an_end_that_came_while_the_beginning_was_sent_is_told_too() -> None:
    book = AlertBook(born=T)
    book.fire(DEAD_LETTERS, T, {})
    [alert] = book.due(T, 60.0)
    book.resolve(DEAD_LETTERS, T + 1)
    book.note_told([alert], ["firing"], T + 2)
    assert book.due(T + 2, 60.0) == [alert]


def test_one_that_fires_again_before_its_end_is_told_is_another(events: Events) -> None:
    events.take(incident())
    events.take(incident("closed", T + 5))
    events.take(incident(at=T + 6))
    told = events.book.due(T + 7, 60.0)
    assert [(one.status, one.starts_at) for one in told] == [("resolved", T), ("firing", T + 6)]
    assert len({one.fingerprint for one in told}) == 1


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path, events: Events) -> None:
    file = tmp_path / "alerts" / "own.json"
    assert load(file, 5.0) == Kept(Events(AlertBook(5.0)))
    for told in (incident(), command(), outcome("failed", reason="ä")):
        events.take(told)
    kept = Kept(events)
    assert kept.is_new("control.event.v1/0", 7)
    assert not kept.is_new("control.event.v1/0", 7)
    save(file, kept)
    assert load(file, 9.0) == kept
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["{", "[]", '{"alerts/0": {}}', '{"alerts/1": {"events": {}, "positions": {}}}'])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "own.json"
    file.write_text(content)
    with pytest.raises(WrongUse, match=r"own\.json cannot be read"):
        load(file, T)


def test_a_log_that_ends_before_what_was_read_is_another_and_has_a_book_of_its_own(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    events.take(incident())
    events.take(incident(node="n2"))
    [told, _] = events.book.alerts
    events.book.note_told([told], ["firing"], T)
    kept = Kept(events, {"control.event.v1/0": 7, "control.command.v1/0": 2})
    ends = {"control.event.v1": {0: 7, 1: 0}, "control.command.v1": {0: 2}}
    assert of_log(kept, ends, T + 50) is kept
    for other in ({**ends, "control.event.v1": {0: 3}}, {**ends, "control.event.v1": {}}):
        told.ends_at = None
        anew = of_log(kept, other, T + 50)
        assert anew.is_new("control.event.v1/0", 0), "what is on the new log is taken in"
        assert (anew.events.book.born, anew.events.book.alerts) == (T + 50, [told])
        assert told.ends_at == T + 50, "the receiver is told that it is over"
    assert "control.event.v1/0 ends at 3, before 7: it is another log" in caplog.text


def test_dead_letters_fire_when_they_rise_and_are_over_when_they_rest() -> None:
    book = AlertBook(born=T)
    looks = Looks(book)
    looks.dead_letters(1000, T)
    looks.dead_letters(1000 + LETTERS_MAX, T + 10)
    assert book.firing() == []
    looks.dead_letters(1001 + LETTERS_MAX, T + 20)
    assert "11 records" in book.firing(DEAD_LETTERS)[0].annotations["summary"]
    looks.dead_letters(1001 + LETTERS_MAX, T + 21 + LETTERS_S)
    assert book.firing() == []


def test_a_worker_is_stale_when_records_wait_and_none_is_assessed() -> None:
    book = AlertBook(born=T)
    looks = Looks(book)
    for at, assessed, ends in (
        (0.0, {0: 9}, {0: 10, 1: 0}),  # all is assessed, and partition 1 is empty
        (STALE_S * 3, {0: 9}, {0: 20, 1: 0}),  # telemetry has just come again
        (STALE_S * 3 + 1, {0: 9}, {0: 21, 1: 0}),
        (STALE_S * 4 - 1, {0: 9}, {0: 30, 1: 0}),
    ):
        looks.worker(assessed, ends, T + at)
        assert book.firing() == [], at
    looks.worker({0: 9}, {0: 31, 1: 0}, T + STALE_S * 4 + 1)
    [alert] = book.firing(WORKER_STALE)
    assert "(partition 0)" in alert.annotations["summary"]
    looks.worker({0: 12}, {0: 31, 1: 0}, T + STALE_S * 4 + 12)
    assert book.firing() == [], "it moves again"


def test_diagnostics_fire_by_job_and_are_over_with_their_cause() -> None:
    book = AlertBook(born=T)
    looks = Looks(book)
    slow = Diagnosis(name="recovery-slow", job="demo", cause="effect", since=T - 5, saying="44 s")
    looks.diagnoses([slow, Diagnosis(name="probability-stuck")], T)
    [alert] = book.firing()
    assert (alert.labels["job"], alert.starts_at, alert.annotations["description"]) == ("demo", T - 5, "44 s")
    looks.diagnoses([replace(slow, cause=None)], T + 1)
    assert book.firing() == []


def test_the_breaker_fires_with_its_numbers_and_is_over_when_it_is_closed() -> None:
    book = AlertBook(born=T)
    looks = Looks(book)
    looks.breaker([Trip(T, 3, 40, 2, ("n1", "n2", "n3"))], 3600.0, T + 1)
    [alert] = book.firing(BREAKER_TRIPPED)
    assert "3 of 40 nodes out" in alert.annotations["summary"]
    assert "n1, n2, n3" in alert.annotations["description"]
    looks.breaker([], 3600.0, T + 2)
    assert book.firing() == []


def test_the_breaker_is_seen_on_the_decision_log_alone() -> None:
    decided = BreakerFold(PolicySettings(level="migrate", breaker_nodes=1, breaker_share=0.0))
    told = [Tick(at=T)]
    told += [
        Membership(id=f"m{n}", job="demo", node=f"n{n}", at=T, state="running", rank=n, world=6)  # type: ignore[misc]
        for n in range(6)
    ]
    told += [NodeFate(id=f"f{n}", job="demo", node=f"n{n}", at=T + 1, state="failed") for n in range(3)]  # type: ignore[misc]
    for offset, event in enumerate(told):
        decided.take(0, offset, event)
    [trip] = decided.trips()
    assert (trip.outs, trip.bound) == (2, 1)
    decided.take(0, len(told), BreakerReset(id="r", at=T + 2, by="me", why="seen"))
    assert decided.trips() == []


def test_the_breakers_fold_goes_on_where_each_state_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log grows while it is read, and one partition is not carried on."""
    reading = Reading()
    ends = iter([2, 2, 3, 900_000, 900_000, 900_000])  # of partition 0: looked at, judged, and read to
    monkeypatch.setattr(status_reading, "bounds", lambda *_: (0, next(ends)))
    monkeypatch.setattr(status_reading, "read_newest", lambda *at: SAVED if at[-1] == 1 else None)
    monkeypatch.setattr(status_reading, "read_range", lambda _c, _t, _n, start, end: MESSAGES[start:end])
    for number in (0, 1):
        status_reading._decided(None, number, {}, reading, PolicySettings())  # type: ignore[arg-type]
    folded = BreakerFold.of(reading, PolicySettings())
    assert (folded.states[0].now, reading.carried) == (T + 2, {0: True, 1: False})
    assert folded.begin == {0: 3, 1: 5}
    folded.take(1, 5, Tick(at=T + 5))
    assert folded.states[1].now == T + 5


class Message:
    """A tick on the decision log."""

    def __init__(self, offset: int) -> None:
        self.offset = lambda: offset
        self.value = lambda: encode_event(Tick(at=T + offset))
        self.topic, self.partition, self.key = lambda: EVENT, lambda: 0, lambda: b"tick"
        self.timestamp = lambda: (1, T)


MESSAGES = [Message(offset) for offset in range(3)]
SAVED = Snapshot(5, to_bytes(initial_state(PolicySettings())))


def test_records_that_a_state_has_already_are_not_folded_again() -> None:
    decided = BreakerFold(PolicySettings(), begin={0: 5})
    decided.take(0, 4, Tick(at=T))
    assert decided.states == {}
    decided.take(0, 5, Tick(at=T))
    assert decided.states[0].now == T


def test_a_payload_is_alertmanagers_version_4(events: Events) -> None:
    events.take(incident())
    events.take(incident(node="n2"))
    events.take(incident("closed", T + 61.5))
    told = payload(events.book.alerts, "https://docs.example.org/runbooks/", "http://127.0.0.1:8088")
    assert (told["version"], told["status"], told["groupKey"]) == (
        "4",
        "firing",
        '{}:{alertname="ForestallNodeSuspect"}',
    )
    assert told["commonLabels"] == {"alertname": "ForestallNodeSuspect", "severity": "info", "job": "demo"}
    first, second = told["alerts"]
    assert (first["status"], first["startsAt"], first["endsAt"]) == (
        "resolved", "2025-11-24T00:00:00.000Z", "2025-11-24T00:01:01.500Z",
    )  # fmt: skip
    assert second["endsAt"] == NEVER
    assert second["annotations"]["runbook_url"] == "https://docs.example.org/runbooks/node-failing.md"
    assert first["fingerprint"] != second["fingerprint"]
    assert re.fullmatch("[0-9a-f]{16}", first["fingerprint"])
    wanted = {"receiver", "status", "alerts", "groupLabels", "commonLabels", "commonAnnotations", "externalURL"}
    assert wanted | {"version", "groupKey", "truncatedAlerts"} == told.keys()


def test_groups_are_of_one_name_bounded_and_pages_come_first(events: Events) -> None:
    for number in range(ALERTS_MAX + 1):
        events.take(incident(node=f"n{number}"))
    events.book.fire(BREAKER_TRIPPED, T, {})
    found = list(groups(events.book.alerts))
    assert [(one[0].kind, len(one)) for one in found] == [
        (BREAKER_TRIPPED, 1), (NODE_SUSPECT, ALERTS_MAX), (NODE_SUSPECT, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["", "pager", "ftp://x/secret", "http://", "file:///etc/secret"])
def test_a_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(WrongUse) as caught:
        require_url(url)
    assert "secret" not in str(caught.value)


def test_no_more_requests_a_minute_than_are_allowed_and_pauses_grow() -> None:
    now = [0.0]
    receiver = Receiver("http://127.0.0.1:9/hook", 3, lambda: now[0], lambda: T)  # nobody listens there
    pauses = []
    for _ in range(3):
        assert receiver.may_send()
        assert not receiver.send({})
        began = now[0]
        while not receiver.may_send():
            now[0] += 0.5
        pauses.append(now[0] - began)
    assert pauses[:2] == [1.0, 2.0]
    assert now[0] >= 60.0, "three were made, and no more in that minute"
    assert receiver.fates == {"taken": 0, "refused": 0, "away": 3}


@pytest.mark.parametrize(
    ("asked", "pause_s"),
    [("30", 30.0), ("Mon, 24 Nov 2025 00:00:45 GMT", 45.0), ("Sun, 23 Nov 2025 00:00:00 GMT", 1.0), ("soon", 1.0)],
)
def test_a_receiver_that_says_when_is_asked_again_then(asked: str, pause_s: float) -> None:
    now = [0.0]
    with AlertReceiver().serving() as busy:
        busy.status, busy.retry_after = 503, asked
        receiver = Receiver(busy.url, 10, lambda: now[0], lambda: T)
        assert not receiver.send({})
    now[0] = pause_s - 0.01
    assert not receiver.may_send()
    now[0] = pause_s
    assert receiver.may_send()


class Slow(Receiver):
    """Takes everything, each as late as it may."""

    def __init__(self, clock: list[float], asked: Callable[[], None]) -> None:
        super().__init__("http://127.0.0.1:9/hook", 1000, lambda: clock[0], lambda: clock[0])
        self.clock, self.asked, self.taken = clock, asked, 0

    def send(self, payload: Mapping[str, Any]) -> bool:
        self.clock[0] += ANSWER_S
        self.asked()
        self.taken += len(payload["alerts"])
        return True


def test_a_receiver_that_is_slow_makes_the_sender_no_less_alive(tmp_path: Path) -> None:
    clock, ill, count = [T], list[object](), 5 * ALERTS_MAX
    kept = Kept(Events(AlertBook(T)))
    for number in range(count):
        kept.events.take(incident(at=T, node=f"n{number}"))
    slow = Slow(clock, lambda: ill.append(health.ill()))
    fold, now = BreakerFold(PolicySettings()), lambda: clock[0]
    sender = Sender(Alerts(), tmp_path / "own.json", kept, slow, fold, now, now, "http://x")
    health = Health(lambda: clock[0] - sender.turned_at, dict)
    eyes = Eyes(lambda _: ({}, 0, 0), lambda: LogState(False, 0.0), dict, list)
    clock[0] += QUIET_S + 1
    for turn in range(1, 6):
        sender.turn(eyes)
        assert slow.taken == turn * ALERTS_MAX, "one request a turn"
    assert ill == [{}] * 5


@pytest.mark.parametrize(
    ("web", "url"),
    [
        (Web(port=8088), "http://127.0.0.1:8088"),
        (Web(host="::1", port=1), "http://[::1]:1"),
        (Web(host="x.org", port=8443, tls_cert=Path("c"), tls_key=Path("k")), "https://x.org:8443"),
    ],
)
def test_a_person_finds_more_where_the_page_is(web: Web, url: str) -> None:
    assert page_of(web) == url


def test_dead_letters_are_too_many_by_one_threshold() -> None:
    [rule] = [one for one in RULES.read_text().split("- alert: ")[1:] if one.startswith(DEAD_LETTERS.name)]
    assert f"increase(forestall_dead_letters_total[{LETTERS_S // 60}m])) > {LETTERS_MAX}\n" in rule
    [check] = [one for one in CHECKS if one.name == "dead-letters-rise"]
    assert (check.above, check.every) == (LETTERS_MAX, f"{LETTERS_S}s")
    assert f"aggregateWindow(every: {LETTERS_S}s, fn: spread)" in check.flux


def rules() -> dict[str, dict[str, str]]:
    """severity and runbook of each rule, by its name."""
    found = {}
    for text in RULES.read_text().split("- alert: ")[1:]:
        severity = re.search(r"severity: (\w+)", text)
        runbook = re.search(r"runbook_url: docs/runbooks/([a-z-]+)\.md", text)
        assert severity is not None
        assert runbook is not None
        found[text.split("\n")[0]] = {"severity": severity[1], "runbook": runbook[1]}
    return found


def test_each_alert_has_its_rule_its_runbook_and_its_row() -> None:
    assert rules() == {one.name: {"severity": one.severity, "runbook": one.runbook} for one in KINDS}
    told = (ROOT / "docs" / "how-to" / "monitoring.md").read_text()
    for kind in KINDS:
        page = ROOT / "docs" / "runbooks" / f"{kind.runbook}.md"
        assert page.exists(), kind.name
        assert f"| `{kind.name}` | {kind.severity} |" in told
        assert f"../runbooks/{kind.runbook}.md" in told
    assert len(SENT) == len(KINDS) - 1


def promtool(*words: str | Path) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_reads_the_rules() -> None:
    assert "10 rules found" in promtool("check", "rules", RULES)


def test_the_rules_fire_on_what_a_worker_tells_and_on_nothing_else(tmp_path: Path) -> None:
    cases = tmp_path / "rules.test.yml"
    cases.write_text(RULE_CASES.replace("RULES", str(RULES)))
    assert "SUCCESS" in promtool("test", "rules", cases)


RULE_CASES = """
rule_files: [RULES]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - {series: 'forestall_breaker_tripped{partition="0"}', values: "0 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"}
      - {series: 'forestall_lane_state{topic="telemetry.node.v1",partition="0",state="live"}', values: "1x20"}
      - {series: 'forestall_refusals_total{stage="rejected",reason="clock"}', values: "0 0 1x18"}
      - {series: 'forestall_refusals_total{stage="rejected",reason="other"}', values: "0x20"}
      - {series: 'forestall_lag_records{topic="telemetry.node.v1",partition="0"}', values: "5+5x20"}
      - {series: 'forestall_lane_position_records{topic="telemetry.node.v1",partition="0"}', values: "700x20"}
      - {series: 'forestall_lag_records{topic="telemetry.node.v1",partition="1"}', values: "5x20"}
      - {series: 'forestall_lane_position_records{topic="telemetry.node.v1",partition="1"}', values: "700+30x20"}
      - {series: 'forestall_command_unanswered_seconds{partition="0"}', values: "20x20"}
    alert_rule_test:
      - {alertname: ForestallBreakerTripped, eval_time: 30s, exp_alerts: []}
      - alertname: ForestallBreakerTripped
        eval_time: 2m
        exp_alerts:
          - exp_labels: {severity: page}
            exp_annotations:
              summary: The breaker is open, so no node is left any more
              description: Checkpoints go on and lost ranks are restored. It stays open until somebody has looked.
              runbook_url: docs/runbooks/breaker-tripped.md
      - alertname: ForestallCommandNotCarriedOut
        eval_time: 3m
        exp_alerts:
          - exp_labels: {severity: ticket, stage: rejected, reason: clock}
            exp_annotations:
              summary: "Agents have not carried commands out: rejected, clock"
              description: The reason in its own words stands on control.event.v1 and in forestall status.
              runbook_url: docs/runbooks/command-refused.md
      - alertname: ForestallWorkerStale
        eval_time: 8m
        exp_alerts:
          - exp_labels: {severity: page, topic: telemetry.node.v1, partition: "0"}
            exp_annotations:
              summary: Telemetry is not assessed, so nothing is foreseen
              description: No worker runs, or the one that holds the partition is stuck.
              runbook_url: docs/runbooks/worker-stale.md
      - {alertname: ForestallCommandUnanswered, eval_time: 5m, exp_alerts: []}
"""
