"""What the sink tells Prometheus of itself."""

from __future__ import annotations

from infra.metrics.families import Fill, Scrape
from infra.sink.service import Sink


def fill_of(sink: Sink) -> Fill:
    """What waits on disk, and what became of points."""

    def fill(scrape: Scrape) -> None:
        tally = sink.tally()
        scrape.add("forestall_spool_bytes", float(tally.waiting_bytes))
        for fate in ("written", "refused", "unreadable", "lost"):
            scrape.add("forestall_sink_points_total", float(getattr(tally, fate)), fate)

    return fill
