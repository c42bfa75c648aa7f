"""Where the parts of a run tell Prometheus of themselves: each on a port of its own, and all in one file for it."""

from __future__ import annotations

import json
from pathlib import Path

from infra.broker.server import choose_port
from infra.settings import Metrics
from infra.supervisor import Part
from infra.up import parts


class Targets:
    """Gives each part a port: from ``metrics.port`` on where it is set, else any that is free."""

    def __init__(self, settings: Metrics) -> None:
        self._host, self._next = settings.host, settings.port
        self._ports: dict[str, int] = {}

    def watched(self, part: Part) -> Part:
        """The part, told of its port."""
        port = choose_port(self._next)
        self._next = port + 1 if self._next else 0
        self._ports[part.name] = port
        return parts.watched(part, port)

    def write(self, file: Path) -> str:
        """Write what Prometheus reads by ``file_sd_configs``; returns what a person is told."""
        groups = [{"targets": [f"{self._host}:{port}"], "labels": {"part": name}} for name, port in self._ports.items()]
        file.write_text(json.dumps(groups, indent=1) + "\n", encoding="utf-8")
        return f"{len(groups)} parts; for file_sd_configs of Prometheus: {file}"
