"""What reads the log says so within its time when nobody answers, and does not wait for ever."""

from __future__ import annotations

import socket

import pytest

from connectors.errors import Unreachable
from connectors.kafka.topics import ASSESSMENT, TELEMETRY
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
