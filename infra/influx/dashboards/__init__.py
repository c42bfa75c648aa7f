"""The dashboards as data, of which InfluxDB's templates and Grafana's files are made (:mod:`infra.influx.files`)."""

from __future__ import annotations

from typing import Final

from infra.influx.dashboards.fleet import FLEET
from infra.influx.dashboards.job import JOB
from infra.influx.dashboards.node import NODE
from infra.influx.dashboards.panel import Dashboard
from infra.influx.dashboards.pipeline import PIPELINE
from infra.influx.dashboards.savings import SAVINGS

DASHBOARDS: Final[tuple[Dashboard, ...]] = (FLEET, NODE, JOB, PIPELINE, SAVINGS)
