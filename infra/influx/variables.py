"""What is chosen above the panels: a job, a node."""

from __future__ import annotations

from typing import Final

from infra.influx.as_template import PREFIX, Object, buckets_in, thing

#: Flux of the values that may be chosen, by the name of the variable.
VARIABLES: Final = {
    "job": """
import "influxdata/influxdb/schema"

schema.tagValues(bucket: @raw, tag: "job", start: -14d)
""",
    "node": """
import "influxdata/influxdb/schema"

schema.tagValues(bucket: @raw, tag: "node", start: -14d)
""",
}


def variable_objects(bucket: str) -> list[Object]:
    """The variables as objects of a template; their names are global to the organisation, so they carry ours."""
    return [
        thing(
            "Variable",
            f"{PREFIX}-variable-{name}",
            name=f"{PREFIX}_{name}",
            description=f"a {name} that forestall knows",
            type="query",
            language="flux",
            query=buckets_in(flux, bucket),
        )
        for name, flux in VARIABLES.items()
    ]
