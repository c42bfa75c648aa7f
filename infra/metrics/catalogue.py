"""Every metric that a process of forestall tells: the code tells no other, and the reference is made from this.

Names follow the rules of Prometheus: ``forestall_`` first, base units, ``_total`` for what only grows. Labels are
bounded: no ids; a node only on an incident that is open, and of those at most :data:`NODES_MAX`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram", "info"]
Process = Literal["worker", "agent", "web", "sink influx", "sink webhook"]
EVERY: Final[tuple[Process, ...]] = ("worker", "agent", "web", "sink influx", "sink webhook")
READERS: Final[tuple[Process, ...]] = ("web", "sink influx", "sink webhook")
#: So many open incidents are told by node; the others are in the count.
NODES_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Told:
    """One metric: what it is, its labels, and which processes tell it."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...]
    by: tuple[Process, ...]


#: The numbers that each diagnostic tells, where it has them.
JUDGED_BY: Final = {
    "probability-stuck": (
        *("assessments", "nodes", "near_half_ratio", "median_ratio", "input_rms", "input_clipped_ratio", "gain"),
        *("dead_units_ratio", "logit_median", "output_bias", "calibrated_span", "median_without_bias_ratio"),
    ),
    "recovery-slow": (
        *("recoveries", "usual_seconds", "took_seconds", "contention_seconds", "state_lag_seconds"),
        *("effect_seconds", "probability_ratio", "together"),
    ),
    "checkpoint-overhead": (
        *("checkpoints", "window_seconds", "of_time_ratio", "cost_seconds", "interval_seconds"),
        *("young_interval_seconds", "young_of_time_ratio", "expected_cost_seconds", "size_bytes"),
    ),
}

CATALOGUE: Final = (
    # every process
    Told("forestall_build_info", "info", "which forestall this is: 1", ("version", "python", "process"), EVERY),
    Told("forestall_ready", "gauge", "1 where /readyz says so, else 0", (), EVERY),
    Told("forestall_lacking", "gauge", "1 for each thing that keeps the process from being ready", ("what",), EVERY),
    # the worker: lanes
    Told(
        "forestall_lane_records_total",
        "counter",
        "records taken in from a partition since it was restored here",
        ("topic", "partition"),
        ("worker",),
    ),
    Told(
        "forestall_lane_outputs_total",
        "counter",
        "ordered outputs of a partition: written, or repeated after a restart since the log held them already",
        ("topic", "partition", "fate"),
        ("worker",),
    ),
    Told(
        "forestall_lane_state",
        "gauge",
        "1 for the state that a lane is in: loading a past, or live",
        ("topic", "partition", "state"),
        ("worker",),
    ),
    Told(
        "forestall_lane_position_records",
        "gauge",
        "the next offset that a lane takes in",
        ("topic", "partition"),
        ("worker",),
    ),
    Told(
        "forestall_lag_records",
        "gauge",
        "records of a partition that wait to be taken in",
        ("topic", "partition"),
        ("worker",),
    ),
    Told(
        "forestall_snapshot_age_seconds",
        "gauge",
        "time since the newest snapshot of a partition was written; it grows where nothing is to be saved",
        ("topic", "partition"),
        ("worker",),
    ),
    Told(
        "forestall_snapshot_bytes",
        "gauge",
        "size of the newest snapshot of a partition",
        ("topic", "partition"),
        ("worker",),
    ),
    Told(
        "forestall_assessment_delay_seconds",
        "histogram",
        "from the source time of a frame until its assessment was handed to the broker's client",
        (),
        ("worker",),
    ),
    Told(
        "forestall_command_delay_seconds",
        "histogram",
        "from the source time of what caused a command until the command was handed to the broker's client",
        (),
        ("worker",),
    ),
    # the worker: what it learned from telemetry
    Told(
        "forestall_frames_total",
        "counter",
        "frames by what became of them, as a partition has counted them since its log began",
        ("partition", "fate"),
        ("worker",),
    ),
    Told("forestall_nodes", "gauge", "nodes that are assessed", ("partition",), ("worker",)),
    Told(
        "forestall_model_info",
        "info",
        "1 for the model in use on a partition, by the first digits of its digest",
        ("partition", "digest"),
        ("worker",),
    ),
    Told(
        "forestall_model_refused",
        "gauge",
        "1 where a model was chosen that a partition cannot use, else 0",
        ("partition",),
        ("worker",),
    ),
    Told(
        "forestall_dead_letters_total",
        "counter",
        "records that could not be read, by the reason, since the process began",
        ("topic", "reason"),
        ("worker",),
    ),
    # the worker: what it decided
    Told(
        "forestall_incidents_total",
        "counter",
        "incidents as they open, change and close, since the process began",
        ("state", "reason"),
        ("worker",),
    ),
    Told("forestall_incidents_open", "gauge", "open incidents on nodes of a job", ("job",), ("worker",)),
    Told(
        "forestall_incident_probability_ratio",
        "gauge",
        f"fault probability of an open incident; at most {NODES_MAX} a partition are told by node",
        ("node", "job"),
        ("worker",),
    ),
    Told("forestall_commands_total", "counter", "commands given, since the process began", ("action",), ("worker",)),
    Told(
        "forestall_outcomes_total",
        "counter",
        "outcomes of commands that came, since the process began; what follows a snapshot counts again at a restart",
        ("action", "stage"),
        ("worker",),
    ),
    Told(
        "forestall_refusals_total",
        "counter",
        "commands that agents did not carry out, by the reason; since the process began",
        ("stage", "reason"),
        ("worker", "agent"),
    ),
    Told(
        "forestall_command_unanswered_seconds",
        "gauge",
        "how long the oldest command in flight of which no agent was heard has been given",
        ("partition",),
        ("worker",),
    ),
    Told("forestall_breaker_tripped", "gauge", "1 where the breaker is open, else 0", ("partition",), ("worker",)),
    Told(
        "forestall_breaker_utilisation_ratio",
        "gauge",
        "nodes out within the breaker's window over those that may be; above 1 it trips",
        ("partition",),
        ("worker",),
    ),
    Told(
        "forestall_pauses",
        "gauge",
        "pauses that hold: of single jobs, or of all",
        ("partition", "scope"),
        ("worker",),
    ),
    Told("forestall_opt_outs", "gauge", "nodes that are kept out", ("partition",), ("worker",)),
    # the cluster agent
    Told("forestall_agent_outcomes_total", "counter", "stages that commands entered here", ("stage",), ("agent",)),
    Told(
        "forestall_agent_unreadable_total",
        "counter",
        "records of the command topic that are no command",
        (),
        ("agent",),
    ),
    Told(
        "forestall_agent_not_taken_up_total",
        "counter",
        "commands that were not taken up, since their outcome could not have been told",
        (),
        ("agent",),
    ),
    Told("forestall_agent_outcomes_waiting", "gauge", "outcomes that the broker has not acknowledged", (), ("agent",)),
    Told("forestall_agent_rank_running", "gauge", "1 where a rank runs here, else 0", (), ("agent",)),
    # who reads the topics
    Told("forestall_log_silence_seconds", "gauge", "time since anything was read from the topics", (), READERS),
    Told(
        "forestall_diagnostic",
        "gauge",
        "1 where a diagnostic holds for that cause, else 0; docs/runbooks/NAME.md says what to do",
        ("name", "job", "cause"),
        ("web", "sink webhook"),
    ),
    *(
        Told(
            f"forestall_{diagnostic}_{number}".replace("-", "_"),
            "gauge",
            f"{number.replace('_', ' ')}, by which {diagnostic} is judged",
            ("job",),
            ("web", "sink webhook"),
        )
        for diagnostic, numbers in JUDGED_BY.items()
        for number in numbers
    ),
    # sinks
    Told("forestall_spool_bytes", "gauge", "what waits on the disk to be sent on", (), ("sink influx",)),
    Told("forestall_sink_points_total", "counter", "points by what became of them", ("fate",), ("sink influx",)),
    Told(
        "forestall_alerts_firing",
        "gauge",
        "alerts that fire, by name and severity",
        ("alert", "severity"),
        ("sink webhook",),
    ),
    Told("forestall_alerts_waiting", "gauge", "alerts whose newest word is not delivered", (), ("sink webhook",)),
    Told(
        "forestall_alert_notifications_total",
        "counter",
        "payloads by what became of them at the receiver",
        ("fate",),
        ("sink webhook",),
    ),
    Told(
        "forestall_alert_pages_per_100_node_days",
        "gauge",
        "pages of the last day for 100 nodes; more than one is more than was promised",
        (),
        ("sink webhook",),
    ),
)
BY_NAME: Final = {one.name: one for one in CATALOGUE}
