"""The fleet in three bytes a node, so that 2,000 nodes are 8 kB of base64 and nothing is sent while nothing changes.

==== ==========================================================================================
byte meaning
==== ==========================================================================================
0    verdict (index into :data:`VERDICTS`), +8 history, +16 an incident is open, +32 opted out
1    fault probability in 1/200; 255 not known
2    transition deviation in eighths of σ, +128, within ±15 σ; 0 not known
==== ==========================================================================================
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from infra.observer.view import View
from models.records import Assessment

VERDICTS: Final = ("healthy", "warming", "unknown", "suspect", "failing")
P_STEPS: Final = 200
P_UNKNOWN: Final = 255
D_STEPS: Final = 8
D_MAX: Final = 15.0
HISTORY, INCIDENT, OUT = 8, 16, 32
BYTES_A_NODE: Final = 3


@dataclass(frozen=True, slots=True)
class Fleet:
    """Names, what each node is for (empty, ``spare``, ``vacated``, ``rank 3``), its job, and the packed cells."""

    names: tuple[str, ...]
    roles: tuple[str, ...]
    jobs: tuple[str, ...]
    cells: str
    tally: dict[str, int]


def fleet_of(view: View) -> Fleet:
    """The fleet as it stands in the view."""
    roles = roles_of(view)
    names, told, cells = [], [], bytearray()
    tally = dict.fromkeys(VERDICTS, 0)
    for name in view.fleet.names():
        latest = view.fleet.nodes[name].latest()
        if latest is None:
            continue
        names.append(name)
        told.append(roles.get(name, ("", latest.job or "")))
        cells += cell(latest, out=view.brakes.out(name))
        tally[latest.verdict] += 1
    return Fleet(
        tuple(names),
        tuple(role for role, _ in told),
        tuple(job for _, job in told),
        base64.b64encode(cells).decode(),
        tally,
    )


def cell(latest: Assessment, *, out: bool) -> bytes:
    """The three bytes of a node.

    >>> from models.records import Cause
    >>> list(cell(Assessment(node="n1", ts=0.0, verdict="suspect", cause=Cause(0, 0), probability=0.5), out=False))
    [3, 100, 0]
    """
    flags = HISTORY * latest.history + INCIDENT * (latest.incident is not None) + OUT * out
    p = P_UNKNOWN if latest.probability is None else round(min(max(latest.probability, 0.0), 1.0) * P_STEPS)
    d = 0
    if latest.deviation is not None:
        d = round(min(max(latest.deviation, -D_MAX), D_MAX) * D_STEPS) + 128
    return bytes((VERDICTS.index(latest.verdict) + flags, p, d))


def roles_of(view: View) -> dict[str, tuple[str, str]]:
    """What each node of a job is for, and for which job."""
    found: dict[str, tuple[str, str]] = {}
    for name, job in view.jobs.items():
        for node, member in job.members.items():
            role = f"rank {member.rank}" if member.state == "running" else member.state
            found[node] = (role, name)
    return found
