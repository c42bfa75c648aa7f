"""The state of an assessed partition as bytes, and back; equal states give equal bytes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.assessment import Node, PartitionState
from models.cohort import Cohort
from models.foresight import Choices
from models.incident import Latch
from models.limits import MARKOV_STATES, MARKOV_WINDOW, WINDOW_FRAMES

FORMAT = 6
_SHAPE = [WINDOW_FRAMES, MARKOV_STATES, MARKOV_WINDOW]


class UnreadableState(ValueError):
    """Bytes that are no state of this build; says in what they differ."""


def state_to_bytes(state: PartitionState) -> bytes:
    """A JSON head (its length first, 8 bytes) and the cohorts' arrays one after another.

    Cohorts and their rows are put in the order in which nodes were first seen: where the rows came to lie follows from
    how records were batched, and rows that nodes have left are dropped.
    """
    kept: dict[int, tuple[int, Cohort, list[int]]] = {}
    nodes = []
    for name, n in state.nodes.items():
        place, _, rows = kept.setdefault(id(n.cohort), (len(kept), n.cohort, []))
        nodes.append([name, place, len(rows), n.last_ts, n.silent, n.job, asdict(n.latch)])
        rows.append(n.row)
    blocks: list[bytes] = []
    described = []
    for _, cohort, rows in kept.values():
        at = slice(cohort.size) if rows == list(range(cohort.size)) else rows
        arrays = {name: array[at] for name, array in cohort.arrays().items()}
        blocks += [array.tobytes() for array in arrays.values()]
        layout = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
        described.append({"metrics": cohort.metrics, "counters": cohort.counters.tolist(), "arrays": layout})
    head = {
        "format": FORMAT,
        "shape": _SHAPE,
        "cohorts": described,
        "nodes": nodes,
        "jobs": state.jobs,
        "counts": dict(sorted(state.counts.items())),
        "missing": dict(sorted(state.missing.items())),
        "now": state.now,
        "history": state.history,
        "choices": asdict(state.choices),
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(8, "little"), text, *blocks])


def state_from_bytes(raw: bytes) -> PartitionState:
    """Read what :func:`state_to_bytes` wrote; raises :class:`UnreadableState`."""
    size = int.from_bytes(raw[:8], "little")
    try:
        head = json.loads(raw[8 : 8 + size])
        found = head["format"], head["shape"]
    except (ValueError, KeyError, TypeError) as wrong:
        raise UnreadableState("it does not begin as a state does") from wrong
    if found != (FORMAT, _SHAPE):
        raise UnreadableState(f"it has format {found[0]}, shape {found[1]}; this build reads {FORMAT}, {_SHAPE}")
    at = 8 + size
    cohorts = []
    for described in head["cohorts"]:
        arrays, at = _read_arrays(raw, at, described["arrays"])
        cohorts.append(Cohort.from_arrays(tuple(described["metrics"]), tuple(described["counters"]), arrays))
    nodes = {
        name: Node(cohorts[place], row, last_ts, silent, job, Latch(**latch))
        for name, place, row, last_ts, silent, job, latch in head["nodes"]
    }
    return PartitionState(
        cohorts={(c.metrics, tuple(c.counters.tolist())): c for c in cohorts},
        nodes=nodes,
        jobs={node: (job, since) for node, (job, since) in head["jobs"].items()},
        counts=Counter(head["counts"]),
        missing=Counter(head["missing"]),
        now=head["now"],
        history=head["history"],
        choices=Choices(**head["choices"]),
    )


def _read_arrays(raw: bytes, at: int, layout: list[Any]) -> tuple[dict[str, NDArray[Any]], int]:
    arrays = {}
    for name, kind, shape in layout:
        count = int(np.prod(shape))
        array = np.frombuffer(raw, kind, count, at).reshape(shape).copy()
        arrays[name] = array
        at += array.nbytes
    return arrays, at
