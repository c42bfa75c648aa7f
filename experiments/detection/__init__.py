"""Detection on real telemetry: the product's detector beside its peers, scored as an operator would meet it."""

from __future__ import annotations

from experiments.detection.comparison import compare, work
from experiments.detection.folder import Folder, Machine, machine_names, read_folder

__all__ = ["Folder", "Machine", "compare", "machine_names", "read_folder", "work"]
