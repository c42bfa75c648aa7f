"""What ``forestall up`` decides without starting anything: its plan, its parts, its readiness, its sums."""

from __future__ import annotations

import gzip
import re
import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import WrongUse
from connectors.signing import KeyFolder
from infra.cli import up
from infra.observer.account import account
from infra.observer.record import LogRecord
from infra.observer.view import View
from infra.settings import Settings, load
from infra.up.narrator import sentence, worst_of
from infra.up.parts import cluster_agents, job_file, producers, worker
from infra.up.plan import Plan, plan_of
from infra.up.progress import lack, status
from infra.up.session import has_read
from infra.up.summary import Baseline, commands, frames, job_of
from infra.up.tallies import Tallies
from models.job_account import account_of
from models.ledger import ledger
from models.policy_settings import PolicySettings
from models.records import Cause, Counts, Incident, Membership
from models.young_baseline import acting_cost_s, own_start_s
from tests.observed_story import ALARM_S, BAD, BEGAN, JOB, SPARE, assessment, command, outcome, rescue

KEYS = KeyFolder.at(Path("/run/keys"))


def plan(source: str = "fleet,host", **given: Any) -> Plan:
    wanted: dict[str, Any] = {"nodes": None, "speed": None, "for_s": None, "with_job": True, "run": None}
    return plan_of(source, **(wanted | given))


def folded(records: Iterable[LogRecord]) -> View:
    view = View()
    for record in records:
        view.fold(record)
    return view


@pytest.fixture(scope="module")
def view() -> View:
    return folded(rescue())


# -- the plan


def test_by_default_a_fleet_and_this_machine_with_the_job() -> None:
    found = plan()
    assert found.sources == ("fleet", "host")
    assert len(found.names) == 16
    assert found.ranks == {name: rank for rank, name in enumerate(found.names[:4])}
    assert found.spares == found.names[4:6]
    assert found.title == "a simulated fleet of 16 nodes and this machine"


def test_the_job_needs_a_fleet() -> None:
    assert not plan("host").with_job
    assert plan("host").ranks == {}
    assert plan("fleet", with_job=False).spares == ()


def folder_of(path: Path) -> Path:
    for half in ("train", "test"):
        with gzip.open(path / f"m1.{half}.csv.gz", "wt") as file:
            file.write("t,a\n0,1.0\n1,2.0\n")
    (path / "dataset.toml").write_text('name = "tiny"\ninterval_s = 60\n')
    return path


def test_a_folder_is_replayed_without_the_job(tmp_path: Path) -> None:
    found = plan(f"replay:{folder_of(tmp_path)}")
    assert (found.sources, found.replay, found.speed, found.with_job) == (("replay",), tmp_path, 600.0, False)


@pytest.mark.parametrize(
    ("source", "given", "named"),
    [
        ("moon", {}, "moon"),
        ("fleet,moon", {}, "'moon'"),
        ("", {}, "''"),
        ("replay:/no/such/folder", {}, "/no/such/folder"),
        ("fleet", {"nodes": 5}, "--nodes 5"),
        ("fleet", {"speed": 2.0}, "--speed"),
        ("host", {"nodes": 16}, "--nodes"),
    ],
)
def test_what_cannot_run_is_named_before_anything_starts(source: str, given: dict[str, Any], named: str) -> None:
    with pytest.raises(WrongUse, match=re.escape(named)):
        plan(source, **given)


def test_a_folder_that_cannot_be_replayed_is_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=str(tmp_path)):
        plan(f"replay:{tmp_path}")


def options(*words: str) -> Namespace:
    parser = ArgumentParser()
    up.configure(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("words", [("--for", "soon"), ("--nodes", "many"), ("--nodes", "0"), ("--speed", "-1")])
def test_a_wrong_value_is_told_with_an_example(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        options(*words)
    assert left.value.code == 2
    assert words[1] in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60.0), ("1.5m", 90.0), ("250ms", 0.25), ("30", 30.0)])
def test_durations(text: str, seconds: float) -> None:
    assert options("--for", text).for_s == pytest.approx(seconds)


def test_the_demonstration_may_migrate_unless_somebody_set_the_level() -> None:
    assert up.demonstration(load(None)).policy.level == "migrate"
    assert up.demonstration(load(None, ["policy.theta=0.6"])).policy.level == "migrate"
    assert up.demonstration(load(None, ["policy.theta=0.6"])).policy.theta == pytest.approx(0.6)
    assert up.demonstration(load(None, ["policy.level=observe"])).policy.level == "observe"
    assert up.demonstration(load(None)).policy.migration_s == 5.0
    assert up.demonstration(load(None, ["policy.migration_s=9", "policy.level=observe"])).policy.migration_s == 9.0
    assert up.demonstration(load(None, ["policy.level=observe"])).policy.migration_s == 5.0


# -- the parts


def words_of(settings: Settings | None = None, **given: Any) -> list[str]:
    replays = plan(**given).replay is not None
    return list(worker(settings or Settings(), "127.0.0.1:9", KEYS, brings_ticks=replays).command)


def test_a_part_gets_the_brokers_and_every_setting_that_differs() -> None:
    words = words_of(load(None, ["policy.theta=0.6", "incident.open_frames=4"]))
    assert words[words.index("--brokers") + 1] == "127.0.0.1:9"
    assert {"policy.theta=0.6", "incident.open_frames=4"} <= set(words)
    assert {"signing.key=/run/keys/signing.key", "signing.keyring=/run/keys/keyring.json"} <= set(words)


def test_only_a_replay_brings_its_own_ticks(tmp_path: Path) -> None:
    assert "worker.ticks=source" not in words_of()
    assert "worker.ticks=source" in words_of(source=f"replay:{folder_of(tmp_path)}")


def test_a_producer_that_died_does_not_send_the_past_again() -> None:
    told: list[tuple[str, str]] = []
    fleet, host = producers(plan(), Settings(), "b:1", lambda *said: told.append(said), with_history=True)
    assert "--no-history" not in fleet.command
    assert fleet.again is not None
    assert "--no-history" in fleet.again
    assert fleet.command[fleet.command.index("--nodes") + 1] == "16"
    assert "--nodes" not in host.command
    assert fleet.on_line is not None
    fleet.on_line("hello")
    assert told == [("produce-fleet", "hello")]


def test_a_run_that_goes_on_sends_no_past() -> None:
    (fleet,) = producers(plan("fleet"), Settings(), "b:1", lambda *_: None, with_history=False)
    assert "--no-history" in fleet.command


def test_an_agent_for_each_rank_and_each_spare(tmp_path: Path) -> None:
    agents = cluster_agents(plan(), Settings(), "b:1", tmp_path, KEYS)
    assert [agent.name for agent in agents] == [f"agent-n0{number}" for number in range(6)]
    assert [agent.command[-1] for agent in agents] == ["0", "1", "2", "3", "--spare", "--spare"]
    assert len({agent.command[agent.command.index("--directory") + 1] for agent in agents}) == 6
    assert all("signing.keyring=/run/keys/keyring.json" in agent.command for agent in agents)
    assert not any("signing.key=" in word for agent in agents for word in agent.command), "no agent needs to sign"
    assert cluster_agents(plan(with_job=False), Settings(), "b:1", tmp_path, KEYS) == []


def test_the_job_file_says_what_may_run(tmp_path: Path) -> None:
    odd = tmp_path / 'a "quoted" folder'
    odd.mkdir()
    job = tomllib.loads(job_file(odd).read_text())["jobs"]["demo"]
    assert job["world"] == 4
    assert str(odd / "job") in job["command"]


# -- readiness


def told(*lines: tuple[str, str], names: tuple[str, ...] = ("produce-fleet",)) -> Tallies:
    tallies = Tallies(names)
    for name, line in lines:
        tallies.line(name, line)
    return tallies


SENT = ("produce-fleet", '{"event": "history-sent", "frames": 48000}')


def test_ready_when_the_past_is_assessed_and_every_rank_trains(view: View) -> None:
    story_plan = Plan(("fleet",), ("n01", "n02", BAD, "n04", SPARE, "n06"), True)
    found = lack(view, told(SENT), story_plan, Baseline())
    assert found.missing is None
    assert all(found.done.values())


def test_what_is_missing_is_told_in_order() -> None:
    nothing = lack(View(), told(), plan(), Baseline())
    assert nothing.missing == "the worker has not begun to read"
    counts = folded(record for record in rescue(1) if record.key == b"counts")
    assert lack(counts, told(), plan(), Baseline()).missing == "the past is still being sent"
    few = told(("produce-fleet", '{"event": "history-sent", "frames": 90000}'))
    assert lack(counts, few, plan(), Baseline()).missing == "48,016 of 90,000 frames of the past are assessed"
    assert "0 of 4 ranks train" in str(lack(counts, told(SENT), plan(), Baseline()).missing)


def test_what_was_counted_before_this_run_does_not_count(view: View) -> None:
    before = Baseline.of_counts([Counts(ts=BEGAN, cause=Cause(0, 0), history=48_000, assessed=100)])
    assert lack(view, told(SENT), plan("host"), before).missing is not None
    assert frames(view, told(), before)["frames_assessed"] == 860


def test_every_partition_must_be_read_to_its_end() -> None:
    view = View()
    view.counts = {0: Counts(ts=BEGAN, cause=Cause(0, 9)), 1: Counts(ts=BEGAN, cause=Cause(1, 19))}
    assert has_read(view, {0: 10, 1: 20})
    assert not has_read(view, {0: 10, 1: 21})
    assert not has_read(view, {0: 10, 1: 20, 2: 1})
    assert has_read(view, {0: 10, 1: 20, 2: 0})


# -- the sums

END = (
    "produce-fleet",
    '{"produced": 960, "history": 48000, "restored": 0, "sent": 48960, "spooled": 0, "dropped": {}, "waiting": 0}',
)


def test_nothing_is_lost_when_everything_is_accounted_for(view: View) -> None:
    found = frames(view, told(END), Baseline())
    assert found["lost"] == 0
    assert (found["frames_produced"], found["frames_assessed"]) == (960, 960)
    assert found["history"] == {"produced": 48_000, "assessed": 48_000}


@pytest.mark.parametrize("fate", ["late", "duplicates", "dead_letters"])
def test_a_frame_that_is_counted_elsewhere_is_not_lost(fate: str) -> None:
    view = View()
    counts = Counts(ts=BEGAN, cause=Cause(0, 1), assessed=957, history=48_000)
    view.counts = {0: replace(counts, **{fate: 3})}
    found = frames(view, told(END), Baseline())
    assert (found["lost"], found[fate]) == (0, 3)


def test_what_never_came_is_lost_and_why_it_was_not_sent_is_told() -> None:
    view = View()
    view.counts = {0: Counts(ts=BEGAN, cause=Cause(0, 1), assessed=950, history=48_000)}
    end = '{"produced": 960, "history": 48000, "spooled": 7, "dropped": {"oversize": 3}}'
    found = frames(view, told(("produce-fleet", end)), Baseline())
    assert found["lost"] == 10
    assert found["not_sent"] == {"oversize": 3, "spooled": 7}


def test_a_frame_between_past_and_present_is_not_lost() -> None:
    view = View()
    view.counts = {0: Counts(ts=BEGAN, cause=Cause(0, 1), assessed=959, history=48_001)}
    assert frames(view, told(END), Baseline())["lost"] == 0


def test_tallies_take_json_lines_and_leave_the_rest() -> None:
    names = ("produce-fleet", "produce-host")
    tallies = told(("produce-host", "Traceback"), ("produce-host", "[1]"), SENT, names=names)
    assert tallies.history_sent() is None
    tallies.line("produce-host", '{"event": "history-sent", "frames": 0}')
    assert tallies.history_sent() == 48_000
    assert not tallies.live("produce-host")
    tallies.line("produce-host", '{"event": "live", "history": 0}')
    assert tallies.live("produce-host")
    assert tallies.missing == ["produce-fleet", "produce-host"]
    tallies.line(*END)
    assert tallies.missing == ["produce-host"]


def test_commands_are_told_in_order_with_their_reasons(view: View) -> None:
    found = commands(view)
    assert [one["action"] for one in found] == ["CHECKPOINT", "CHECKPOINT", "MIGRATE", "RESTORE"]
    assert {"id", "action", "job", "node", "reason"} <= set(found[0])
    assert found[2]["node"] == BAD
    assert found[2]["reason"]["rule"]


def test_how_far_the_job_came(view: View) -> None:
    assert job_of(view.jobs[JOB]) == {"steps": 440, "restarts": 1, "resumed_from_step": 360, "lost_steps": 32}


def test_the_account_adds_up_and_sets_cost_against_estimate(view: View) -> None:
    found = account(view.jobs[JOB].events, JOB, PolicySettings())
    assert found is not None
    assert sum(found["buckets"].values()) == pytest.approx(found["wall_s"], rel=1e-9)
    (lost,) = found["counterfactual"]
    assert lost["node"] == BAD
    assert BAD in found["saying"]
    assert f"{found['cost_s']:.1f} s" in found["saying"]
    assert 0 < found["cost_s"] < lost["total"]["high_s"]


def test_the_jobs_own_start_is_no_cost_of_acting() -> None:
    joined = Membership(id="m", job=JOB, node="n01", at=BEGAN - 8, state="running", rank=0, world=4)
    told_events = [joined, *folded(rescue(30)).jobs[JOB].events]
    folds = account_of(told_events, JOB)
    assert own_start_s(folds) == pytest.approx(8.0)
    spent = ledger(told_events, JOB)
    assert spent.buckets["restart"] == pytest.approx(8.0)
    assert acting_cost_s(folds) == pytest.approx(spent.buckets["checkpoint"] + spent.buckets["recomputed"])


def test_a_job_of_which_nothing_is_known_has_no_account() -> None:
    assert account([], JOB, PolicySettings()) is None


# -- what a person is told


def incident(**changes: Any) -> Incident:
    opened = Incident(
        id="i",
        job=JOB,
        node=BAD,
        at=BEGAN,
        incident="i",
        state="opened",
        probability=0.93,
        deviation=11.3,
        horizon_s=60,
    )
    return replace(opened, **changes)


def test_an_incident_is_told_with_the_metrics_behind_it() -> None:
    said = sentence(incident(), lambda _: assessment(BAD, 2, BEGAN, int(ALARM_S)))
    assert said is not None
    assert said[0] == BAD
    assert "P 0.93 within 60 s" in said[1]
    assert "gpu0.temp_c z +" in said[1]
    assert "begins to fail" in said[1]


def test_a_node_that_runs_nothing_is_only_suspected() -> None:
    said = sentence(incident(job=None), lambda _: None)
    assert said == (BAD, "is suspected, and runs no job: P 0.93 within 60 s, deviation 11.3 σ")


def test_the_look_behind_an_incident_is_the_newest_assessment(view: View) -> None:
    latest = worst_of(view)(BAD)
    assert latest is not None
    assert latest.ts == BEGAN + 59
    assert worst_of(view)("n99") is None


def test_the_past_and_what_only_goes_on_are_not_told() -> None:
    assert sentence(incident(history=True), lambda _: None) is None
    assert sentence(incident(state="changed"), lambda _: None) is None


def test_commands_and_outcomes_are_told_in_a_line_each() -> None:
    migrate = command("MIGRATE", BEGAN, 3, "i", BAD, (2,), SPARE, 360)
    told_lines = [
        sentence(migrate, lambda _: None),
        sentence(outcome(migrate, BAD, "done", BEGAN, step=364, seconds=0.5), lambda _: None),
        sentence(outcome(migrate, BAD, "failed", BEGAN, reason="no such rank"), lambda _: None),
        sentence(outcome(migrate, BAD, "received", BEGAN), lambda _: None),
        sentence(incident(state="closed"), lambda _: None),
    ]
    assert told_lines[0] is not None
    assert told_lines[0][1].startswith(f"MIGRATE rank 2 away from {BAD} to {SPARE} — ")
    assert told_lines[1] == (BAD, "its process is killed, last step 364 after 0.50 s")
    assert told_lines[2] == (BAD, "MIGRATE failed: no such rank")
    assert told_lines[3] is None
    assert told_lines[4] is not None
    assert told_lines[4][1] == "its incident is closed: P 0.93"


def test_a_durable_rank_is_told_with_its_step() -> None:
    order = command("CHECKPOINT", BEGAN, 1, "i")
    said = sentence(outcome(order, "n01", "durable", BEGAN, 0, step=360, seconds=0.41, bytes=2048), lambda _: None)
    assert said == ("rank 0", "on n01: step 360 is durable after 0.41 s, 2 KiB")


def test_the_status_is_one_line(view: View) -> None:
    assert status(view, JOB) == "960 frames assessed, p50 4 ms, p99 4 ms; job demo at step 440, loss 0.4406"
    assert status(View(), JOB) == "0 frames assessed"


def test_what_the_producers_are_asked_they_understand(tmp_path: Path) -> None:
    from infra.cli import options as common
    from infra.cli import produce

    for found in (plan(), plan(f"replay:{folder_of(tmp_path)}", speed=60.0)):
        for part in producers(found, load(None, ["policy.theta=0.6"]), "b:1", lambda *_: None, with_history=True):
            parser = ArgumentParser()
            produce.configure(parser)
            common.add_common(parser)
            for line in (part.command, part.again or ()):
                asked = parser.parse_args(line[line.index("produce") + 1 :])
                assert (asked.events, asked.wait_for_start, asked.json) == (True, True, True)
                assert asked.folder == found.replay
