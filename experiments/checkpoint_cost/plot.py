"""The figures as a plot: blocking and durable time by size, and overhead by frequency, a colour for each mode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

COLOURS: Final = {"sync": "#c0392b", "async": "#2c6fbb", "in-memory": "#2e8b57"}


def draw(told: Mapping[str, Any], path: Path) -> None:
    """Write the plot to ``path``, in the format that its suffix names; raises ValueError for one that is not known."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    by_size, by_frequency = figure.subplots(1, 2)
    _by_size(by_size, told["rows"])
    _by_frequency(by_frequency, told["frequencies"])
    figure.savefig(path)


def _by_size(axes: Any, rows: list[Mapping[str, Any]]) -> None:
    for mode, colour in COLOURS.items():
        found = [row for row in rows if row["mode"] == mode]
        sizes = [row["bytes"] / 1e6 for row in found]
        for name, line in (("blocking_s", "-"), ("durable_s", "--")):
            middle = [row[name] for row in found]
            ends = [
                [max(0.0, row[name] - row["spread"][name][0]) for row in found],
                [max(0.0, row["spread"][name][1] - row[name]) for row in found],
            ]
            label = f"{mode}, {name.removesuffix('_s')}"
            axes.errorbar(sizes, middle, yerr=ends, fmt=f"o{line}", color=colour, label=label, capsize=2)
    axes.set(xscale="log", yscale="log", xlabel="checkpoint (MB)", ylabel="seconds", title="What one checkpoint takes")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)


def _by_frequency(axes: Any, rows: list[Mapping[str, Any]]) -> None:
    for mode, colour in COLOURS.items():
        found = [row for row in rows if row["mode"] == mode]
        axes.plot(
            [row["interval_s"] for row in found],
            [100 * row["overhead"] for row in found],
            "o-",
            color=colour,
            label=mode,
        )
    size = f" of {rows[0]['bytes'] / 1e6:.0f} MB" if rows else ""
    axes.axhline(20, color="grey", linestyle=":", label="20 %: a diagnostic says so")
    axes.set(
        xscale="log",
        xlabel="seconds of training between checkpoints",
        ylabel="overhead (% of the job's time)",
        title=f"What checkpoints{size} cost a job",
    )
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
