"""What the simulator remembers while a run goes on, and what of it a policy may see."""

from __future__ import annotations

from typing import Final, NamedTuple, get_type_hints

import numpy as np

# How a job spends its time; each mode but RUN has one bucket of the ledger.
RUN: Final = 0
SAVE: Final = 1  # a checkpoint blocks it
KEEP: Final = 2  # a second kind of checkpoint, to storage, blocks a job that saves to its peers' memory
DETECT: Final = 3
WAIT: Final = 4
RESTART: Final = 5
MOVE: Final = 6

#: The ledger's buckets as the state has them, in the order of runs.BUCKETS, and what it counts.
SECONDS: Final = (
    "productive",
    "checkpoint",
    "recomputed",
    "detection",
    "restarting",
    "migration",
    "waiting",
    "degraded",
)
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
#: What is to be decided upon: new alarms, or also once more whether to leave nodes that were left alone.
NEW: Final = 1
AGAIN: Final = 2
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
        ("review", "i8"),  # whether alarms are to be decided upon: none, new ones, or leaving of all again
        *((name, "f8") for name in (*SECONDS, *COUNTS)),
    ]
)


#: A slot: which node is there (0 the first, 1 the second, …), and whether none is.
SLOT: Final = np.dtype([("tenant", "i8"), ("empty", "?")])
#: A fault: when and where, how long its repair takes, its luck (below ``memory_lost`` the peer's memory is lost too),
#: and the tenant to which it belongs (−1: to whoever is there when it strikes).
FAULT: Final = np.dtype([("at", "f8"), ("slot", "i8"), ("repair_s", "f8"), ("memory_luck", "f8"), ("blamed", "i8")])
#: An alarm: when and where, the fault that it foretells (−1: none), whether burn-in would find that, the true share of
#: true alarms then; how it stands, which tenant it accuses, and whether it is one of many.
ALARM: Final = np.dtype(
    [
        ("at", "f8"),
        ("slot", "i8"),
        ("fault", "i8"),
        ("found", "?"),
        ("truth", "f8"),
        ("status", "i8"),
        ("accused", "i8"),
        ("dense", "?"),
        ("back_at", "f8"),  # when its vacated node will be back
    ]
)
#: From when on which share of failures is foreseen.
PHASE: Final = np.dtype([("at", "f8"), ("recall", "f8")])


class Run(NamedTuple):
    """The arrays of one run, which changes slots, faults, alarms and ``back_at``: when nodes that are out return."""

    slots: np.ndarray
    faults: np.ndarray
    alarms: np.ndarray
    phases: np.ndarray
    back_at: np.ndarray


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


def record(values: NamedTuple) -> np.ndarray:
    """Return numbers as an array of one record, which compiled code passes on by reference.

    >>> class Point(NamedTuple):
    ...     x: float
    ...     n: int
    >>> record(Point(1.5, 2))
    array([(1.5, 2)], dtype=[('x', '<f8'), ('n', '<i8')])
    """
    kinds = {"float": "f8", "int": "i8", "bool": "?"}
    return np.array([tuple(values)], [(name, kinds[kind]) for name, kind in _kinds(values)])


def _kinds(values: NamedTuple) -> list[tuple[str, str]]:
    return [(name, getattr(kind, "__name__", kind)) for name, kind in get_type_hints(type(values)).items()]
