"""Model artefacts: a predictor as a safetensors file, and its card beside it.

The arrays are the file's tensors; all else is its metadata under ``forestall``, with the digest of both. A file that
was changed, or that was made for other features, is refused with a message that names the difference.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from connectors.errors import WrongUse
from models.calibration import Calibration, Isotonic, Platt
from models.mlp import Layer, Predictor, arrays, description

FORMAT: Final = 1
#: The artefacts that come with forestall: the MLP, and the seed's literal Eq. 1.
SHIPPED: Final = ("default", "eq1")
_KEY: Final = "forestall"


def shipped_artefact(name: str = "default") -> Path:
    """The path of one of the artefacts in ``SHIPPED``."""
    return Path(str(files("models") / "artefacts" / f"{name}.safetensors"))


def save_artefact(predictor: Predictor, path: Path) -> None:
    """Write a predictor to ``path`` (``.safetensors``); the same predictor gives the same bytes."""
    about = {"format": FORMAT, "digest": predictor.digest, **description(predictor)}
    content = save(arrays(predictor), {_KEY: json.dumps(about, sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)


def load_artefact(path: Path | None = None) -> Predictor:
    """The predictor in a file, or one of ``SHIPPED`` by name; None is ``default``.

    Raises
    ------
    WrongUse
        The file is missing, is no artefact of ours, has another format, or does not match its digest.
    """
    if path is None or str(path) in SHIPPED:
        path = shipped_artefact("default" if path is None else str(path))
    about, tensors = _read(path)
    if about.get("format") != FORMAT:
        raise WrongUse(f"artefact {path}: format {about.get('format')!r}, this forestall reads {FORMAT}; train it anew")
    try:
        predictor = _build(about, tensors)
    except (KeyError, TypeError, ValueError) as wrong:
        raise WrongUse(f"artefact {path}: its content does not fit together ({wrong})") from wrong
    if predictor.digest != about.get("digest"):
        raise WrongUse(
            f"artefact {path}: its content has the digest {predictor.digest[:16]}…, but it says "
            f"{str(about.get('digest'))[:16]}…: it was changed after training; take the original, or train it anew"
        )
    return predictor


def require_features(predictor: Predictor, names: Sequence[str], window: int) -> None:
    """See that a predictor reads just the features that this forestall computes.

    Raises
    ------
    WrongUse
        It reads others, or from another window; the message names the difference.
    """
    differences = []
    if missing := [name for name in predictor.feature_names if name not in names]:
        differences.append(f"it reads {_some(missing)}, which this forestall does not compute")
    if extra := [name for name in names if name not in predictor.feature_names]:
        differences.append(f"it does not know {_some(extra)}")
    if not differences and tuple(names) != predictor.feature_names:
        at = next(n for n, (ours, its) in enumerate(zip(names, predictor.feature_names, strict=True)) if ours != its)
        differences.append(f"its features have another order, from place {at} on ({predictor.feature_names[at]})")
    if window != predictor.window:
        differences.append(f"its window is {predictor.window} frames, here it is {window}")
    if differences:
        raise WrongUse(f"artefact {predictor.digest[:16]}… does not fit: {'; '.join(differences)}; train it anew")


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    if not path.is_file():
        raise WrongUse(f"artefact {path}: there is no such file; `forestall train --out DIR` makes one")
    try:
        with safe_open(path, framework="numpy") as content:
            text = (content.metadata() or {}).get(_KEY, "null")
            tensors = {name: content.get_tensor(name).astype(np.float64) for name in content.keys()}  # noqa: SIM118
        about = json.loads(text)
    except (OSError, SafetensorError, ValueError) as wrong:
        raise WrongUse(f"artefact {path}: not a readable safetensors file ({wrong})") from wrong
    if not isinstance(about, dict):
        raise WrongUse(
            f"artefact {path}: a safetensors file, but none of forestall's: it has no {_KEY!r} in its metadata"
        )
    return about, tensors


def _build(about: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float64]]) -> Predictor:
    depth = sum(name.startswith("weight.") for name in tensors)
    return Predictor(
        layers=tuple(Layer(tensors[f"weight.{n}"], tensors[f"bias.{n}"]) for n in range(depth)),
        feature_names=tuple(about["feature_names"]),
        mean=tensors["mean"],
        std=tensors["std"],
        clip=about["clip"],
        horizon_s=about["horizon_s"],
        window=about["window"],
        calibration=_calibration(about["calibration"]),
        provenance=about["provenance"],
    )


def _calibration(about: Mapping[str, Any]) -> Calibration:
    if about["form"] == Isotonic.__name__:
        return Isotonic(tuple(about["logits"]), tuple(about["probabilities"]))
    if about["form"] == Platt.__name__:
        return Platt(about["slope"], about["intercept"])
    raise ValueError(f"unknown calibration {about['form']!r}")
