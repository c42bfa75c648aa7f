"""Diagnostics as gauges: whether each holds, by cause, and the numbers that it was judged by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from models.diagnostics import CAUSES, Diagnosis

PREFIX = "forestall"


def exposition(found: Sequence[Diagnosis]) -> bytes:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(Judged(found))
    return generate_latest(registry)


class Judged(Collector):
    """The gauges of one look."""

    def __init__(self, found: Sequence[Diagnosis]) -> None:
        self._found = found

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """``forestall_diagnostic`` has every cause of every diagnostic, so that none appears out of nothing."""
        holds = GaugeMetricFamily(
            f"{PREFIX}_diagnostic",
            "1 where a diagnostic holds for that cause, else 0; docs/runbooks/NAME.md says what to do",
            labels=["name", "job", "cause"],
        )
        numbers: dict[str, GaugeMetricFamily] = {}
        for one in self._found:
            for cause in CAUSES[one.name]:
                holds.add_metric([one.name, one.job or "", cause], float(one.cause == cause))
            for number, value in one.numbers.items():
                name = f"{PREFIX}_{one.name}_{number}".replace("-", "_")
                if name not in numbers:
                    about = f"{number.replace('_', ' ')}, by which {one.name} is judged"
                    numbers[name] = GaugeMetricFamily(name, about, labels=["job"])
                numbers[name].add_metric([one.job or ""], value)
        yield holds
        yield from numbers.values()
