"""What a person reads of a run: a line for what happened, and a summary that leaves nothing out and adds nothing."""

from __future__ import annotations

from typing import Any

import pytest

from infra.up.terminal import Terminal


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("COLUMNS", "160")
    return Clock()


SUMMARY: dict[str, Any] = {
    "frames_produced": 12_960,
    "frames_assessed": 12_950,
    "lost": 3,
    "late": 2,
    "duplicates": 4,
    "dead_letters": 1,
    "history": {"produced": 48_000, "assessed": 47_999},
    "latency_ms": {"assessment": {"p50": 4.4, "p99": 61.6}, "command": {"p50": None, "p99": None}},
    "models": {"active": ["d" * 64], "refused": [], "shadow": None},
    "commands": [{"action": "CHECKPOINT"}, {"action": "MIGRATE"}, {"action": "RESTORE"}],
    "outcomes": {"done": 6, "failed": 1},
    "job": {"steps": 1440, "restarts": 1, "resumed_from_step": 1360, "lost_steps": 32},
    "ledger": {
        "wall_s": 60.0,
        "buckets": {"training": 54.0, "checkpoint": 1.5, "restart": 4.5, "stalled": 0.0},
        "saying": "4.5 s spent in place of 60.0 s",
    },
}


def summarised(capsys: pytest.CaptureFixture[str], clock: Clock, **changes: Any) -> list[str]:
    """The lines of a summary, each with its runs of blanks made one."""
    Terminal(to_stderr=False, monotonic=clock).summarise({**SUMMARY, **changes})
    out, err = capsys.readouterr()
    assert err == ""
    return [" ".join(line.split()) for line in out.splitlines() if line.strip()]


def test_a_line_says_when_who_and_what(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    terminal = Terminal(to_stderr=False, monotonic=clock)
    clock.at += 12.34
    terminal.say("broker", "answers at 127.0.0.1:9092")
    assert capsys.readouterr().out == "   12.3 s  broker         answers at 127.0.0.1:9092\n"
    assert terminal.elapsed == pytest.approx(12.34)


def test_with_json_nothing_of_it_is_on_stdout(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    Terminal(to_stderr=True, monotonic=clock).say("broker", "answers", style="yellow")
    out, err = capsys.readouterr()
    assert out == ""
    assert "broker" in err


@pytest.mark.parametrize(
    "what",
    ["it ended [/tmp/up/logs/worker.log]", "[red]not a colour[/red]", "[/]", ":fire: stays a word", "a\\[b]"],
)
def test_what_a_part_said_is_printed_letter_by_letter(
    what: str, capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    """Brackets are names of files and lists here, never markup, and must not raise either."""
    Terminal(to_stderr=False, monotonic=clock).say("worker", what)
    assert what in capsys.readouterr().out


def test_a_long_line_is_not_broken(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    Terminal(to_stderr=False, monotonic=clock).say("worker", "word " * 100)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_every_figure_of_the_summary_is_there(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    lines = summarised(capsys, clock)
    assert lines[:8] == [
        "frames 12,960 produced, 12,950 assessed, 3 lost (2 late, 4 duplicates, 1 dead letters)",
        "history 48,000 sent, 47,999 assessed",
        f"model {'d' * 16}…",
        "telemetry → assessment p50 4 ms, p99 62 ms",
        "cause → command not measured (no live source time)",
        "commands CHECKPOINT, MIGRATE, RESTORE",
        "outcomes 6 done, 1 failed",
        "job step 1,440; restored 1 ×, last from step 1,360; 32 steps done again",
    ]


def test_the_ledger_shows_what_took_time_with_its_share(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    lines = summarised(capsys, clock)[8:]
    assert lines == [
        "ledger: 60.0 s of the job",
        "bucket seconds share",
        "training 54.00 90.0 %",
        "checkpoint 1.50 2.5 %",
        "restart 4.50 7.5 %",
        "4.5 s spent in place of 60.0 s",
    ]


def test_a_shadow_and_a_refused_choice_are_told(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    shadow = {"digest": "e" * 64, "compared": 1200, "mean_difference": 0.0213, "active_only": 3, "shadow_only": 17}
    models = {"active": ["a" * 64, "d" * 64], "refused": ["active bad: not there"], "shadow": shadow}
    lines = summarised(capsys, clock, models=models)[2:5]
    alone = "P ≥ θ by the active alone 3, by the shadow alone 17"
    assert lines == [
        f"model {'a' * 16}…, {'d' * 16}…",
        "refused model active bad: not there",
        f"shadow model {'e' * 16}…: 1,200 compared, mean |ΔP| 0.0213, {alone}",
    ]
    nothing_yet = {**models, "shadow": {**shadow, "compared": 0, "mean_difference": None}}
    assert "mean |ΔP| –," in summarised(capsys, clock, models=nothing_yet)[4]


def test_where_no_model_was_told_no_line_is(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    lines = summarised(capsys, clock, models={"active": [], "refused": [], "shadow": None})
    assert not any("model" in line for line in lines)


def test_without_a_job_nothing_is_said_of_one(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    lines = summarised(capsys, clock, job=None, ledger=None, commands=[], outcomes={})
    assert lines[-2:] == ["commands none", "outcomes none"]
    assert not any(word in " ".join(lines) for word in ("ledger", "job", "bucket"))


def test_a_job_of_no_time_at_all_has_no_shares(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    ledger = {"wall_s": 0.0, "buckets": {"training": 0.0}, "saying": ""}
    assert summarised(capsys, clock, ledger=ledger)[-2:] == ["ledger: 0.0 s of the job", "bucket seconds share"]


def test_half_a_latency_is_none(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    latency = {"assessment": {"p50": 4.0, "p99": None}, "command": {"p50": 0.4, "p99": 2.5}}
    lines = summarised(capsys, clock, latency_ms=latency)
    assert "telemetry → assessment not measured (no live source time)" in lines
    assert "cause → command p50 0 ms, p99 2 ms" in lines
