"""Samples of the catalogue's metrics, gathered for one scrape."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.metrics.catalogue import BY_NAME
from streams.tally import DELAY_BOUNDS_S, Delays

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Scrape(Collector):
    """What is told at one scrape; only what stands in the catalogue can be."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}

    def add(self, name: str, value: float, *labels: str) -> None:
        """One sample of a counter, a gauge or an info (whose value is 1), its labels in the catalogue's order."""
        family = self._family(name)
        if isinstance(family, HistogramMetricFamily):
            raise TypeError(f"{name} is a histogram")
        family.add_metric([str(label) for label in labels], value)

    def delays(self, name: str, told: Sequence[Delays]) -> None:
        """A histogram of several lanes' delays together."""
        family = self._family(name)
        if not isinstance(family, HistogramMetricFamily):
            raise TypeError(f"{name} is no histogram")
        rest, buckets = 0, []
        for bound, counts in zip((*DELAY_BOUNDS_S, None), zip(*(one.counts for one in told), strict=True), strict=True):
            rest += sum(counts)
            buckets.append(("+Inf" if bound is None else f"{bound:g}", float(rest)))
        family.add_metric([], buckets, sum(one.sum_s for one in told))

    def extend(self, families: Iterable[Family]) -> None:
        """Families that somebody else has made, whose names follow from what is judged."""
        self._families |= {family.name: family for family in families}

    def _family(self, name: str) -> Family:
        if name not in self._families:
            told = BY_NAME[name]
            kind = {"counter": CounterMetricFamily, "histogram": HistogramMetricFamily}.get(
                told.kind, GaugeMetricFamily
            )
            self._families[name] = kind(name, told.about, labels=list(told.labels))
        return self._families[name]

    def collect(self) -> Iterator[Metric]:
        """Every family that has a sample."""
        yield from self._families.values()


Fill = Callable[[Scrape], None]


def exposition(process: str, *fills: Fill) -> bytes:
    """The text that Prometheus scrapes: who this is, and what each of ``fills`` adds."""
    scrape = Scrape()
    scrape.add("forestall_build_info", 1.0, version("forestall"), platform.python_version(), process)
    for fill in fills:
        fill(scrape)
    registry = CollectorRegistry()
    registry.register(scrape)
    return generate_latest(registry)
