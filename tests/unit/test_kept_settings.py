"""What workers decided with, as it is told on the inventory and read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from test_owner import Copying

from connectors.artefacts import load_artefact, shipped_artefact
from connectors.codecs.records import decode_inventory, encode_inventory
from connectors.errors import WrongUse
from connectors.kafka import topics
from infra import kept_settings
from infra.kept_settings import keep_settings, kept, policy_in_use, settings_in_use, settings_key
from infra.models_in_use import ModelsInUse
from infra.observer.record import LogRecord
from infra.observer.view import View
from infra.settings import load
from infra.up.narrator import sentence
from infra.wiring import incident_settings, policy_settings
from models.incident import IncidentSettings
from models.policy_settings import PolicySettings
from models.records import InventoryBreaker, InventorySettings

T = 1_763_942_400.0


def told(at: float = T, model: str = "m", **policy: Any) -> InventorySettings:
    settings = asdict(PolicySettings(**policy))
    return InventorySettings(at=at, policy=settings, incident=asdict(IncidentSettings()), model=model)


class MemoryMessage:
    def __init__(self, value: bytes | None) -> None:
        self._value = value

    def value(self) -> bytes | None:
        return self._value


class MemoryLog:
    """An inventory of one partition."""

    def __init__(self, *values: bytes | None) -> None:
        self._values = values

    def partitions(self, topic: str) -> range:
        assert topic == topics.INVENTORY
        return range(1)

    def records(self, topic: str, partition: int) -> Iterator[MemoryMessage]:
        assert (topic, partition) == (topics.INVENTORY, 0)
        yield from map(MemoryMessage, self._values)


def in_use(*values: Any, at: float | None = None) -> str:
    raws = [value if value is None or isinstance(value, bytes) else encode_inventory(value) for value in values]
    return settings_in_use(MemoryLog(*raws), at).model  # type: ignore[arg-type]


def test_all_that_a_worker_decides_with_is_told_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    puts: list[tuple[str, str, bytes, bytes]] = []
    monkeypatch.setattr(kept_settings, "put", lambda *row: puts.append(row))
    assignments = ["policy.level=migrate", "policy.theta=0.25", "incident.open_frames=7", "brakes.warm_up_s=5"]
    settings = load(None, [*assignments, "predictor.artefact=eq1"])
    keep_settings(settings, "kafka:9092")
    [(brokers, topic, key, raw)] = puts
    assert (brokers, topic) == ("kafka:9092", topics.INVENTORY)
    read = decode_inventory(raw)
    assert isinstance(read, InventorySettings)
    assert key == settings_key(read)
    found = kept(read)
    assert found.policy == policy_settings(settings)
    assert found.incidents == incident_settings(settings)
    assert (found.policy.theta, found.incidents.open_frames, found.policy.warm_up_s) == (0.25, 7, 5)
    assert found.model == load_artefact(shipped_artefact("eq1")).digest


def test_settings_that_are_taken_up_again_leave_the_word_of_their_first_time() -> None:
    """First, second, first again: compaction keeps the newest of each key, and that is all three."""
    compacted = {settings_key(one): one for one in (told(10.0, "first"), told(20.0, "second"), told(30.0, "first"))}
    assert [in_use(*compacted.values(), at=at) for at in (15.0, 25.0, 35.0)] == ["first", "second", "first"]


def test_each_settings_and_each_start_have_a_key() -> None:
    assert settings_key(told(at=1.0)) == settings_key(told(at=1.0)) != settings_key(told(at=2.0))
    others = [told(model="other"), told(theta=0.4), replace(told(), incident={**told().incident, "open_frames": 4})]
    assert len({settings_key(one) for one in (told(), *others)}) == 4
    assert settings_key(told()).startswith(b"settings/")


@pytest.mark.parametrize(
    ("at", "model"), [(None, "third"), (25.0, "second"), (20.0, "second"), (19.0, "first"), (5.0, "first")]
)
def test_the_newest_that_was_told_before_counts(at: float | None, model: str) -> None:
    """Before the first there is only the first."""
    records = [told(30.0, "third"), told(10.0, "first"), told(20.0, "second")]
    assert in_use(*records, at=at) == model


def test_what_is_no_settings_is_passed_over() -> None:
    other = InventoryBreaker(at=T + 9, by="ann", why="looked")
    assert in_use(b"nonsense", None, other, told(model="mine")) == "mine"


@pytest.mark.parametrize("spoken", [True, False])
def test_ledger_page_and_sink_count_with_what_workers_told(monkeypatch: pytest.MonkeyPatch, spoken: bool) -> None:
    log = MemoryLog(*([encode_inventory(told(checkpoint="paper"))] if spoken else []))
    monkeypatch.setattr(kept_settings, "reader", lambda brokers: nullcontext())
    monkeypatch.setattr(kept_settings, "RunLog", lambda run, brokers, consumer: log)
    own = load(None, ["policy.checkpoint=daly"])
    assert policy_in_use(own, "kafka:9092").checkpoint == ("paper" if spoken else "daly")


@pytest.mark.parametrize(
    "place", ["infra/cli/web.py", "infra/sink/wiring.py", "infra/cli/ledger.py", "infra/shadow_policies.py"]
)
def test_whoever_counts_savings_asks_for_the_policy_in_use(place: str) -> None:
    assert "policy_in_use(settings, " in (Path(__file__).parents[2] / place).read_text()


def test_a_log_without_any_says_what_to_do() -> None:
    with pytest.raises(WrongUse, match="start a worker of this one"):
        in_use(b"nonsense")


def test_what_a_newer_worker_tells_beside_is_let_through_and_what_an_older_lacks_is_as_by_default() -> None:
    policy = {name: value for name, value in told(theta=0.4).policy.items() if name != "eta"}
    found = kept(replace(told(), policy={**policy, "of_a_later_build": 1}))
    assert found.policy == PolicySettings(theta=0.4)


def test_the_owner_copies_it_nowhere_and_it_is_no_dead_letter() -> None:
    copying = Copying()
    copying.inventory.put(told())
    assert copying.turn() == []


def test_who_looks_at_the_topics_has_nothing_to_say_of_it() -> None:
    view = View()
    seen = view.fold(LogRecord(topics.INVENTORY, 0, 0, settings_key(told()), encode_inventory(told()), T))
    assert not view.jobs
    assert not view.unreadable
    assert seen is None or sentence(seen, lambda _: None) is None


def test_a_model_is_found_by_its_digest_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import infra.models_in_use as place

    eq1 = load_artefact(shipped_artefact("eq1"))
    monkeypatch.setattr(place, "artefact_records", lambda brokers, digest: [])
    models = ModelsInUse(load(None, []), "kafka:9092")
    assert models.predictor(eq1.digest).digest == eq1.digest
    assert models.predictor(eq1.digest) is models.predictor(eq1.digest)
    with pytest.raises(WrongUse, match="is not to be had"):
        models.predictor("d" * 64)
    monkeypatch.setattr(place, "SHIPPED", ())
    content = shipped_artefact("eq1").read_bytes()
    monkeypatch.setattr(place, "artefact_records", lambda brokers, digest: [b"nonsense", content])
    assert ModelsInUse(load(None, []), "kafka:9092").predictor(eq1.digest).digest == eq1.digest


def test_a_file_that_only_the_worker_has_keeps_nobody_from_the_models_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import infra.models_in_use as place

    monkeypatch.setattr(place, "artefact_records", lambda brokers, digest: [])
    eq1 = load_artefact(shipped_artefact("eq1"))
    elsewhere = load(None, ["predictor.artefact=/nowhere/own.safetensors"])
    assert ModelsInUse(elsewhere, "kafka:9092").predictor(eq1.digest).digest == eq1.digest
