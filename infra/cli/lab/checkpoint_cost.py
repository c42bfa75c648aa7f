"""``forestall lab checkpoint-cost``: what a checkpoint costs on this machine, and the C and W that follow."""

from __future__ import annotations

import argparse
import io
import itertools
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import Failed, WrongUse
from infra.cli.lab.simulating import Progress, Stopwatch, bar, known
from infra.cli.options import report
from infra.settings import Settings

if TYPE_CHECKING:
    from experiments.checkpoint_cost.plan import Plan

SIZES_MAX = 12
SIZE_BYTES_MIN = 100_000
REPEAT_MAX = 1_000
_MODES = ("sync", "async", "in-memory")
_DRAWN = (".png", ".svg", ".pdf")
_SPREAD = ("blocking", "durable")
_WIDTH = 140
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
_NOTES = "C, how long the job is stopped, and W, from then until it is safe: priors, until its own are measured"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall lab checkpoint-cost``."""
    parser.epilog = """\
examples
  forestall lab checkpoint-cost                                    10 MB to 2 GB, sync, async and in-memory
  forestall lab checkpoint-cost --directory /mnt/checkpoints --plot cost.png
  forestall lab checkpoint-cost --policy-size 14GB --policy-mode async --toml policy.toml
  forestall worker --config policy.toml                            a worker that knows these C and W"""
    parser.add_argument("--sizes", type=sizes, metavar="A,B", help="for example 100MB,2GB (default: 10 MB to 2 GB)")
    parser.add_argument("--repeat", type=repeat, metavar="N", help="checkpoints of each (default: 5; from 400 MB on 3)")
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="where checkpoints are written (default: temporary files)"
    )
    parser.add_argument(
        "--policy-size",
        type=size,
        metavar="SIZE",
        help="of the checkpoint that C and W are told for (default: largest)",
    )
    parser.add_argument(
        "--policy-mode", default="sync", metavar="MODE", help="sync, async or in-memory (default: sync)"
    )
    parser.add_argument("--toml", type=Path, metavar="FILE", help="write C and W as settings, for --config")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw it: .png, .svg or .pdf")
    parser.add_argument("--quick", action="store_true", help="1 to 10 MB and few repetitions, in some seconds")


def size(text: str) -> int:
    """Return bytes of ``10MB``, ``2GB`` or ``500KB``.

    >>> size("1.5GB")
    1500000000
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(KB|MB|GB)", text.strip(), re.IGNORECASE)
    found = round(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if found < SIZE_BYTES_MIN:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write for example 10MB or 2GB, at least 100KB")
    return found


def sizes(text: str) -> tuple[int, ...]:
    """Return the sizes that ``100MB,2GB`` names, ascending."""
    found = sorted({size(one) for one in text.split(",")})
    if len(found) > SIZES_MAX:
        raise argparse.ArgumentTypeError(f"{len(found)} sizes are too many; at most {SIZES_MAX}")
    return tuple(found)


def repeat(text: str) -> int:
    """Return how often each is measured: 1 to 1000."""
    if not text.isdecimal() or not 1 <= int(text) <= REPEAT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of repetitions; 1 to {REPEAT_MAX}")
    return int(text)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Measure, fit, tell."""
    folder = _checked(options)
    watch = Stopwatch()
    told = _measured(options, folder)
    if not told["rows"]:
        whys = "; ".join(sorted({one["why"] for one in told["left_out"]}))
        raise Failed(f"there was room for none of the sizes: {whys}; free some, or name smaller --sizes")
    result = {**told, **_fitted(told, options), "about": _about(told, folder), "measured_s": {"all": watch.seconds}}
    written = _written(options, result)
    report(options, result, [*_lines(result), *written])
    return 0


def _checked(options: argparse.Namespace) -> Path:
    """The folder to write to; what is wrong with an option is told before anything is measured."""
    known(options.policy_mode, _MODES, "--policy-mode")
    if options.plot is not None and options.plot.suffix not in _DRAWN:
        raise WrongUse(f"--plot {options.plot}: name a file that ends in {', '.join(_DRAWN)}")
    for name, path in (("--toml", options.toml), ("--plot", options.plot)):
        if path is not None and not path.absolute().parent.is_dir():
            raise WrongUse(f"{name} {path}: there is no folder {path.absolute().parent}")
    folder: Path = options.directory or Path(tempfile.gettempdir())
    if not folder.is_dir():
        raise WrongUse(f"--directory {folder}: there is no such folder")
    return folder


def _measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    try:
        from experiments.checkpoint_cost.plan import measured

        plan = _plan(options)
        with bar("checkpoint", plan.turns) as progress:
            return measured(plan, folder, _counted(progress))
    except ModuleNotFoundError as missing:
        raise Failed(
            f"measuring checkpoints needs {missing.name}, which running forestall does not: make dev, or "
            "infra/deploy/install.sh web,lab,train"
        ) from missing
    except OSError as fault:
        raise Failed(f"--directory {folder}: {fault.strerror or fault}; name one that can be written to") from fault


def _plan(options: argparse.Namespace) -> Plan:
    from experiments.checkpoint_cost.plan import LONG, QUICK

    plan = QUICK if options.quick else LONG
    if options.sizes is not None:
        plan = replace(plan, sizes=options.sizes)
    if options.repeat is not None:
        plan = replace(plan, repeat=options.repeat, repeat_large=options.repeat)
    return plan


def _counted(progress: Progress) -> Callable[[], None]:
    done = itertools.count(1)
    return lambda: progress(next(done))


def _fitted(told: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """C and W by mode, and as the settings take them for one size and mode."""
    from experiments.checkpoint_cost.fitting import costs

    found = costs(told["rows"])
    if options.policy_mode not in found:
        raise Failed(f"--policy-mode {options.policy_mode} could not be measured here; name one of {', '.join(found)}")
    chosen = options.policy_size or max(row["bytes"] for row in told["rows"])
    policies = {
        mode: {
            "checkpoint_cost_s": float(f"{max(cost.blocking(chosen), 1e-6):.4g}"),
            "durable_s": float(f"{cost.until_safe(chosen):.4g}"),
        }
        for mode, cost in found.items()
    }
    return {
        "policy": {"mode": options.policy_mode, "bytes": chosen, **policies[options.policy_mode]},
        "policies": policies,
        "fits": {
            mode: {
                name: {"fixed_s": round(line.fixed_s, 6), "s_per_gb": round(1e9 * line.s_per_byte, 6)}
                for name, line in (("checkpoint_cost_s", cost.blocking), ("durable_s", cost.until_safe))
            }
            for mode, cost in found.items()
        },
    }


def _about(told: Mapping[str, Any], folder: Path) -> str:
    """What the figures are of, and what they are not."""
    kind = told["filesystem"]
    disk = f"{folder} ({kind})"
    if kind in {"tmpfs", "ramfs"}:
        disk += ", which is memory: nothing there is durable, name another --directory"
    busy = told["load_before"]
    crowded = busy["processes"] > busy["cores"] / 2
    others = f"; {busy['processes']:g} processes wanted its {busy['cores']:g} cores before it began" if crowded else ""
    return (
        f"written to new files in {disk}, each checkpoint safe when its content and its names were fsynced, so no "
        "warm page helps it; loads are told from disk (cold) and from the system's cache (warm); "
        "in-memory is another process of this machine: it outlives the training process, not the machine; "
        f"the loop computes on one core{others}"
    )


def _written(options: argparse.Namespace, result: Mapping[str, Any]) -> list[str]:
    lines = []
    try:
        if options.toml is not None:
            options.toml.write_text("\n".join([*toml(result["policy"]), ""]), encoding="utf-8")
            lines.append(f"settings: {options.toml}")
        if options.plot is not None:
            from experiments.checkpoint_cost.plot import draw

            draw(result, options.plot)
            lines.append(f"plot: {options.plot}")
    except OSError as fault:
        raise Failed(f"{fault.filename}: cannot be written: {fault.strerror}") from fault
    except ModuleNotFoundError as missing:
        raise Failed(f"a plot needs {missing.name}: make dev, or infra/deploy/install.sh web,lab,train") from missing
    return lines


def toml(policy: Mapping[str, Any]) -> list[str]:
    """The lines of a settings file that tell a worker this C and W."""
    return [
        f"# {policy['mode']} checkpoints of {_megabytes(policy['bytes'])}: forestall lab checkpoint-cost",
        "[policy]",
        f"checkpoint_cost_s = {policy['checkpoint_cost_s']:g}",
        f"durable_s = {policy['durable_s']:g}",
    ]


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    yield result["about"]
    yield from _table(
        f"one checkpoint, seconds: medians of n, and least to most of {', '.join(_SPREAD)}",
        ["checkpoint", "mode", "n", "serialise", "write", "blocking", "durable", *_SPREAD],
        [
            [_megabytes(row["bytes"]), row["mode"], str(row["n"])]
            + [f"{row[name]:.3f}" for name in ("serialise_s", "write_s", "blocking_s", "durable_s")]
            + ["{:.3f} to {:.3f}".format(*row["spread"][f"{name}_s"]) for name in _SPREAD]
            for row in result["rows"]
        ],
    )
    yield from _table(
        "loading, seconds",
        ["checkpoint", "n", "from disk", "from the cache"],
        [
            [_megabytes(row["bytes"]), str(row["n"]), f"{row['cold_s']:.3f}", f"{row['warm_s']:.3f}"]
            for row in result["loads"]
        ],
    )
    yield from _table(
        "a job that checkpoints every k steps: share of its time that this takes, beside the same without",
        ["checkpoint", "mode", "k", "step (s)", "overhead", "least to most", "pairs"],
        [
            [
                _megabytes(row["bytes"]),
                row["mode"],
                str(row["every_steps"]),
                f"{row['step_s']:.4f}",
                f"{100 * row['overhead']:.1f} %",
                "{:.1f} to {:.1f} %".format(*(100 * end for end in row["spread"])),
                str(row["n"]),
            ]
            for row in result["frequencies"]
        ],
    )
    for one in result["left_out"]:
        yield f"left out: {_megabytes(one['bytes']) if 'bytes' in one else one['mode']}: {one['why']}"
    yield f"for --config or --toml ({_NOTES}):"
    yield from toml(result["policy"])


def _table(title: str, columns: list[str], rows: list[list[str]]) -> Iterator[str]:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == "mode" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(file=io.StringIO(), width=_WIDTH)
    with console.capture() as drawn:
        console.print(table)
    yield from drawn.get().rstrip().splitlines()


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.4g} MB" if size < 1e9 else f"{size / 1e9:.3g} GB"
