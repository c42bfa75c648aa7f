"""What the simulator remembers while a run goes on, and what of it a policy may see."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

# How a job spends its time; each mode but RUN has one bucket of the ledger.
RUN: Final = 0
SAVE: Final = 1  # a checkpoint blocks it
KEEP: Final = 2  # a second kind of checkpoint, to storage, blocks a job that saves to its peers' memory
DETECT: Final = 3
WAIT: Final = 4
RESTART: Final = 5
MOVE: Final = 6

# The ledger's buckets, in the order of runs.BUCKETS.
PRODUCTIVE: Final = 0
CHECKPOINT: Final = 1
RECOMPUTED: Final = 2
DETECTION: Final = 3
RESTARTING: Final = 4
MIGRATION: Final = 5
WAITING: Final = 6
DEGRADED: Final = 7

# What is counted.
FAILURES: Final = 0
FORESEEN: Final = 1
ALARMS: Final = 2
FALSE_ALARMS: Final = 3
CHECKPOINTS: Final = 4
MIGRATIONS: Final = 5
WAITS: Final = 6
COUNTS: Final = ("failures", "foreseen", "alarms", "false_alarms", "checkpoints", "migrations", "waits")

# How an alarm stands; those from OPEN to LEAVING are open.
ABSENT: Final = 0  # not raised yet, or about a slot without a node
OPEN: Final = 1  # to be decided upon
LEFT_ALONE: Final = 2  # decided upon
PLANNED: Final = 3  # an oracle will save just before its failure
LEAVING: Final = 4  # its node is about to be vacated
VACATED: Final = 5
CAME_TRUE: Final = 6

#: A fault that belongs to no node: it would have begun in one that was idle.
NOBODY: Final = -2
#: A pool that is never empty, and a time that never comes.
ENDLESS: Final = 1 << 30
NEVER: Final = 1e300

STATE: Final = np.dtype(
    [
        ("at", "f8"),  # now
        ("mode", "i8"),
        ("mode_ends", "f8"),
        ("work", "f8"),  # how far the job is, in seconds of work at full size
        ("reached", "f8"),  # how far it ever was
        ("saved", "f8"),  # how far the newest durable checkpoint is
        ("shot", "f8"),  # and the one that is being written, durable at:
        ("durable_at", "f8"),
        ("kept", "f8"),  # the same of the second kind
        ("kept_shot", "f8"),
        ("kept_at", "f8"),
        ("kept_for", "f8"),  # time at work since the last of that kind
        ("integral", "f8"),  # of the rate of checkpoints
        ("began", "f8"),  # when it began to run
        ("failed_at", "f8"),  # the last failure
        ("free", "i8"),  # spares
        ("missing", "i8"),  # slots without a node
        ("active", "i8"),  # nodes that work
        ("growing", "i8"),
        ("out", "i8"),  # nodes in repair or burn-in
        ("next_back", "f8"),  # when the first of them returns
        ("fault", "i8"),  # the next fault
        ("alarm", "i8"),  # the next alarm
        ("oldest", "i8"),  # the oldest alarm that is not closed
        ("near", "f8"),  # the last three alarms
        ("nearer", "f8"),
        ("nearest", "f8"),
        ("review", "i8"),  # whether open alarms are to be decided upon
    ]
)


class Memory(NamedTuple):
    """The arrays of a run: by slot, by fault, by alarm, of nodes that are out, and what came of it."""

    tenant: np.ndarray  # (slots,) which node is there: 0 the first, 1 the second, …
    empty: np.ndarray  # (slots,) whether none is
    blamed: np.ndarray  # (faults,) the tenant to which the fault belongs; −1: none yet
    status: np.ndarray  # (alarms,)
    accused: np.ndarray  # (alarms,) its tenant
    dense: np.ndarray  # (alarms,)
    back_at: np.ndarray  # when nodes that are out return, unordered
    seconds: np.ndarray  # (buckets,)
    counts: np.ndarray  # (counts,)


class World(NamedTuple):
    """What a profile and a case say, as the simulator needs it; times in seconds."""

    wall_s: float
    nodes: int
    mtbf_s: float
    cost_s: float
    durable_s: float
    keep_cost_s: float
    keep_durable_s: float
    memory_lost: float
    detection_s: float
    restart_s: float
    migration_s: float
    spares: int
    burn_in_s: float
    horizon_s: float
    idle_fails: bool  # whether nodes of a job that waits fail too
    min_nodes: int
    replica_nodes: int
    claimed_recall: float
    claimed_precision: float
    claimed_median_s: float
    true_scale: float
    sigma: float
