"""What reads the log says so within its time when nobody answers, and does not wait for ever."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from connectors.errors import Unreachable
from connectors.kafka.topics import ASSESSMENT, TELEMETRY
from infra.metrics.health import Health
from infra.metrics.readers import broken, lacking_of
from infra.observer import reader
from infra.observer.reader import Observer, last_counts, log_ends


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nobody listens, and little patience."""
    monkeypatch.setattr(reader, "ANSWER_S", 0.5)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_what_was_counted_before_cannot_be_known(nobody: str) -> None:
    with pytest.raises(Unreachable, match=f"{ASSESSMENT} cannot be read to its end at {nobody}"):
        last_counts(nobody, {(ASSESSMENT, 0): 5})


@pytest.mark.parametrize("ends", [{}, {(ASSESSMENT, 0): 0}, {(TELEMETRY, 0): 9}])
def test_where_nothing_was_counted_nobody_is_asked(nobody: str, ends: dict[tuple[str, int], int]) -> None:
    assert last_counts(nobody, ends) == {}


def test_the_ends_cannot_be_known(nobody: str) -> None:
    with pytest.raises(Unreachable, match=nobody):
        log_ends(nobody, (TELEMETRY,))


def test_an_observer_that_could_not_begin_may_be_stopped(nobody: str) -> None:
    observer = Observer(nobody)
    with pytest.raises(Unreachable, match=nobody):
        observer.start()
    observer.stop()
    assert observer.state().silent_s is None
    assert observer.look(lambda view: view.jobs) == {}


class OneRecord:
    """A consumer that has one record."""

    def __init__(self, *_: Any) -> None:
        self.closed = False

    def consume(self, *_: Any) -> list[Any]:
        return [self]

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("part", ["fold", "heard"])
def test_a_fault_that_ends_the_reading_is_told_everywhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    def wrong(*_: Any) -> Any:
        raise KeyError("n1")

    observer = Observer("nobody:9092", heard=wrong)
    consumer = observer._consumer = OneRecord()  # type: ignore[assignment]
    monkeypatch.setattr(observer, "_take", wrong if part == "fold" else lambda messages: observer._heard(*messages, 0))  # type: ignore[misc]
    with caplog.at_level(logging.ERROR):
        observer._read()
    state = observer.state()
    assert state.fault == "KeyError: 'n1'"
    assert consumer.closed  # type: ignore[attr-defined]
    assert "has ended on a fault" in caplog.text
    health = Health(lambda: 0.0, lambda: lacking_of(state, 10.0), lambda: broken(state))
    assert health.ill() == health.unready() == {"reader": "has ended on a fault: KeyError: 'n1'"}
    assert Health(lambda: 0.0, dict).ill() == {}
