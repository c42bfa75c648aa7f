"""Writes the dashboards into files: templates for InfluxDB, dashboards for Grafana, both of the same panels.

Run it as ``python -m infra.influx.files`` after changing a panel; a test holds the files and the code together.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from connectors.influx.schema import RAW
from infra.influx.as_grafana import grafana_dashboard
from infra.influx.as_template import dashboard_object
from infra.influx.dashboards import DASHBOARDS
from infra.influx.provision import base_objects

FOLDER: Final = Path(__file__).parent
#: Where each kind of file lies, below the folder.
TEMPLATES: Final = "dashboards"
GRAFANA: Final = "grafana"


def texts() -> dict[str, str]:
    """The content of each file by its path below the folder."""
    objects = {f"{TEMPLATES}/{one.name}.json": [dashboard_object(one, RAW.name)] for one in DASHBOARDS}
    objects[f"{TEMPLATES}/base.json"] = base_objects(RAW.name)
    grafana = {f"{GRAFANA}/{one.name}.json": grafana_dashboard(one, RAW.name) for one in DASHBOARDS}
    return {name: json.dumps(one, indent=2, ensure_ascii=False) + "\n" for name, one in {**objects, **grafana}.items()}


def write(folder: Path) -> None:
    """Write every file, and remove those of dashboards that are no more."""
    wanted = texts()
    for path in sorted([*folder.glob(f"{TEMPLATES}/*.json"), *folder.glob(f"{GRAFANA}/*.json")]):
        if str(path.relative_to(folder)) not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
