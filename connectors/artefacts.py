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
from safetensors import SafetensorError
from safetensors.numpy import load, save

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


def artefact_path(path: Path | None) -> Path:
    """The file that is meant: one of ``SHIPPED`` by name, None is ``default``."""
    if path is None or str(path) in SHIPPED:
        return shipped_artefact("default" if path is None else str(path))
    return path


def artefact_content(path: Path) -> bytes:
    """The bytes of an artefact's file; raises ``WrongUse`` when it is missing or cannot be read."""
    if not path.is_file():
        raise WrongUse(f"artefact {path}: there is no such file; `forestall train --out DIR` makes one")
    try:
        return path.read_bytes()
    except OSError as wrong:
        raise WrongUse(f"artefact {path}: cannot be read ({wrong.strerror})") from wrong


def load_artefact(path: Path | None = None) -> Predictor:
    """The predictor in a file, or one of ``SHIPPED`` by name; None is ``default``.

    Raises
    ------
    WrongUse
        The file is missing, is no artefact of ours, has another format, or does not match its digest.
    """
    path = artefact_path(path)
    predictor, stated = read_artefact(artefact_content(path), str(path))
    if predictor.digest != stated:
        raise WrongUse(f"artefact {path}: {changed(predictor, stated)}")
    return predictor


def read_artefact(content: bytes, name: str) -> tuple[Predictor, str]:
    """The predictor in an artefact's bytes, and the digest that they state; whether it is its own is not looked at.

    Raises
    ------
    WrongUse
        The bytes are no artefact of ours, have another format, or do not fit together; ``name`` says whose they are.
    """
    about, tensors = _parse(content, name)
    if about.get("format") != FORMAT:
        raise WrongUse(f"artefact {name}: format {about.get('format')!r}, this forestall reads {FORMAT}; train it anew")
    try:
        return _build(about, tensors), str(about.get("digest"))
    except (KeyError, TypeError, ValueError) as wrong:
        raise WrongUse(f"artefact {name}: its content does not fit together ({wrong})") from wrong


def changed(predictor: Predictor, stated: str) -> str:
    """What to say of an artefact whose content is not what its digest says."""
    return (
        f"its content has the digest {predictor.digest[:16]}…, but it says {stated[:16]}…: it was changed after "
        "training; take the original, or train it anew"
    )


def require_features(predictor: Predictor, names: Sequence[str], window: int) -> None:
    """See that a predictor reads features that this forestall computes: all of them, or some.

    Raises
    ------
    WrongUse
        It reads others, or from another window; the message names the difference.
    """
    if differences := feature_differences(predictor, names, window):
        raise WrongUse(f"artefact {predictor.digest[:16]}… does not fit: {'; '.join(differences)}; train it anew")


def feature_differences(predictor: Predictor, names: Sequence[str], window: int) -> list[str]:
    """In what the features that a predictor reads differ from those that this forestall computes, in words."""
    differences = []
    if missing := [name for name in predictor.feature_names if name not in names]:
        differences.append(f"it reads {_some(missing)}, which this forestall does not compute")
    known = [name for name in names if name in predictor.feature_names]
    if not differences and known != list(predictor.feature_names):
        at = next(n for n, (ours, its) in enumerate(zip(known, predictor.feature_names, strict=False)) if ours != its)
        differences.append(f"its features have another order, from place {at} on ({predictor.feature_names[at]})")
    if window != predictor.window:
        differences.append(f"its window is {predictor.window} frames, here it is {window}")
    return differences


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _parse(content: bytes, name: str) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    try:
        tensors = {key: array.astype(np.float64) for key, array in load(content).items()}
        head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(head.get("__metadata__", {}).get(_KEY, "null"))
    except (SafetensorError, ValueError, KeyError, TypeError) as wrong:
        raise WrongUse(f"artefact {name}: not a readable safetensors file ({wrong})") from wrong
    if not isinstance(about, dict):
        raise WrongUse(
            f"artefact {name}: a safetensors file, but none of forestall's: it has no {_KEY!r} in its metadata"
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
