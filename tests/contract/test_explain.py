"""``forestall explain`` over a small log on the real broker: what it says, and whether the log gives it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from explained_log import HOT, INCIDENTS, POLICY, START, ExplainedLog, altered, explained_log, fold_of, telemetry_batch

from connectors.errors import WrongUse
from connectors.kafka import topics
from connectors.kafka.log import reader
from connectors.kafka.put import put
from connectors.kafka.snapshots import Snapshot, slices
from infra.broker.embedded import Broker
from infra.cli.main import main
from infra.explain.document import explanation
from infra.explain.lines import lines
from infra.kept_settings import keep_settings, settings_in_use
from infra.run_log import RunLog
from infra.settings import load
from infra.web import looking
from infra.wiring import incident_settings, policy_settings
from models.features import FEATURE_NAMES
from models.records import Command

pytestmark = pytest.mark.broker

KEYS = {
    *("id", "kind", "contributions", "logit_difference", "transitions", "rule", "numbers", "alternatives"),
    *("evidence", "replay"),
}


@cache
def made() -> ExplainedLog:
    return explained_log()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def written(broker: Broker, folder: Path) -> ExplainedLog:
    """The log as it was made; tests that alter it write their own and come after those that do not."""
    made().write(broker, folder)
    return made()


def explain(broker: Broker, name: str, *, replay: bool = True) -> dict[str, Any]:
    with reader(broker.bootstrap) as consumer:
        return explanation(RunLog(None, broker.bootstrap, consumer), name, replay=replay)


def test_a_migration_is_explained_and_comes_out_of_the_log_again(broker: Broker, written: ExplainedLog) -> None:
    command = written.command("MIGRATE")
    told = explain(broker, command.id)
    assert told.keys() >= KEYS
    assert (told["id"], told["kind"], told["action"], told["node"]) == (command.id, "command", "MIGRATE", "n0")
    assert told["replay"]["equal"] is True
    compared = [one["what"] for one in told["replay"]["compared"]]
    assert compared == ["assessment", "incident opened", "command MIGRATE"]
    assert (told["rule"], told["numbers"]) == (command.reason.rule, dict(command.reason.numbers))
    assert told["evidence"] == list(command.reason.evidence)
    assert told["missing"] == []
    json.dumps(told, allow_nan=False)


def test_what_moved_it_is_every_feature_and_sums(broker: Broker, written: ExplainedLog) -> None:
    told = explain(broker, written.command("MIGRATE").id, replay=False)
    assert told["replay"] is None
    given = told["contributions"]
    assert {one["feature"] for one in given} == set(FEATURE_NAMES)
    assert [abs(one["contribution"]) for one in given] == sorted((abs(c["contribution"]) for c in given), reverse=True)
    assert sum(one["contribution"] for one in given) == pytest.approx(told["logit_difference"], abs=1e-9)
    assert sum(one["contribution"] for one in told["metrics"]) == pytest.approx(told["logit_difference"], abs=1e-9)
    [assessed] = [one for one in written.assessed() if one.cause.offset == told["subject"]["offset"]]
    assert told["probability"] == pytest.approx(assessed.probability, abs=1e-6)
    assert told["baseline"]["of"] == "node"
    assert told["baseline"]["frames"] >= 30
    assert told["baseline"]["probability"] < 0.05
    assert told["model"] == written.model.digest


def test_the_page_leaves_telemetry_that_is_too_long_and_explains_the_rest(
    broker: Broker, written: ExplainedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = written.command("MIGRATE")
    ask = looking._explanation(load(None, []), broker.bootstrap)
    assert ask(command.id)["missing"] == []
    monkeypatch.setattr(looking, "TELEMETRY_MAX", 10)
    told = ask(command.id)
    assert [f"`forestall explain {command.id}`" in one for one in told["missing"]] == [True]
    assert (told["rule"], told["contributions"]) == (command.reason.rule, [])
    assert told["alternatives"]


def test_a_person_reads_the_metric_and_not_the_group(broker: Broker, written: ExplainedLog) -> None:
    told = explain(broker, written.command("MIGRATE").id, replay=False)
    assert told["contributions"][0]["metric"] == "gpu0.temp_c"
    hot = told["metrics"][0]
    assert (hot["metric"], hot["unit"]) == ("gpu0.temp_c", "celsius")
    assert hot["value"] == pytest.approx(90.0, abs=6.0)
    assert hot["usual"] == pytest.approx(65.0, abs=1.0)
    assert hot["extreme"] >= hot["value"]
    assert hot["z"] > 5
    found = told["transitions"]
    assert [one["p"] for one in found] == sorted(one["p"] for one in found)
    [first] = [one for one in found if one["at"] == START + HOT.start and one["metric"] == "gpu0.temp_c"]
    assert first["to"] == 9
    assert first["to_range"][1] is None
    assert 65.0 < first["to_range"][0] < 90.0


def test_what_others_would_have_done(broker: Broker, written: ExplainedLog) -> None:
    told = explain(broker, written.command("MIGRATE").id, replay=False)
    would = {one["policy"]: one for one in told["alternatives"] if one["kind"] == "migration"}
    assert would.keys() == {"paper", "never"}
    assert (would["never"]["seconds"], would["never"]["would"]) == (None, "no MIGRATE within 48 s"), "the log ends"
    checkpoint = {one["policy"] for one in told["alternatives"] if one["kind"] == "checkpoint"}
    assert checkpoint == {"young", "daly", "paper", "lazy", "aupy", "overhead-bounded"}


def test_a_regular_checkpoint_is_put_down_to_the_most_suspect_node(broker: Broker, written: ExplainedLog) -> None:
    command = written.command("CHECKPOINT", 1, incident=False)
    told = explain(broker, command.id)
    assert told["replay"]["equal"] is True
    newest = {one.node: one for one in written.assessed() if one.ts <= command.issued_at}
    highest = max(newest.values(), key=lambda one: one.probability or 0.0)
    assert told["subject"]["node"] == highest.node
    assert told["subject"]["offset"] == highest.cause.offset
    assert "no incident is named" in told["subject"]["why"]
    seconds = {one["policy"]: one["seconds"] for one in told["alternatives"]}
    assert seconds["never"] == 0.0, "who never leaves a node checkpoints just so"
    assert seconds["daly"] is not None
    assert seconds["overhead-bounded"] != 0.0


@pytest.mark.parametrize(("nth", "state"), [(0, "opened"), (1, "changed"), (2, "closed")])
def test_an_incident_is_explained_by_each_of_its_records(
    broker: Broker, written: ExplainedLog, nth: int, state: str
) -> None:
    record = written.incidents()[nth]
    told = explain(broker, record.incident if nth == 0 else record.id)
    assert (told["kind"], told["incident"], told["node"]) == ("incident", record.incident, "n0")
    assert told["rule"].startswith(state)
    assert told["numbers"]["P"] == record.probability
    assert told["replay"]["equal"] is True
    assert len(told["replay"]["compared"]) == 2 + nth
    would = {one["policy"]: one["would"] for one in told["alternatives"]}
    assert would["never"].startswith("CHECKPOINT at once")
    assert "MIGRATE" not in would["never"]


def test_who_gives_no_id_of_the_log_is_told_which_there_are(broker: Broker, written: ExplainedLog) -> None:
    command = written.command("MIGRATE")
    assert explain(broker, command.id[:6], replay=False)["id"] == command.id
    with pytest.raises(WrongUse, match=rf"{command.id} \(command\)"):
        explain(broker, command.id[:-1] + "x", replay=False)
    with pytest.raises(WrongUse, match="there are 8, among them"):
        explain(broker, "?", replay=False)


def test_a_person_is_told_in_twenty_lines(
    broker: Broker, written: ExplainedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["explain", written.command("MIGRATE").id, "--replay", "--brokers", broker.bootstrap])
    told = capsys.readouterr().out.splitlines()
    assert code == 0
    assert 10 < len(told) <= 20
    assert told[0].startswith("MIGRATE n0 → s0 · job gpt · ")
    assert any(line.startswith("replay     equal") for line in told)
    assert any("gpu0.temp_c" in line and "celsius, usual 65" in line for line in told)


def test_the_settings_that_a_worker_keeps_are_those_in_use_from_then_on(broker: Broker, written: ExplainedLog) -> None:
    settings = load(None, ["policy.level=migrate", "incident.open_frames=9"], broker.bootstrap)
    keep_settings(settings, broker.bootstrap)
    keep_settings(settings, broker.bootstrap)
    with reader(broker.bootstrap) as consumer:
        log = RunLog(None, broker.bootstrap, consumer)
        last, first = settings_in_use(log), settings_in_use(log, 2.0)
    assert (last.policy, last.incidents) == (policy_settings(settings), incident_settings(settings))
    assert (first.policy, first.incidents, first.model) == (POLICY, INCIDENTS, written.model.digest)


def rewritten(broker: Broker, folder: Path, change: Callable[[ExplainedLog], ExplainedLog]) -> dict[str, Any]:
    """The explanation of the migration on a log that was changed."""
    log = change(made())
    log.write(broker, folder)
    return explain(broker, made().command("MIGRATE").id)


@pytest.mark.parametrize(("step", "add"), [(HOT.start + 1, 0.5), (100, 2.0)])
def test_one_altered_frame_and_the_log_is_not_what_it_was(broker: Broker, folder: Path, step: int, add: float) -> None:
    told = rewritten(broker, folder, lambda log: altered(log, step, add))
    assert told["replay"]["equal"] is False
    wrong = {one["what"] for one in told["replay"]["compared"] if not one["equal"]}
    assert wrong >= {"assessment"}
    assert "command MIGRATE" not in wrong, "that follows from the decision log, which nobody altered"
    assert told["replay"]["differs"]
    text = "\n".join(lines(told))
    assert "NOT EQUAL" in text


def _with_another_reason(log: ExplainedLog) -> ExplainedLog:
    place = next(at for at, raw in enumerate(log.commands) if b'"MIGRATE"' in raw)
    raws = list(log.commands)
    raws[place] = raws[place].replace(b'"free_spares":2.0', b'"free_spares":7.0')
    assert raws != log.commands
    return replace(log, commands=raws)


def test_an_altered_command_is_told_by_its_field(
    broker: Broker, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = rewritten(broker, folder, _with_another_reason)
    assert told["replay"]["equal"] is False
    [words] = told["replay"]["differs"]
    assert "reason.numbers.free_spares is 7.0 on the log, 2.0 recomputed" in words
    command: Command = made().command("MIGRATE")
    assert main(["explain", command.id, "--replay", "--brokers", broker.bootstrap, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["replay"]["equal"] is False


def test_other_settings_than_the_workers_give_something_else(broker: Broker, folder: Path) -> None:
    other = {**asdict(POLICY), "migration_s": 7.0}
    told = rewritten(broker, folder, lambda log: replace(log, told=replace(log.told, policy=other)))
    assert told["replay"]["equal"] is False
    assert any("numbers.M is 5.0 on the log, 7.0 recomputed" in words for words in told["replay"]["differs"])


def test_a_log_that_tells_no_settings_explains_nothing_and_says_why(broker: Broker, folder: Path) -> None:
    with pytest.raises(WrongUse, match="no worker has told"):
        rewritten(broker, folder, lambda log: replace(log, told=None))


def cut(broker: Broker, topic: str, before: int) -> None:
    """Have the broker delete what lies before an offset, as retention does."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    [done] = admin.delete_records([TopicPartition(topic, 0, before)]).values()
    done.result(30)


def test_what_retention_has_taken_is_told_and_nothing_is_made_up(broker: Broker, folder: Path) -> None:
    """Unless a snapshot from before the frame stands in for it."""
    log = made()
    log.write(broker, folder)
    cut(broker, topics.TELEMETRY, 300)
    command = log.command("MIGRATE")
    told = explain(broker, command.id)
    assert told["replay"]["equal"] is None
    assert "begins at offset 300" in told["missing"][0]
    assert (told["contributions"], told["logit_difference"], told["transitions"]) == ([], None, [])
    assert told["alternatives"], "the decision log is whole"
    assert "cannot be told" in "\n".join(lines(told))
    fold = fold_of(log)
    fold.apply(telemetry_batch(log, 0, 500))
    for key, value in slices(topics.TELEMETRY, 0, Snapshot(500, fold.snapshot()), 0):
        put(broker.bootstrap, topics.SNAPSHOT, key, value)
    told = explain(broker, command.id)
    assert told["replay"]["equal"] is True
    assert told["metrics"][0]["metric"] == "gpu0.temp_c"
    cut(broker, topics.TELEMETRY, 900)
    told = explain(broker, command.id)
    assert told["replay"]["equal"] is None
    assert "878 is not there (any more)" in told["missing"][0]


def test_a_decision_log_that_begins_later_says_so_too(broker: Broker, folder: Path) -> None:
    log = made()
    log.write(broker, folder)
    cut(broker, topics.EVENT, 40)
    told = explain(broker, log.command("MIGRATE").id)
    assert told["replay"]["equal"] is None
    assert "control.event.v1/0 begins at offset 40" in told["missing"][0]
    assert told["alternatives"] == []
    assert told["metrics"][0]["metric"] == "gpu0.temp_c", "the telemetry is whole"
