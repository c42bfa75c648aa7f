"""The alerts that there are, each with who has to move and the page that says how; the rules file has the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

#: ``page``: a person must act now. ``ticket``: by day. ``info``: forestall acts by itself.
Severity = Literal["page", "ticket", "info"]

#: More dead letters than so many within so long (s) are a fault of somebody's, not a slip.
LETTERS_MAX: Final = 10
LETTERS_S: Final = 300


@dataclass(frozen=True, slots=True)
class Kind:
    """An alert's name, who has to move, the runbook page, and what it means."""

    name: str
    severity: Severity
    runbook: str
    about: str


NODE_SUSPECT: Final = Kind("ForestallNodeSuspect", "info", "node-failing", "an incident is open on a node of a job")
COMMAND_REFUSED: Final = Kind(
    "ForestallCommandNotCarriedOut", "ticket", "command-refused", "an agent refused a command, or it failed or expired"
)
COMMAND_UNANSWERED: Final = Kind(
    "ForestallCommandUnanswered", "page", "command-unanswered", "no agent was heard of a command before it expired"
)
BREAKER_TRIPPED: Final = Kind(
    "ForestallBreakerTripped", "page", "breaker-tripped", "too many nodes are out: no node is left any more"
)
DEAD_LETTERS: Final = Kind(
    "ForestallDeadLettersRising", "ticket", "dead-letters-rise", "records come that cannot be read"
)
WORKER_STALE: Final = Kind(
    "ForestallWorkerStale", "page", "worker-stale", "telemetry comes and is not assessed, so nothing is foreseen"
)
PROBABILITY_STUCK: Final = Kind(
    "ForestallProbabilityStuck", "ticket", "probability-stuck", "the fault probability of all nodes stays near .5"
)
RECOVERY_SLOW: Final = Kind(
    "ForestallRecoverySlow", "ticket", "recovery-slow", "a recovery that was foreseen took long"
)
CHECKPOINT_OVERHEAD: Final = Kind(
    "ForestallCheckpointOverhead", "ticket", "checkpoint-overhead", "checkpoints take too much of a job's time"
)
NOT_DELIVERED: Final = Kind(
    "ForestallAlertsNotDelivered", "page", "alerts-not-delivered", "the receiver of alerts does not take them"
)

#: What the webhook sends; that it does not get through is for Prometheus alone to say.
SENT: Final = (
    NODE_SUSPECT,
    COMMAND_REFUSED,
    COMMAND_UNANSWERED,
    BREAKER_TRIPPED,
    DEAD_LETTERS,
    WORKER_STALE,
    PROBABILITY_STUCK,
    RECOVERY_SLOW,
    CHECKPOINT_OVERHEAD,
)
KINDS: Final = (*SENT, NOT_DELIVERED)
BY_NAME: Final = {one.name: one for one in KINDS}
#: The alert of each diagnostic that holds.
OF_DIAGNOSTIC: Final = {
    "probability-stuck": PROBABILITY_STUCK,
    "recovery-slow": RECOVERY_SLOW,
    "checkpoint-overhead": CHECKPOINT_OVERHEAD,
}
