"""What ``forestall up`` was asked to run; everything that can be wrong with it is found before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from connectors.errors import WrongUse

LIVE_SOURCES = ("fleet", "host")
REPLAY = "replay:"
RANKS = 4
SPARES = 2
NODES = 16
SPEED = 600.0
JOB = "demo"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: where its telemetry comes from, whether the demonstration job trains, and for how long.

    ``names`` are the nodes of the fleet, of which the first ``RANKS`` run a rank each and the next ``SPARES`` wait;
    ``for_s`` is None for no end; ``influx`` has an InfluxDB started beside it.
    """

    sources: tuple[str, ...]
    names: tuple[str, ...]
    with_job: bool
    replay: Path | None = None
    speed: float = SPEED
    for_s: float | None = None
    run: str | None = None
    influx: bool = False

    @property
    def title(self) -> str:
        """What is watched, for a person."""
        if self.replay is not None:
            return f"replay of {self.replay} at {self.speed:g} times its own pace"
        told = {"fleet": f"a simulated fleet of {len(self.names)} nodes", "host": "this machine"}
        return " and ".join(told[source] for source in self.sources)

    @property
    def ranks(self) -> dict[str, int]:
        """The node of each rank."""
        return {name: rank for rank, name in enumerate(self.names[:RANKS])} if self.with_job else {}

    @property
    def spares(self) -> tuple[str, ...]:
        """The nodes that wait to take a rank over."""
        return self.names[RANKS : RANKS + SPARES] if self.with_job else ()


def plan_of(
    source: str,
    *,
    nodes: int | None,
    speed: float | None,
    for_s: float | None,
    with_job: bool,
    run: str | None,
) -> Plan:
    """Check what was asked for together.

    Raises
    ------
    WrongUse
        No such source, an option that does not belong to it, a folder that cannot be replayed, too few nodes.
    """
    if source.startswith(REPLAY):
        folder = _replayed(source)
        _refuse("--nodes", nodes, "fleet", source)
        return Plan(("replay",), (), False, folder, speed or SPEED, for_s, run)
    sources = tuple(dict.fromkeys(word.strip() for word in source.split(",")))
    unknown = [word for word in sources if word not in LIVE_SOURCES]
    if unknown:
        raise WrongUse(
            f"--source {source!r}: there is no source {unknown[0]!r}; there are fleet, host, fleet,host "
            "and replay:FOLDER"
        )
    _refuse("--speed", speed, "replay:FOLDER", source)
    if "fleet" not in sources:
        _refuse("--nodes", nodes, "fleet", source)
        return Plan(sources, (), False, for_s=for_s, run=run)
    return Plan(sources, _fleet_names(nodes or NODES, with_job=with_job), with_job, for_s=for_s, run=run)


def _refuse(option: str, value: float | None, belongs_to: str, source: str) -> None:
    if value is not None:
        raise WrongUse(f"{option} is for --source {belongs_to}, not for --source {source}")


def _replayed(source: str) -> Path:
    from connectors.sources.replay import Replay

    folder = Path(source.removeprefix(REPLAY)).expanduser()
    if not folder.is_dir():
        raise WrongUse(f"--source {source}: there is no folder {folder}")
    Replay(folder)
    return folder.resolve()


def _fleet_names(nodes: int, *, with_job: bool) -> tuple[str, ...]:
    from experiments.fleet import FleetSpec

    if with_job and nodes < RANKS + SPARES:
        raise WrongUse(
            f"--nodes {nodes}: the demonstration job needs {RANKS + SPARES} ({RANKS} ranks, {SPARES} spares); "
            "give more, or --no-job"
        )
    return FleetSpec(nodes=nodes).names
