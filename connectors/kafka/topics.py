"""The topics of forestall, by name (design, section 2)."""

TELEMETRY = "telemetry.node.v1"
SCHEMA = "telemetry.schema.v1"
INVENTORY = "cluster.inventory.v1"
ASSESSMENT = "health.assessment.v1"
COMMAND = "control.command.v1"
EVENT = "control.event.v1"
SNAPSHOT = "state.snapshot.v1"
DEAD_LETTER = "telemetry.dead-letter.v1"
#: On the dead-letter topic: points that InfluxDB refused. They came of records that could be read.
INFLUX_KEY = b"influx"

ALL = (TELEMETRY, SCHEMA, INVENTORY, ASSESSMENT, COMMAND, EVENT, SNAPSHOT, DEAD_LETTER)
