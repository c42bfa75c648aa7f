"""How each node stood where the sink had read to, in a file beside its outbox.

A node that fell silent is told of once, so no tail of the assessments holds all nodes. The file is written only when
the outbox has all that was told until then; reading on from its offsets makes the fold what it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from connectors.lasting_files import write_atomically
from models.records import Verdict

NAME: Final = "nodes.json"


class Node(NamedTuple):
    """What a fleet point takes of the newest assessment of a node."""

    verdict: Verdict
    probability: float | None
    in_incident: bool


#: Of a partition of the assessments: the offset to read on from, and its nodes.
Kept = dict[int, tuple[int, dict[str, Node]]]
_decoder = msgspec.json.Decoder(Kept)


def read_nodes(folder: Path) -> Kept:
    """What was kept there; nothing where there is none, or where it cannot be read."""
    try:
        return _decoder.decode((folder / NAME).read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}


def write_nodes(folder: Path, kept: Kept) -> None:
    """Keep it; raises ``OSError``, and what was kept before stays."""
    write_atomically(folder / NAME, msgspec.json.encode(kept), 0o600)
