"""What the page asks of the topics is bounded, and a known answer waits for nobody."""

from __future__ import annotations

import asyncio
import threading

import pytest
from observed_story import Clock

from connectors.errors import WrongUse
from infra.web.inquiries import Inquiry
from infra.web.looking import PATIENCE_S, TELEMETRY_MAX, patience


def test_a_log_that_is_too_long_for_a_page_names_the_command_that_reads_it() -> None:
    told = patience("797ad5", Clock())
    told(0, TELEMETRY_MAX)
    with pytest.raises(WrongUse, match="`forestall explain 797ad5`"):
        told(0, TELEMETRY_MAX + 1)


def test_what_takes_too_long_is_left() -> None:
    clock = Clock()
    told = patience("797ad5", clock)
    clock.now += PATIENCE_S
    told(500, 1_000)
    clock.now += 0.1
    with pytest.raises(WrongUse, match="more than a page waits"):
        told(1_000, 1_000)


async def test_what_is_known_is_told_while_another_question_is_open() -> None:
    going_on = threading.Event()

    def ask(name: str) -> dict[str, str]:
        if name == "long":
            assert going_on.wait(20)
        return {"name": name}

    inquiry = Inquiry(ask, 10.0, Clock())
    await inquiry.about("known")
    open_still = asyncio.create_task(inquiry.about("long"))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert (await inquiry.about("known")).found == {"name": "known"}
    assert not open_still.done()
    going_on.set()
    assert (await open_still).found == {"name": "long"}
