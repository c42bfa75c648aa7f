"""The running log of a run: when, who, what; on stderr where stdout is a program's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WHO_WIDTH = 14


class Terminal:
    """Prints one line for each thing that happened, with the seconds since the beginning.

    Parameters
    ----------
    to_stderr : bool
        Whether stdout is kept for JSON.
    monotonic : callable
        Seconds that never go back.
    """

    def __init__(self, *, to_stderr: bool, monotonic: Callable[[], float]) -> None:
        self._console = Console(stderr=to_stderr, highlight=False, soft_wrap=True)
        self._monotonic = monotonic
        self._began = monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._monotonic() - self._began

    def say(self, who: str, what: str, style: str = "") -> None:
        """One line."""
        line = Text(f"{self.elapsed:7.1f} s  ", style="dim")
        line.append(f"{who:<{WHO_WIDTH}} ", style="bold" if style else "cyan")
        line.append(what, style=style)
        self._console.print(line)

    def summarise(self, summary: dict[str, Any]) -> None:
        """What the run came to."""
        self._console.print()
        self._console.print(_figures(summary))
        ledger = summary["ledger"]
        if ledger is not None:
            self._console.print()
            self._console.print(_buckets(ledger))
            if ledger["saying"]:
                self._console.print(Text(ledger["saying"], style="bold"))
        self._console.print()


def _figures(summary: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    history, latency = summary["history"], summary["latency_ms"]
    table.add_row(
        "frames",
        f"{summary['frames_produced']:,} produced, {summary['frames_assessed']:,} assessed, {summary['lost']:,} lost"
        f" ({summary['late']:,} late, {summary['duplicates']:,} duplicates, {summary['dead_letters']:,} dead letters)",
    )
    table.add_row("history", f"{history['produced']:,} sent, {history['assessed']:,} assessed")
    for name, what in _models(summary["models"]):
        table.add_row(name, what)
    table.add_row("telemetry → assessment", _latency(latency["assessment"]))
    table.add_row("cause → command", _latency(latency["command"]))
    orders = ", ".join(command["action"] for command in summary["commands"]) or "none"
    table.add_row("commands", orders)
    table.add_row("outcomes", ", ".join(f"{number} {stage}" for stage, number in summary["outcomes"].items()) or "none")
    if summary.get("influx") is not None:
        influx = summary["influx"]
        table.add_row(
            "influxdb",
            f"{influx['points_written']:,} of {influx['points_expected']:,} points, {influx['lost']:,} lost, "
            f"{len(influx['dashboards'])} dashboards; kept in {influx['folder']}",
        )
    if summary["job"] is not None:
        job = summary["job"]
        table.add_row(
            "job",
            f"step {job['steps']:,}; restored {job['restarts']} ×, last from step {job['resumed_from_step']:,}; "
            f"{job['lost_steps']:,} steps done again",
        )
    return table


def _models(models: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A line for the model in use, for a choice that was refused, and for the shadow; nothing where none was told."""
    if models["active"]:
        yield "model", ", ".join(f"{digest[:16]}…" for digest in models["active"])
    for why in models["refused"]:
        yield "refused model", why
    shadow = models["shadow"]
    if shadow is not None:
        mean = "–" if shadow["mean_difference"] is None else f"{shadow['mean_difference']:.4f}"
        yield (
            "shadow model",
            (
                f"{shadow['digest'][:16]}…: {shadow['compared']:,} compared, mean |ΔP| {mean}, P ≥ θ by the active "
                f"alone {shadow['active_only']:,}, by the shadow alone {shadow['shadow_only']:,}"
            ),
        )


def _latency(pair: dict[str, float | None]) -> str:
    if pair["p50"] is None or pair["p99"] is None:
        return "not measured (no live source time)"
    return f"p50 {pair['p50']:.0f} ms, p99 {pair['p99']:.0f} ms"


def _buckets(ledger: dict[str, Any]) -> Table:
    table = Table(title=f"ledger: {ledger['wall_s']:.1f} s of the job", title_justify="left", box=None, pad_edge=False)
    table.add_column("bucket", style="dim")
    table.add_column("seconds", justify="right")
    table.add_column("share", justify="right")
    for name, seconds in ledger["buckets"].items():
        if seconds > 0:
            table.add_row(name, f"{seconds:.2f}", f"{100 * seconds / ledger['wall_s']:.1f} %")
    return table
