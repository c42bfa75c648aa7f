"""How many points a second the writer brings into a real InfluxDB: ``PYTHONPATH=. python tests/influx_speed.py``."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path

from influx_process import influx_server

from connectors.influx.points import assessment_point
from connectors.influx.schema import RAW
from connectors.influx.writer import Address, Delivered, InfluxWriter, deliver
from infra.influx.server import ORG
from infra.sink.service import LINES_MAX
from models.records import Assessment, Cause

POINTS = 50_000
NODES = 500


def lines(end: float) -> list[str]:
    """Assessments of many nodes, one a second each, until ``end``."""
    worst = (("gpu0.temp_c", 3.25), ("gpu1.temp_c", 2.5))
    return [
        assessment_point(
            Assessment(
                node=f"n{number % NODES:04d}",
                job="demo",
                ts=end - POINTS / NODES + number // NODES,
                verdict="healthy",
                cause=Cause(0, number),
                probability=0.01,
                deviation=0.5,
                anomaly=0.25,
                worst=worst,
            ),
            0.05,
        )
        for number in range(POINTS)
    ]


def main() -> None:
    """Write them as the sink does, in requests of its size, and print the figure."""
    with tempfile.TemporaryDirectory() as folder, influx_server(Path(folder)) as started:
        address, told = Address(started.server.url, ORG, RAW.name), lines(time.time())
        with closing(InfluxWriter(address, started.server.token, time.time)) as writer:
            began = time.monotonic()
            parts = [deliver(told[at : at + LINES_MAX], writer.post) for at in range(0, POINTS, LINES_MAX)]
            seconds = time.monotonic() - began
    assert sum(parts, Delivered(0)) == Delivered(POINTS), "some were refused"
    print(f"{POINTS} points in {seconds:.2f} s: {POINTS / seconds:.0f} points a second")


if __name__ == "__main__":
    main()
