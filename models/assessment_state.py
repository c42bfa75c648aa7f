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
from models.incident import Latch
from models.limits import MARKOV_STATES, MARKOV_WINDOW, WINDOW_FRAMES

FORMAT = 2
_SHAPE = [WINDOW_FRAMES, MARKOV_STATES, MARKOV_WINDOW]


class UnreadableState(ValueError):
    """Bytes that are no state of this build; says in what they differ."""


def state_to_bytes(state: PartitionState) -> bytes:
    """A JSON head (its length first, 8 bytes) and the cohorts' arrays one after another."""
    blocks: list[bytes] = []
    cohorts = []
    place = {id(cohort): at for at, cohort in enumerate(state.cohorts.values())}
    for (metrics, counters), cohort in state.cohorts.items():
        arrays = cohort.arrays()
        blocks += [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
        layout = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
        cohorts.append({"metrics": metrics, "counters": counters, "arrays": layout})
    nodes = [
        [name, place[id(n.cohort)], n.row, n.last_ts, n.silent, n.job, asdict(n.latch)]
        for name, n in state.nodes.items()
    ]
    head = {
        "format": FORMAT,
        "shape": _SHAPE,
        "cohorts": cohorts,
        "nodes": nodes,
        "jobs": state.jobs,
        "counts": state.counts,
        "missing": state.missing,
        "now": state.now,
        "history": state.history,
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(8, "little"), text, *blocks])


def state_from_bytes(raw: bytes) -> PartitionState:
    """Read what :func:`state_to_bytes` wrote; raises :class:`UnreadableState`."""
    size = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8 : 8 + size])
    if (head["format"], head["shape"]) != (FORMAT, _SHAPE):
        raise UnreadableState(f"state of format {head['format']}, shape {head['shape']}; this is {FORMAT}, {_SHAPE}")
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
        jobs=head["jobs"],
        counts=Counter(head["counts"]),
        missing=Counter(head["missing"]),
        now=head["now"],
        history=head["history"],
    )


def _read_arrays(raw: bytes, at: int, layout: list[Any]) -> tuple[dict[str, NDArray[Any]], int]:
    arrays = {}
    for name, kind, shape in layout:
        count = int(np.prod(shape))
        array = np.frombuffer(raw, kind, count, at).reshape(shape).copy()
        arrays[name] = array
        at += array.nbytes
    return arrays, at
