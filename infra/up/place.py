"""Where a run happens: its topics and its folder are made ready, and what was counted before it is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from connectors.kafka.admin import TopicState, admin_client, apply_topics
from connectors.kafka.topics import ASSESSMENT, COMMAND, DEAD_LETTER, EVENT
from connectors.signing import KeyFolder
from infra import clock
from infra.broker import runs
from infra.broker.embedded import Broker
from infra.cli.topics import specs_of
from infra.influx.server import environment as influxd_environment
from infra.keys import ready_keys
from infra.observer.reader import last_counts, log_ends
from infra.settings import PREFIX, Settings
from infra.up import summary
from infra.up.terminal import Terminal

#: One thread a process is plenty for matrices of this size, and two cores have more than ten processes to carry.
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run happens: broker, folder, the environment of its parts, what was counted before it, and its keys."""

    broker: Broker
    directory: Path
    environment: dict[str, str]
    begin: dict[tuple[str, int], int]
    before: summary.Baseline
    fresh: bool
    keys: KeyFolder


def place_at(broker: Broker, settings: Settings, terminal: Terminal) -> Place:
    """Make ready where a run happens: topics, folder and keys."""
    with admin_client(broker.bootstrap) as client:
        states = apply_topics(client, specs_of(settings))
    _tell_topics(states, terminal)
    directory = _directory(broker, settings)
    (directory / "logs").mkdir(parents=True, exist_ok=True)
    fresh = all(state.state == "created" for state in states)
    begin = {} if fresh else _ends(broker.bootstrap)
    before = summary.Baseline.of_counts(last_counts(broker.bootstrap, begin).values())
    keys = ready_keys(settings, broker.run, clock.now())
    return Place(broker, directory, environment(), begin, before, fresh, keys)


def _tell_topics(states: list[TopicState], terminal: Terminal) -> None:
    made = sum(state.state == "created" for state in states)
    terminal.say("topics", f"{made} created, {len(states) - made} there already")
    for state in states:
        for key, (found, wanted) in state.differences.items():
            terminal.say("topics", f"{state.name}: {key} is {found}, should be {wanted}; left as it is", "yellow")


def _directory(broker: Broker, settings: Settings) -> Path:
    if broker.run is not None:
        return runs.runs_directory(settings) / broker.run / "up"
    root = platformdirs.user_data_path("forestall") / "up"
    return root / runs.new_name(root, clock.now())


def _ends(bootstrap: str) -> dict[tuple[str, int], int]:
    """Where the log stands before this run; the inventory is read whole, for it says who runs what."""
    ends = log_ends(bootstrap, (ASSESSMENT, COMMAND, EVENT, DEAD_LETTER))
    return {(topic, partition): end for topic, found in ends.items() for partition, end in found.items()}


def environment() -> dict[str, str]:
    """What the parts inherit; settings reach them, and influxd, by their command line alone."""
    kept = {
        name: value for name, value in influxd_environment().items() if not (name.startswith(PREFIX) and "__" in name)
    }
    return {**kept, **dict.fromkeys(_THREADS, "1")}
