"""Waiting ends when something has come true, when time is over, or when a part cannot be kept up."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.errors import Failed
from infra.broker.embedded import Broker
from infra.drill.watch import Watch
from infra.supervisor import Part, Supervisor

LONG_S = 60.0


@pytest.fixture
def broker() -> Broker:
    return Broker("127.0.0.1:9", "4.1.0")


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    made = Supervisor(tmp_path, lambda *_: None, os.environ)
    yield made
    await made.close(LONG_S)


async def test_it_goes_on_as_soon_as_the_condition_holds(
    supervisor: Supervisor, broker: Broker, tmp_path: Path
) -> None:
    looks = iter([False, False, True])
    await Watch(supervisor, broker, tmp_path).until(lambda: next(looks), LONG_S, "never")


async def test_what_did_not_come_to_pass_is_said_with_the_place_of_the_logs(
    supervisor: Supervisor, broker: Broker, tmp_path: Path
) -> None:
    watch = Watch(supervisor, broker, tmp_path)
    assert not await watch.whether(lambda: False, 0.0)
    with pytest.raises(Failed, match=f"no rank trains within 0 s; see {tmp_path}"):
        await watch.until(lambda: False, 0.0, "no rank trains")


async def test_a_part_that_cannot_be_kept_up_ends_the_waiting(
    supervisor: Supervisor, broker: Broker, tmp_path: Path
) -> None:
    supervisor.start(Part("broken", (sys.executable, "-c", "import sys; sys.exit(2)")))
    with pytest.raises(Failed, match="broken does not stay up"):
        await Watch(supervisor, broker, tmp_path).until(lambda: False, LONG_S, "never")


async def test_a_broker_that_is_given_up_ends_it_too(supervisor: Supervisor, broker: Broker, tmp_path: Path) -> None:
    broker.given_up.set()
    with pytest.raises(Failed, match="the broker does not stay up"):
        await Watch(supervisor, broker, tmp_path).until(lambda: False, LONG_S, "never")
